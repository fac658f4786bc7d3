// The PostgreSQL of the durable scenarios: the embedded one, on a Unix socket, with fsync and synchronous_commit on.
// All products of a comparison use it, each with a database of its own.
//
// 1. Its files lie in the folder for temporary files, and go with it. On a file system in memory a flush is free, and
//    then the figures say nothing: `flushMs` tells.
// 2. `usage` counts the time of sessions that have ended too: vacuum and short-lived sessions are what a product costs.

import { execFileSync } from 'node:child_process'
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { median } from '../load/percentiles.ts'
import { type Usage, usageOf } from './usage.ts'

/** What this needs of `src/storage/embedded/launcher.ts`, as it is built: benches are compiled by themselves. */
interface Launcher {
  prepareEmbedded(options: {
    dataDir: string
    log: Record<'info' | 'warn' | 'error', (details: object, text: string) => void>
    settings: Record<string, string>
  }): Promise<{
    postmaster: {
      pid: number | undefined
      start(): Promise<void>
      stop(mode: 'fast'): Promise<void>
    }
    runFolder: { url: string; remove(): Promise<void> }
  }>
}

const launcher = fileURLToPath(new URL('../../dist/storage/embedded/launcher.js', import.meta.url))

/** Over those of `DATABASE_URL=embedded`; what is not named is PostgreSQL's default. */
const settings = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: '1GB',
  max_wal_size: '4GB',
  min_wal_size: '1GB',
}
const quietMs = 20_000
const pollMs = 50
const quietLooks = 3
const flushes = 50

export class Postgres {
  private readonly folder: string
  private readonly stopServer: () => Promise<void>
  private readonly pid: number
  private readonly url: string
  private readonly admin: pg.Client
  /** The driver wants one query at a time. */
  private asked: Promise<unknown> = Promise.resolve()

  private constructor(
    folder: string,
    url: string,
    pid: number,
    admin: pg.Client,
    stopServer: () => Promise<void>,
  ) {
    this.folder = folder
    this.url = url
    this.pid = pid
    this.admin = admin
    this.stopServer = stopServer
  }

  static async start(): Promise<Postgres> {
    const { prepareEmbedded } = (await import(launcher)) as Launcher
    const folder = mkdtempSync(join(tmpdir(), 'flashq-bench-'))
    const remove = () => rmSync(folder, { recursive: true, force: true })
    process.once('exit', remove)
    // So that another account than this one may work below it.
    execFileSync('chmod', ['711', folder])
    const quiet = () => {}
    const { postmaster, runFolder } = await prepareEmbedded({
      dataDir: folder,
      log: { info: quiet, warn: quiet, error: (_, text) => console.error(`  PostgreSQL: ${text}`) },
      settings,
    })
    await postmaster.start()
    const admin = new pg.Client({ connectionString: runFolder.url })
    admin.on('error', quiet)
    await admin.connect()
    return new Postgres(folder, runFolder.url, postmaster.pid ?? 0, admin, async () => {
      await admin.end()
      await postmaster.stop('fast')
      await runFolder.remove()
      remove()
      process.removeListener('exit', remove)
    })
  }

  /** The URL of a database of its own. */
  async database(name: string): Promise<string> {
    await this.ask(`create database ${name}`)
    return this.url.replace(/\/postgres$/, `/${name}`)
  }

  usage(): Usage | undefined {
    return usageOf(this.pid)
  }

  /** Bytes of write-ahead log since it was made. */
  async walBytes(): Promise<number> {
    const { rows } = await this.ask<{ bytes: string }>(
      `select pg_current_wal_lsn() - '0/0'::pg_lsn as bytes`,
    )
    return Number(rows[0]?.bytes)
  }

  /** Resolves when it has come to rest: what one product left to do must not be in the figures of another. */
  async untilQuiet(): Promise<void> {
    const endMs = performance.now() + quietMs
    for (let quiet = 0; quiet < quietLooks && performance.now() < endMs; ) {
      const { rows } = await this.ask(
        `select from pg_stat_activity where pid <> pg_backend_pid()
            and (backend_type = 'autovacuum worker' or backend_type = 'client backend' and state = 'active')`,
      )
      quiet = rows.length === 0 ? quiet + 1 : 0
      await sleep(pollMs)
    }
  }

  /** What autovacuum does within a minute or so: the planner knows what is in the tables of this database. */
  async vacuum(url: string): Promise<void> {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    try {
      await client.query('vacuum analyze')
    } finally {
      await client.end()
    }
  }

  /** For the report. */
  async describe(): Promise<string> {
    const { rows } = await this.ask<{ server_version: string }>('show server_version')
    const listed = Object.entries(settings).map(([name, value]) => `${name} ${value}`)
    return `PostgreSQL ${rows[0]?.server_version}, Unix socket, ${listed.join(', ')}`
  }

  /** What one flush takes where its files are: the floor of every acknowledgement. */
  flushMs(): number {
    return median(flushTimes(this.folder))
  }

  stop(): Promise<void> {
    return this.stopServer()
  }

  private ask<Row extends pg.QueryResultRow>(text: string): Promise<pg.QueryResult<Row>> {
    const answer = this.asked.then(() => this.admin.query<Row>(text))
    this.asked = answer.catch(() => undefined)
    return answer
  }
}

function flushTimes(folder: string): number[] {
  const file = openSync(join(folder, 'flush'), 'w')
  const page = Buffer.alloc(8192)
  const times: number[] = []
  for (let i = 0; i < flushes; i++) {
    writeSync(file, page, 0, page.length, 0)
    const startMs = performance.now()
    fdatasyncSync(file)
    times.push(performance.now() - startMs)
  }
  closeSync(file)
  return times
}
