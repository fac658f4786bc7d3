// A session with PostgreSQL over everything that may happen to it.

import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { StorageFault } from '../../src/engine/storage-port.ts'
import type { Connection, Statement } from '../../src/storage/postgres/connection.ts'
import { type OwnBench, StorageBench } from '../support/storage-bench.ts'

let bench: OwnBench
let names = 0

beforeAll(async () => {
  bench = await StorageBench.onOwn({ fsync: 'off', max_connections: '20' })
})
afterEach(() => bench.endAll())
afterAll(() => bench?.close())

function text(statement: string): Statement {
  return { name: '', text: statement }
}

async function pidOf(connection: Connection): Promise<number> {
  const { rows } = await connection.query<{ pid: number }>(text('select pg_backend_pid() as pid'))
  return rows[0]?.pid ?? 0
}

function terminate(pid: number): Promise<object[]> {
  return bench.sql('select pg_terminate_backend($1)', [pid])
}

describe('a session', () => {
  it('is as it should be, whatever the address asks for', async () => {
    const applicationName = `flashq:${names++}`
    const url = `${bench.database.url}?application_name=other&statement_timeout=1&options=-c%20jit%3Don`
    const connection = bench.connection({
      url,
      schema: 'Odd "name"',
      applicationName,
      statementTimeoutMs: 1234,
      lockTimeoutMs: 567,
      synchronousCommit: 'off',
    })
    const { rows } = await connection.query<{ name: string; setting: string }>(
      text(`select name, setting from pg_settings where name in ('application_name', 'search_path',
        'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'synchronous_commit',
        'default_transaction_isolation', 'transaction_isolation', 'jit', 'idle_session_timeout')`),
    )
    expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toEqual({
      application_name: applicationName,
      search_path: '"Odd ""name"""',
      statement_timeout: '1234',
      lock_timeout: '567',
      idle_in_transaction_session_timeout: '1500',
      synchronous_commit: 'off',
      default_transaction_isolation: 'read committed',
      transaction_isolation: 'read committed',
      jit: 'off',
      idle_session_timeout: '0',
    })
  })

  it('that was ended begins again with the next statement', async () => {
    let tell: (fault: StorageFault) => void = () => undefined
    const lost = new Promise<StorageFault>((resolve) => {
      tell = resolve
    })
    const connection = bench.connection({}, { lost: (fault) => tell(fault) })
    const pid = await pidOf(connection)
    await terminate(pid)
    expect(await lost).toMatchObject({ code: '57P01', retryable: true })
    expect(await pidOf(connection)).not.toBe(pid)
  })

  it('prepares a statement once, and again after it was lost', async () => {
    const connection = bench.connection()
    const statement = { name: 'twice', text: 'select $1::int + 1 as sum' }
    for (const value of [1, 2]) {
      const { rows } = await connection.query<{ sum: number }>(statement, [value])
      expect(rows).toEqual([{ sum: value + 1 }])
    }
    const prepared = text(`select from pg_prepared_statements where name = 'twice'`)
    expect((await connection.query(prepared)).rows).toHaveLength(1)
    connection.drop()
    expect((await connection.query<{ sum: number }>(statement, [3])).rows).toEqual([{ sum: 4 }])
  })

  it('that rests is no longer there, until it is used again', async () => {
    let lost = 0
    const connection = bench.connection({}, { lost: () => lost++ })
    const pid = await pidOf(connection)
    await connection.rest()
    const there = 'select from pg_stat_activity where pid = $1'
    await expect.poll(() => bench.sql(there, [pid])).toEqual([])
    expect(await pidOf(connection)).not.toBe(pid)
    expect(lost).toBe(0)
  })

  it('is used by one call at a time, in order', async () => {
    const connection = bench.connection()
    const done: number[] = []
    await Promise.all(
      [0.05, 0, 0.02, 0].map(async (seconds, i) => {
        await connection.query(text(`select pg_sleep(${seconds})`))
        done.push(i)
      }),
    )
    expect(done).toEqual([0, 1, 2, 3])
  })

  it('survives a statement that fails', async () => {
    const connection = bench.connection()
    const pid = await pidOf(connection)
    await expect(connection.query(text('select nonsense'))).rejects.toMatchObject({
      name: 'StorageFault',
      code: '42703',
      retryable: false,
    })
    expect(await pidOf(connection)).toBe(pid)
  })

  it('knows that a pooler is in between', async () => {
    let pooled = 0
    const pooler = createServer((client) => {
      const upstream = connect(bench.target)
      upstream.on('data', (piece) => client.write(withOtherKey(piece)))
      upstream.on('error', () => client.destroy())
      client.on('data', (piece) => upstream.write(piece))
      client.on('error', () => upstream.destroy())
      client.on('close', () => upstream.destroy())
    })
    const url = bench.urlAt(await listening(pooler))
    await bench.connection({ url }, { pooled: () => pooled++ }).connect()
    expect(pooled).toBe(1)
    await bench.connection({}, { pooled: () => pooled++ }).connect()
    expect(pooled).toBe(1)
  })
})

