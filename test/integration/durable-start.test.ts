// Whether a durable server starts, with what it says when it does not; and what is left behind when it ends.

import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  clientOf,
  databaseSettings,
  kill,
  launch,
  type Settings,
  startDurable,
} from '../support/durable-server.ts'
import { eventually } from '../support/eventually.ts'
import { queryOnce } from '../support/own-postgres.ts'
import { isAlive, type ServerProcess } from '../support/server-process.ts'

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

describe('without a database', () => {
  it('it is tried again, and given up after DATABASE_START_TIMEOUT_MS', async () => {
    const DATABASE_URL = `postgres://nobody:secret@127.0.0.1:${await freePort()}/none`
    const server = launch({ DATABASE_URL, DATABASE_START_TIMEOUT_MS: '1200' })
    const { code } = await server.exited
    expect(code).toBe(1)
    const tries = server.log.filter(({ level, msg }) => level === 'warn' && / attempt \d/.test(msg))
    expect(tries.length).toBeGreaterThanOrEqual(2)
    expect(server.log.at(-1)).toMatchObject({
      level: 'fatal',
      msg: expect.stringMatching(/^no database: gave up after \d+ ms .*ECONNREFUSED/),
    })
    expect(JSON.stringify(server.log) + server.errors).not.toContain('secret')
  })

  it('that exists, or lets nobody in, it fails at once, with a clear line', async () => {
    const { DATABASE_URL } = await databaseSettings()
    const elsewhere = new URL(DATABASE_URL)
    elsewhere.pathname = '/flashq_is_not_there'
    const stranger = new URL(DATABASE_URL)
    stranger.username = 'flashq_stranger'
    for (const [url, reason] of [
      [elsewhere, /^no database: .*"flashq_is_not_there" does not exist/],
      [stranger, /^no database: .*flashq_stranger/],
    ] as const) {
      const server = launch({ DATABASE_URL: url.href })
      expect((await server.exited).code).toBe(1)
      expect(server.log).toHaveLength(1)
      expect(server.log[0]).toMatchObject({ level: 'fatal', msg: expect.stringMatching(reason) })
    }
  })

  it('SIGTERM while it waits ends it cleanly', async () => {
    const DATABASE_URL = `postgres://nobody@127.0.0.1:${await freePort()}/none`
    const server = launch({ DATABASE_URL })
    await eventually('it has tried', 10_000, () =>
      server.log.some(({ msg }) => /attempt/.test(msg)),
    )
    expect(await server.stop()).toEqual({ code: 0, signal: null })
  })
})

describe('a schema', () => {
  it('is made, checked and printed by `flashq-server migrate`, and refused when it is too new', async () => {
    const settings = await databaseSettings()
    const { DATABASE_URL: url, DATABASE_SCHEMA: schema } = settings
    const before = await migrate(settings, '--check')
    expect(before).toMatchObject({ code: 1, out: expect.stringContaining('to do: version 1') })
    const made = await migrate(settings)
    expect(made).toMatchObject({ code: 0, out: expect.stringContaining('applied version 1') })
    expect((await migrate(settings, '--check')).code).toBe(0)
    const sql = await migrate({}, '--sql')
    expect(sql).toMatchObject({ code: 0, out: expect.stringMatching(/create table/i) })
    expect((await migrate(settings, '--nonsense')).code).toBe(2)
    const server = await startDurable(settings)
    await (await clientOf(server)).push('q', 1)
    expect((await server.stop()).code).toBe(0)
    await queryOnce(
      url,
      `insert into ${schema}.migration (version, name, breaking, applied_at) values (999, 'of the future', true, now())`,
    )
    const refused = launch(settings)
    expect((await refused.exited).code).toBe(1)
    expect(refused.log).toHaveLength(1)
    expect(refused.log[0]).toMatchObject({ level: 'fatal', msg: expect.stringContaining('999') })
    expect((await migrate(settings, '--check')).code).toBe(1)
  })
})

describe('DATABASE_URL=embedded', () => {
  it('keeps jobs over Ctrl-C and a second start in the same DATA_DIR', async () => {
    const settings = embedded()
    const first = await startDurable(settings)
    const id = await (await clientOf(first)).push('q', 'kept')
    const pids = familyOf(first)
    first.signal('SIGINT')
    expect(await first.exited).toEqual({ code: 0, signal: null })
    expect(pids.filter(isAlive)).toEqual([])
    const second = await startDurable(settings)
    expect(await (await clientOf(second)).pull('q')).toMatchObject({ id, data: 'kept' })
  })

  it('leaves no process behind when it is killed, and the next start works', async () => {
    const settings = embedded()
    const first = await startDurable(settings)
    const id = await (await clientOf(first)).push('q', 'kept')
    const pids = familyOf(first)
    // Workers, the postmaster and its own processes.
    expect(pids.length).toBeGreaterThan(6)
    await kill(first)
    const second = await startDurable(settings)
    expect(await (await clientOf(second)).pull('q')).toMatchObject({ id, data: 'kept' })
    await eventually('nothing of it is left', 5000, () => !pids.some(isAlive))
  })

  it('ends cleanly, with nothing left, when it is stopped while it starts', async () => {
    const settings = embedded()
    const server = launch(settings)
    const pids: number[] = []
    await eventually('a PostgreSQL is on its way', 10_000, () => {
      pids.push(...familyOf(server))
      return pids.length > 0
    })
    expect((await server.stop()).code).toBe(0)
    await eventually('nothing of it is left', 10_000, () => !pids.some(isAlive))
    const next = await startDurable(settings)
    expect(await (await clientOf(next)).push('q', 1)).toBeGreaterThan(0)
  })
})

function embedded(): Settings {
  const folder = mkdtempSync(join(tmpdir(), 'flashq-data-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  // So that another account than this one may work below it.
  execFileSync('chmod', ['711', folder])
  return { DATABASE_URL: 'embedded', DATA_DIR: join(folder, 'data') }
}

/** All processes below it. */
function familyOf(server: ServerProcess): number[] {
  const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
  const rows = table
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
  const family = [server.pid]
  for (const parent of family) {
    for (const [pid = 0, ppid] of rows) if (ppid === parent) family.push(pid)
  }
  return family.slice(1)
}

interface Ran {
  readonly code: number
  readonly out: string
}

function migrate(settings: Settings, ...args: string[]): Promise<Ran> {
  const env = { PATH: process.env['PATH'], ...settings }
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [MAIN, 'migrate', ...args], { env }, (_, out) =>
      resolve({ code: child.exitCode ?? -1, out }),
    )
  })
}

/** Nobody listens there. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
