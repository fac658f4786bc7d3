// A PostgreSQL of the test's own, to be stopped, killed and frozen. Its URL stays the same through all of that.
//
// Whoever makes one calls `destroy` at the end, whatever happened: afterAll, or onTestFinished.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, type QueryResultRow } from 'pg'
import { type Prepared, prepareEmbedded } from '../../src/storage/embedded/launcher.ts'
import type { StopMode } from '../../src/storage/embedded/postmaster.ts'
import type { EmbeddedLog } from '../../src/storage/embedded/postmaster-log.ts'
import { eventually } from './eventually.ts'
import { isAlive } from './server-process.ts'

export interface OwnPostgresOptions {
  /** Of PostgreSQL. `{ fsync: 'off' }` where the test needs many commits and no power cut is played. */
  readonly settings?: Readonly<Record<string, string>>
  readonly log?: EmbeddedLog
}

const END_MS_MAX = 30_000

export class OwnPostgres {
  readonly url: string
  private readonly folder: string
  private readonly prepared: Prepared

  private constructor(folder: string, prepared: Prepared) {
    this.folder = folder
    this.prepared = prepared
    this.url = prepared.runFolder.url
  }

  /** Started. */
  static async open(options: OwnPostgresOptions = {}): Promise<OwnPostgres> {
    const folder = mkdtempSync(join(tmpdir(), 'flashq-pg-'))
    const { settings = {}, log = silent } = options
    // So that another account than this one may work below it.
    execFileSync('chmod', ['711', folder])
    try {
      const own = new OwnPostgres(
        folder,
        await prepareEmbedded({ dataDir: folder, log, settings: { fsync: 'on', ...settings } }),
      )
      await own.start()
      return own
    } catch (error) {
      rmSync(folder, { recursive: true, force: true })
      throw error
    }
  }

  /** Of the postmaster; fails while it does not run. */
  get pid(): number {
    const { pid } = this.prepared.postmaster
    if (pid === undefined) throw new Error('PostgreSQL does not run')
    return pid
  }

  /** Resolves when it accepts connections. */
  start(): Promise<void> {
    return this.prepared.postmaster.start()
  }

  stop(mode: StopMode = 'fast'): Promise<void> {
    return this.prepared.postmaster.stop(mode)
  }

  async restart(mode: StopMode = 'fast'): Promise<void> {
    await this.stop(mode)
    await this.start()
  }

  /** SIGKILL to the postmaster and to all its processes; resolves when they are gone. */
  async kill(): Promise<void> {
    const all = this.processes()
    for (const pid of all) send(pid, 'SIGKILL')
    await this.stop('immediate')
    await eventually('PostgreSQL is gone', END_MS_MAX, () => !all.some(isAlive))
  }

  /** SIGSTOP to all of it: connections stay open, and nothing is answered, until `resume`. */
  pause(): void {
    for (const pid of this.processes()) send(pid, 'SIGSTOP')
  }

  resume(): void {
    for (const pid of this.processes().reverse()) send(pid, 'SIGCONT')
  }

  /** On a connection of its own. */
  query<Row extends QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    return queryOnce<Row>(this.url, text, values)
  }

  /** Ends it in whatever state it is, and removes its files. */
  async destroy(): Promise<void> {
    if (this.prepared.postmaster.pid !== undefined) await this.kill()
    await this.prepared.runFolder.remove()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** The postmaster first: a frozen or dead one starts no more processes. */
  private processes(): number[] {
    const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
    const rows = table
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number))
    const children = rows.filter(([, parent]) => parent === this.pid).map(([pid = 0]) => pid)
    return [this.pid, ...children]
  }
}

/** One statement on a connection of its own. */
export async function queryOnce<Row extends QueryResultRow>(
  url: string,
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const client = new Client({ connectionString: url })
  // A connection that dies while it waits tells both the query and whoever listens here.
  client.on('error', () => {})
  try {
    await client.connect()
    return (await client.query<Row>(text, [...values])).rows
  } finally {
    await client.end().catch(() => {})
  }
}

const silent: EmbeddedLog = { info() {}, warn() {}, error() {} }

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended meanwhile.
  }
}
