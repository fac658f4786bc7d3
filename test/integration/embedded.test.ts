// DATABASE_URL=embedded, with the real binaries. Build first (`make build`).

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Embedded, startEmbedded } from '../../src/storage/embedded/launcher.ts'
import type { EmbeddedLog } from '../../src/storage/embedded/postmaster-log.ts'
import { eventually } from '../support/eventually.ts'
import { OwnPostgres, queryOnce } from '../support/own-postgres.ts'
import { isAlive } from '../support/server-process.ts'

const isRoot = process.getuid?.() === 0
/** A user that is neither root nor nobody: daemon or bin. It must have a name: initdb asks for it. */
const OTHER = 1
const LAUNCHER = fileURLToPath(new URL('../../dist/storage/embedded/launcher.js', import.meta.url))

describe('the embedded PostgreSQL', () => {
  it('makes a cluster at its first start, and keeps its data over a restart', async () => {
    const dataDir = tempFolder()
    const first = new Log()
    const one = await start(dataDir, first)
    expect(first.find('made a PostgreSQL cluster')).toBe(true)
    await queryOnce(one.url, 'create table kept (n int)')
    await queryOnce(one.url, 'insert into kept values (7)')
    await one.stop()

    const second = new Log()
    const two = await start(dataDir, second)
    expect(second.texts).toEqual(['PostgreSQL started'])
    expect(await queryOnce(two.url, 'select n from kept')).toEqual([{ n: 7 }])
  })

  it('is UTF-8, sorts by bytes, has checksums, and no TCP port', async () => {
    const { url } = await start(tempFolder())
    const [row] = await queryOnce<Record<string, string>>(
      url,
      `select current_setting('server_encoding') encoding, current_setting('data_checksums') checksums,
              current_setting('listen_addresses') addresses, current_setting('fsync') fsync,
              (select datcollate from pg_database where datname = current_database()) collation`,
    )
    expect(row).toEqual({
      encoding: 'UTF8',
      checksums: 'on',
      addresses: '',
      fsync: 'on',
      collation: 'C',
    })
  })

  it('refuses a second server on the same data directory, and the first one does not notice', async () => {
    const dataDir = tempFolder()
    const one = await start(dataDir)
    await expect(start(dataDir)).rejects.toMatchObject({
      code: 'embedded_running',
      message: expect.stringContaining('another server runs on'),
    })
    expect(await queryOnce(one.url, 'select 1 n')).toEqual([{ n: 1 }])
  })

  it('of two servers that start at once, one gets the data directory', async () => {
    const dataDir = tempFolder()
    const results = await Promise.allSettled([start(dataDir), start(dataDir)])
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(results.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'embedded_running' },
    })
  })

  it('starts again by itself when it is killed, at the same URL, with what was committed', async () => {
    const log = new Log()
    const { url } = await start(tempFolder(), log)
    await queryOnce(url, 'create table kept (n int)')
    const [{ pid }] = (await queryOnce(
      url,
      `select (regexp_split_to_array(pg_read_file('postmaster.pid'), '\\n'))[1]::int pid`,
    )) as [{ pid: number }]
    process.kill(pid, 'SIGKILL')
    await log.has('PostgreSQL runs again')
    expect(await queryOnce(url, 'select n from kept')).toEqual([])
  })

  it('takes over a cluster whose PostgreSQL was killed', async () => {
    const dataDir = tempFolder()
    const { child, url, pid } = await startElsewhere(dataDir)
    await queryOnce(url, 'create table kept (n int)')
    child.kill('SIGSTOP') // or it would be started again
    process.kill(pid, 'SIGKILL')
    await kill(child)
    await eventually('PostgreSQL is dead', 10_000, () => !isAlive(pid))
    const next = await start(dataDir)
    expect(await queryOnce(next.url, 'select n from kept')).toEqual([])
  })

  it('does not outlive its server: after a kill -9 the next start simply works', async () => {
    const dataDir = tempFolder()
    const { child, url, pid } = await startElsewhere(dataDir)
    await queryOnce(url, 'create table kept (n int)')
    await kill(child)
    const next = await start(dataDir)
    expect(isAlive(pid)).toBe(false)
    expect(await queryOnce(next.url, 'select n from kept')).toEqual([])
  })

  it('ends, and its run folder goes, when its server is killed and nobody comes after', async () => {
    const { child, url, pid } = await startElsewhere(tempFolder())
    const runFolder = decodeURIComponent(new URL(url).hostname)
    expect(existsSync(runFolder)).toBe(true)
    child.kill('SIGKILL')
    await eventually('PostgreSQL has ended', 30_000, () => !isAlive(pid))
    await eventually('its folder is gone', 30_000, () => !existsSync(runFolder))
  })

  it('does not take an id that another program has by now for its own', async () => {
    const dataDir = tempFolder()
    await (await start(dataDir)).stop()
    const cluster = join(dataDir, 'postgres')
    writeFileSync(
      join(cluster, 'postmaster.pid'),
      `${process.pid}\n${cluster}\n1\n5432\n/tmp\n\n0 0\nready\n`,
    )
    await start(dataDir)
  })

  it('refuses a cluster of another major version, and leaves it alone', async () => {
    const dataDir = tempFolder()
    await (await start(dataDir)).stop()
    writeFileSync(join(dataDir, 'postgres', 'PG_VERSION'), '14\n')
    await expect(start(dataDir)).rejects.toMatchObject({
      code: 'embedded_version',
      message: expect.stringContaining('PostgreSQL 14'),
    })
    expect(readFileSync(join(dataDir, 'postgres', 'PG_VERSION'), 'utf8')).toBe('14\n')
  })

  it('forwards warnings of PostgreSQL to the log, and what is normal not', async () => {
    const log = new Log()
    const embedded = await start(tempFolder(), log)
    await queryOnce(embedded.url, `do $$ begin raise warning 'look out'; end $$`)
    await log.has('PostgreSQL: WARNING:  look out')
    await embedded.stop()
    expect(log.texts.filter((text) => text.includes('PostgreSQL: '))).toEqual([
      'PostgreSQL: WARNING:  look out',
    ])
  })

  it.runIf(isRoot)('runs below a server that is root as the owner of its cluster', async () => {
    const dataDir = tempFolder()
    chownSync(dataDir, OTHER, OTHER)
    const { child, url } = await startElsewhere(dataDir, OTHER)
    await queryOnce(url, 'create table kept (n int)')
    await kill(child)
    const next = await start(dataDir)
    expect(await queryOnce(next.url, 'select n from kept')).toEqual([])
    expect(statSync(join(dataDir, 'postgres')).uid).toBe(OTHER)
  })

  it.runIf(isRoot)('takes over a cluster whose files were given to root', async () => {
    const dataDir = tempFolder()
    const one = await start(dataDir)
    await queryOnce(one.url, 'create table kept (n int)')
    await one.stop()
    execFileSync('chown', ['-R', '0:0', dataDir])
    const two = await start(dataDir)
    expect(await queryOnce(two.url, 'select n from kept')).toEqual([])
  })

  it('says what is wrong when it cannot use its folder', async () => {
    const file = join(tempFolder(), 'file')
    writeFileSync(file, '')
    await expect(start(file)).rejects.toMatchObject({
      name: 'StorageFault',
      code: 'embedded_failed',
      message: expect.stringContaining(file),
    })
  })

  it('says why PostgreSQL does not start', async () => {
    const dataDir = tempFolder()
    await (await start(dataDir)).stop()
    rmSync(join(dataDir, 'postgres', 'global', 'pg_control'))
    await expect(start(dataDir)).rejects.toMatchObject({
      code: 'embedded_failed',
      message: expect.stringMatching(/does not start: .*pg_control/s),
    })
  })

  it.runIf(isRoot)('says which folder is in the way of its account', async () => {
    const parent = tempFolder()
    chmodSync(parent, 0o700)
    await expect(start(join(parent, 'data'))).rejects.toMatchObject({
      code: 'embedded_unreachable',
      message: expect.stringContaining(`cannot enter ${parent}`),
    })
  })
})

