// What may go wrong while a checkpoint is made: nothing of it is half, and nobody waits for it who must not.

import { from as copyFrom } from 'pg-copy-streams'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  type CheckpointMade,
  type ShardReader,
  StorageFault,
} from '../../src/engine/storage-port.ts'
import { rebuiltShard } from '../../src/storage/postgres/checkpoint/checkpoint-maker.ts'
import { loadShard } from '../../src/storage/postgres/checkpoint/load.ts'
import {
  type Rebuilt,
  writeCheckpoint,
} from '../../src/storage/postgres/checkpoint/write-checkpoint.ts'
import type { Connection, Session } from '../../src/storage/postgres/connection.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'
import { FOLLOWED_QUEUE, FOLLOWED_SHARD, FollowedShard } from '../support/followed-shard.ts'
import {
  connectionTo,
  migrateDatabase,
  PostgresShard,
  sessionSettings,
} from '../support/postgres-shard.ts'
import { type BeforeStatement, SteppedConnection } from '../support/stepped-connection.ts'

let database: TestDatabase
let stored: PostgresShard
let followed: FollowedShard
let admin: Connection

beforeAll(async () => {
  database = await openTestDatabase()
  await migrateDatabase(database)
  admin = connectionTo(database, 'admin')
})
afterAll(async () => {
  await admin.close()
  await database.drop()
})
beforeEach(async () => {
  stored = await PostgresShard.claim(database, FOLLOWED_SHARD)
  await stored.forget()
  followed = new FollowedShard(stored)
  push(40)
  await followed.append()
})
afterEach(() => stored.close())

function push(count: number): void {
  for (let i = 0; i < count; i++) followed.engine.push(FOLLOWED_QUEUE, { i }, { priority: i % 3 })
  followed.engine.ack(followed.engine.pull(FOLLOWED_QUEUE)?.id as number, {
    result: { done: count },
  })
}

/** Of all that was appended, over a session that the test can step into. */
function checkpointBy(
  connection: Connection,
  rebuild: (shard: number) => Rebuilt = rebuiltShard,
): Promise<CheckpointMade | 'fenced'> {
  return writeCheckpoint(connection, database.schema, stored.fence, stored.position, {
    rebuild,
    historyDays: 7,
  })
}

function stepped(before: BeforeStatement): SteppedConnection {
  return new SteppedConnection(sessionSettings(database, `flashq:${stored.fence.owner}`), before)
}

interface Stored {
  readonly generation: number
  readonly covered: number
  readonly checkpoints: number
  readonly history: number
}

async function now(): Promise<Stored | undefined> {
  const rows = await stored.rows<Stored & Record<string, unknown>>(
    `select generation, covered, (select count(*) from ${stored.table('checkpoint')}) as checkpoints,
       (select count(*) from ${stored.table('history')}) as history
     from ${stored.table('shard')} where shard = ${FOLLOWED_SHARD}`,
  )
  return rows[0]
}

async function endBackend(session: Session): Promise<void> {
  const { pid } = (await session.client.query<{ pid: number }>('select pg_backend_pid() as pid'))
    .rows[0] as { pid: number }
  await admin.query({ name: '', text: 'select pg_terminate_backend($1)' }, [pid])
}

/** Runs it with a fault before statement 1, then 2, … until there is no such statement. */
async function sweep(run: (n: number) => Promise<'untouched' | 'done'>): Promise<number> {
  for (let n = 1; ; n++) if ((await run(n)) === 'untouched') return n - 1
}