describe('a transaction', () => {
  it('is committed, or rolled back with what was thrown', async () => {
    const connection = bench.connection()
    await connection.query(text('create table public.a (x int)'))
    const { x } = await connection.transaction(async (session) => {
      await session.query(text('insert into public.a values (1)'))
      return { x: 7 }
    })
    expect(x).toBe(7)
    const oops = new Error('oops')
    await expect(
      connection.transaction(async (session) => {
        await session.query(text('insert into public.a values (2)'))
        throw oops
      }),
    ).rejects.toBe(oops)
    expect((await connection.query(text('select x from public.a'))).rows).toEqual([{ x: 1 }])
  })

  it('is not taken for committed when PostgreSQL has rolled it back without an error', async () => {
    const connection = bench.connection()
    const committing = connection.transaction(async (session) => {
      await session.query(text('select nonsense')).catch(() => undefined)
    })
    await expect(committing).rejects.toMatchObject({ code: '25P02', retryable: false })
  })

  it('that is left alone is ended by PostgreSQL', async () => {
    let tell: (fault: StorageFault) => void = () => undefined
    const lost = new Promise<StorageFault>((resolve) => {
      tell = resolve
    })
    const connection = bench.connection({}, { lost: (fault) => tell(fault) })
    const left = connection.transaction(async (session) => {
      await session.query(text('select 1'))
      await lost
      await session.query(text('select 1'))
    })
    await expect(left).rejects.toMatchObject({ name: 'StorageFault', retryable: true })
    expect((await lost).code).toBe('25P03')
  })
})

describe('PostgreSQL that does not answer', () => {
  it('a statement in time costs the session', async () => {
    const connection = bench.connection({ answerTimeoutMs: 200 })
    const pid = await pidOf(connection)
    await expect(connection.query(text('select pg_sleep(60)'))).rejects.toMatchObject({
      code: 'timeout',
      retryable: true,
    })
    expect(await pidOf(connection)).not.toBe(pid)
    await terminate(pid)
  })

  it('because it is frozen is given up, and used again when it thaws', async () => {
    const connection = bench.connection({ answerTimeoutMs: 300, connectTimeoutMs: 300 })
    await connection.connect()
    bench.postgres.pause()
    try {
      for (const _ of ['the old session', 'a new one']) {
        await expect(connection.query(text('select 1'))).rejects.toMatchObject({
          code: 'timeout',
          retryable: true,
        })
      }
    } finally {
      bench.postgres.resume()
    }
    await expect
      .poll(() => pidOf(connection).catch(() => 0), { timeout: 10_000 })
      .toBeGreaterThan(0)
  })

  it('because it is something else is given up', async () => {
    const port = await listening(createServer((socket) => socket.resume()))
    const url = `postgresql://someone@127.0.0.1:${port}/x`
    await expect(bench.connection({ url, connectTimeoutMs: 200 }).connect()).rejects.toMatchObject({
      code: 'timeout',
      retryable: true,
    })
  })

  it('does not keep `close` waiting', async () => {
    const connection = bench.connection()
    await connection.connect()
    const outcome = connection.query(text('select pg_sleep(60)')).catch((fault: unknown) => fault)
    await connection.close(100)
    expect(await outcome).toMatchObject({ name: 'StorageFault', retryable: true })
    await expect(connection.query(text('select 1'))).rejects.toMatchObject({ code: 'closed' })
  })
})

describe('PostgreSQL that cannot be had', () => {
  it('says why, and whether it is worth another try', async () => {
    const server = createServer()
    const port = await listening(server)
    await closed(server)
    const { url } = bench.database
    const cases = [
      [`postgresql://x@127.0.0.1:${port}/x`, 'ECONNREFUSED', true],
      [`postgresql://x@${encodeURIComponent('/nowhere')}/x`, 'ENOENT', true],
      [url.replace(/\/postgres$/, '/absent'), '3D000', false],
      [url.replace('//flashq@', '//nobody@'), '28000', false],
      ['postgresql://u:hunter2@[bad/x', 'bad_url', false],
    ] as const
    for (const [address, code, retryable] of cases) {
      const fault = await bench
        .connection({ url: address })
        .connect()
        .catch((error: unknown) => error)
      expect(fault, address).toMatchObject({ name: 'StorageFault', code, retryable })
      expect(String(fault)).not.toContain('hunter2')
    }
  })

  it('because it has too many sessions is worth another try', async () => {
    // Some are kept for superusers.
    await bench.sql('create role ordinary login')
    const url = bench.database.url.replace('//flashq@', '//ordinary@')
    const connections = Array.from({ length: 20 }, () => bench.connection({ url }))
    const outcomes = await Promise.all(
      connections.map((connection) => connection.connect().catch((fault: unknown) => fault)),
    )
    const refused = outcomes.filter((outcome) => outcome !== undefined)
    expect(refused.length).toBeGreaterThan(0)
    for (const fault of refused) expect(fault).toMatchObject({ code: '53300', retryable: true })
  })
})

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  bench.until(() => closed(server))
  return (server.address() as AddressInfo).port
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()))
}

/** BackendKeyData with another process id, as poolers send their own. */
function withOtherKey(piece: Buffer): Buffer {
  const at = piece.indexOf(Buffer.from([75, 0, 0, 0, 12]))
  if (at < 0) return piece
  const changed = Buffer.from(piece)
  changed.writeInt32BE(1, at + 5)
  return changed
}