describe('a PostgreSQL of the test', () => {
  it('can be restarted, killed and frozen, and keeps its URL and what was committed', async () => {
    const own = await OwnPostgres.open()
    onTestFinished(() => own.destroy())
    await own.query('create table kept (n int)')
    for (const end of [() => own.stop('fast'), () => own.stop('immediate'), () => own.kill()]) {
      await own.query('insert into kept values (1)')
      await end()
      await expect(own.query('select 1')).rejects.toThrow()
      await own.start()
    }
    const all = await own.query<{ pid: number }>('select pid from pg_stat_activity where pid > 0')
    const pids = [own.pid, ...all.map(({ pid }) => pid).filter(isAlive)]
    own.pause()
    await eventually('all of it is frozen', 5000, () =>
      states(pids).every((state) => state === 'T'),
    )
    const asked = own.query<{ n: number }>('select sum(n)::int n from kept')
    own.resume()
    expect(await asked).toEqual([{ n: 3 }])
  })
})

/** Of processes that are there, one letter each; T = stopped. */
function states(pids: readonly number[]): string[] {
  const options = { encoding: 'utf8' } as const
  const table = execFileSync('ps', ['-o', 'stat=', '-p', pids.join(',')], options)
  return table
    .trim()
    .split(/\s+/)
    .map((state) => state.charAt(0))
}

class Log implements EmbeddedLog {
  readonly texts: string[] = []
  info(_fields: object, text: string): void {
    this.texts.push(text)
  }
  warn(_fields: object, text: string): void {
    this.texts.push(text)
  }
  error(_fields: object, text: string): void {
    this.texts.push(text)
  }
  find(text: string): boolean {
    return this.texts.includes(text)
  }
  has(text: string): Promise<void> {
    return eventually(`the log says "${text}"`, 20_000, () => this.find(text))
  }
}

async function start(dataDir: string, log: EmbeddedLog = new Log()): Promise<Embedded> {
  const embedded = await startEmbedded({ dataDir, log })
  onTestFinished(() => embedded.stop())
  return embedded
}

/** In a process of its own, that can be killed. */
async function startElsewhere(
  dataDir: string,
  uid?: number,
): Promise<{ child: ChildProcess; url: string; pid: number }> {
  if (!existsSync(LAUNCHER)) throw new Error(`${LAUNCHER} is not there: build the server first`)
  const program = `
    import { startEmbedded } from ${JSON.stringify(LAUNCHER)}
    const log = { info() {}, warn() {}, error() {} }
    console.log((await startEmbedded({ dataDir: ${JSON.stringify(dataDir)}, log })).url)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    ...(uid === undefined ? {} : { uid, gid: uid }),
    cwd: dirname(LAUNCHER),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve)
    child.once('exit', (code) => reject(new Error(`exited with ${code}`)))
  })
  const pidFile = readFileSync(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8')
  return { child, url, pid: Number.parseInt(pidFile, 10) }
}

/** Resolves when it is gone: until then it may count as the owner. */
async function kill(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
}

function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'flashq-test-'))
  chmodSync(folder, 0o711)
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