describe('a checkpoint', () => {
  it('lets appends through until its last statement', async () => {
    const appended: number[] = []
    const connection = stepped(async (n, text) => {
      if (/^update .*generation = generation/.test(text)) return
      push(1)
      // What the checkpoint does not cover goes to the other side.
      await followed.append()
      appended.push(n)
    })
    stored.side = 1
    const made = await checkpointBy(connection)
    await connection.close()
    expect(made).toMatchObject({ generation: 1, jobs: 40 })
    expect(appended.length).toBeGreaterThan(8)
    const recovered = await stored.load()
    expect(recovered.dump).toBe(followed.dump())
    expect(recovered).toMatchObject({
      position: 1 + appended.length,
      side: 1,
      otherSideEmpty: false,
    })
  })

  it('changes nothing when the shard is claimed anew before any of its statements', async () => {
    const statements = await sweep(async (n) => {
      await stored.forget()
      const before = await now()
      let claimed: PostgresShard | null = null
      const connection = stepped(async (at) => {
        if (at === n) claimed = await PostgresShard.claim(database, FOLLOWED_SHARD)
      })
      await refill()
      const made = await checkpointBy(connection)
      await connection.close()
      if (claimed === null) {
        expect(made).toMatchObject({ generation: 1 })
        return 'untouched'
      }
      expect(made).toBe('fenced')
      expect(await now()).toEqual(before)
      const taker: PostgresShard = claimed
      expect((await taker.load()).dump).toBe(followed.dump())
      await taker.close()
      await reclaim()
      return 'done'
    })
    expect(statements).toBeGreaterThan(10)
  })

  it('is whole or not there when its session ends before any of its statements', async () => {
    const statements = await sweep(async (n) => {
      await stored.forget()
      await refill()
      const before = await now()
      let ended = false
      const connection = stepped(async (at, _, session) => {
        if (at !== n) return
        ended = true
        if (session === null) connection.drop()
        else await endBackend(session).catch(() => undefined)
      })
      const made = await checkpointBy(connection).catch((error: unknown) => error)
      if (!ended) {
        expect(made).toMatchObject({ generation: 1 })
        await connection.close()
        return 'untouched'
      }
      if (made instanceof StorageFault) {
        expect(made).toMatchObject({ retryable: true })
        expect(await now()).toEqual({ ...before, history: expect.anything() })
      }
      connection.before = async () => undefined
      const history = (await now())?.history
      expect(await checkpointBy(connection)).toMatchObject({ generation: 1, jobs: 40 })
      await connection.close()
      expect(await now()).toMatchObject({ generation: 1, covered: stored.position, checkpoints: 1 })
      expect(history).toBeLessThanOrEqual((await now())?.history ?? 0)
      expect((await stored.load()).dump).toBe(followed.dump())
      return 'done'
    })
    expect(statements).toBeGreaterThan(10)
  })

  it('is not there when its session ends, or its rows cannot be made, while rows are copied', async () => {
    const before = await now()
    for (const fault of ['session', 'rows'] as const) {
      const connection = stepped(async () => undefined)
      const made = await checkpointBy(connection, (shard) => {
        const real = rebuiltShard(shard)
        return {
          ...real,
          *rows() {
            let count = 0
            for (const row of real.rows()) {
              if (count++ === 20 && fault === 'rows') throw new Error('a bug')
              if (count === 20 && fault === 'session') connection.drop()
              yield row
            }
          },
        }
      }).catch((error: unknown) => error)
      if (fault === 'session') expect(made).toMatchObject({ retryable: true })
      else expect(made).toEqual(new Error('a bug'))
      expect(await now()).toEqual(before)
      // The session is as good as new.
      expect(await checkpointBy(connection)).toMatchObject({ jobs: 40 })
      await stored.forget()
      await refill()
      await connection.close()
    }
  })

  it('is found, not made again, when the answer to its commit was lost', async () => {
    const inForce = /^update .*generation = generation/
    let last = ''
    const connection = stepped(async (_, text) => {
      last = text
    })
    const lost = new StorageFault('connection_lost', 'the answer was lost', true)
    connection.committed = () => {
      if (inForce.test(last)) throw lost
    }
    await expect(checkpointBy(connection)).rejects.toBe(lost)
    const before = await now()
    expect(before).toMatchObject({ generation: 1, checkpoints: 1 })
    expect(await checkpointBy(connection)).toMatchObject({ generation: 1, jobs: 40 })
    expect(await now()).toEqual(before)
    await connection.close()
  })

  it('is put off by a reader of the slot, and then made', async () => {
    const slot = FOLLOWED_SHARD * 2 + 1
    await admin.transaction(async (reader) => {
      await reader.query({ name: '', text: `select count(*) from ${stored.table(`job_${slot}`)}` })
      await expect(stored.maker.checkpoint(stored.fence, stored.position)).rejects.toMatchObject({
        code: '55P03',
        retryable: true,
      })
    })
    expect(await stored.maker.checkpoint(stored.fence, stored.position)).toMatchObject({
      generation: 1,
    })
  })

  it('that hangs while it copies holds up neither appends nor a taker, who ends it by its name', async () => {
    expect(await stored.checkpoint()).toMatchObject({ generation: 1 })
    push(3)
    await followed.append()
    const hung = connectionTo(database, 'flashq:hung')
    const over = hung
      .transaction(async ({ client }) => {
        await client.query(`truncate ${stored.table(`job_${FOLLOWED_SHARD * 2}`)}`)
        // Nothing is ever sent.
        const copy = client.query(
          copyFrom(`copy ${stored.table(`job_${FOLLOWED_SHARD * 2}`)} from stdin`),
        )
        await new Promise((_, reject) => copy.on('error', reject))
      })
      .catch((error: unknown) => error)
    await eventually('the copy hangs', 10_000, async () => {
      const rows = await stored.rows(
        `select 1 from pg_stat_activity where application_name = 'flashq:hung' and query like 'copy%'`,
      )
      return rows.length === 1
    })
    push(2)
    await followed.append()
    const taker = await PostgresShard.claim(database, FOLLOWED_SHARD)
    const recovered = await taker.load()
    expect(recovered.dump).toBe(followed.dump())
    taker.position = recovered.position
    await expect(taker.checkpoint()).rejects.toMatchObject({ code: '55P03', retryable: true })
    await taker.rows(
      `select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'flashq:hung'`,
    )
    expect(await over).toMatchObject({ code: '57P01' })
    expect(await taker.checkpoint()).toMatchObject({ generation: 2 })
    expect((await taker.load()).dump).toBe(followed.dump())
    await taker.close()
    await hung.close()
    await reclaim()
  })
})

describe('a load', () => {
  it('refuses a journal with a gap, or with an epoch that falls', async () => {
    push(1)
    await followed.append()
    push(1)
    await followed.append()
    const journal = stored.table('journal')
    await stored.rows(`update ${journal} set epoch = epoch + 1 where position = 2`)
    await expect(stored.load()).rejects.toMatchObject({ code: 'corrupt', retryable: false })
    await stored.rows(`delete from ${journal} where position = 2`)
    await expect(stored.load()).rejects.toMatchObject({ code: 'corrupt', retryable: false })
    // The session has lost nothing by it.
    await stored.rows(`delete from ${journal} where position = 3`)
    expect(await stored.load()).toMatchObject({ position: 1 })
  })

  it('fails when its session ends, and may be repeated', async () => {
    for (const checkpoints of [0, 1]) {
      if (checkpoints === 1) expect(await stored.checkpoint()).toMatchObject({ generation: 1 })
      push(1)
      await followed.append()
      const connection = stepped(async () => undefined)
      const { reader } = rebuiltShard(FOLLOWED_SHARD)
      const cut = passOn(reader)
      if (checkpoints === 0) cut.batch = () => connection.drop()
      else {
        cut.job = (row) => {
          connection.drop()
          reader.job(row)
        }
      }
      await expect(loadShard(connection, database.schema, stored.fence, cut)).rejects.toMatchObject(
        { name: 'StorageFault', retryable: true },
      )
      const again = rebuiltShard(FOLLOWED_SHARD)
      const loaded = await loadShard(connection, database.schema, stored.fence, again.reader)
      expect(loaded.position).toBe(stored.position)
      await connection.close()
    }
  })

  it('is refused when the shard is somebody else’s', async () => {
    const taker = await PostgresShard.claim(database, FOLLOWED_SHARD)
    await expect(stored.load()).rejects.toMatchObject({ code: 'fenced' })
    await taker.close()
    await reclaim()
  })

  it('is refused when its checkpoint was replaced meanwhile', async () => {
    expect(await stored.checkpoint()).toMatchObject({ generation: 1 })
    const connection = stepped(async (_, text) => {
      if (text.includes('max(position)')) {
        await admin.query({ name: '', text: `update ${stored.table('shard')} set generation = 3` })
      }
    })
    const { reader } = rebuiltShard(FOLLOWED_SHARD)
    await expect(
      loadShard(connection, database.schema, stored.fence, reader),
    ).rejects.toMatchObject({ code: 'fenced' })
    await connection.close()
  })
})

function passOn(reader: ShardReader): ShardReader {
  return {
    meta: (bytes) => reader.meta(bytes),
    job: (row) => reader.job(row),
    checkpointEnded: () => reader.checkpointEnded(),
    batch: (bytes) => reader.batch(bytes),
  }
}

/** The journal as the engine has it: one batch with all of it. */
async function refill(): Promise<void> {
  stored.position = 0
  stored.side = 0
  await stored.append(followed.engine.records[FOLLOWED_SHARD] ?? [])
}

async function reclaim(): Promise<void> {
  await stored.close()
  stored = await PostgresShard.claim(database, FOLLOWED_SHARD)
}
