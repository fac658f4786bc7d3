// Many jobs, many checkpoints, and the thread of the built server.

import { monitorEventLoopDelay } from 'node:perf_hooks'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { CheckpointWorker } from '../../src/storage/postgres/checkpoint/checkpoint-worker.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { FOLLOWED_QUEUE, FOLLOWED_SHARD, FollowedShard } from '../support/followed-shard.ts'
import { connectionTo, migrateDatabase, PostgresShard } from '../support/postgres-shard.ts'

const MANY = 200_000

let database: TestDatabase
let stored: PostgresShard
let followed: FollowedShard

beforeAll(async () => {
  database = await openTestDatabase()
  await migrateDatabase(database)
})
afterAll(() => database.drop())
beforeEach(async () => {
  stored = await PostgresShard.claim(database, FOLLOWED_SHARD, 0)
  await stored.forget()
  followed = new FollowedShard(stored)
})
afterEach(() => stored.close())

async function pushMany(count: number, dataBytes: number): Promise<void> {
  const jobs = Array.from({ length: 1000 }, (_, i) => ({ data: `${i}${'x'.repeat(dataBytes)}` }))
  for (let pushed = 0; pushed < count; pushed += jobs.length) {
    followed.engine.send({ cmd: 'PUSHB', queue: FOLLOWED_QUEUE, jobs })
    await followed.append()
  }
}

function ms(since: number): number {
  return Math.round(performance.now() - since)
}

describe('many jobs', () => {
  it('are loaded while the event loop goes on', async () => {
    await pushMany(MANY, 100)
    const fromJournal = performance.now()
    expect((await stored.load()).dump).toBe(followed.dump())
    const journalMs = ms(fromJournal)
    const checkpointing = performance.now()
    expect(await stored.checkpoint()).toMatchObject({ jobs: MANY })
    const checkpointMs = ms(checkpointing)
    const delay = monitorEventLoopDelay({ resolution: 1 })
    let turns = 0
    const ticking = setInterval(() => turns++, 1)
    delay.enable()
    const fromRows = performance.now()
    const recovered = await stored.loadOnly()
    const rowsMs = ms(fromRows)
    delay.disable()
    clearInterval(ticking)
    expect(recovered.jobs).toBe(MANY)
    // As many turns as a loop has that is blocked for at most a few chunks at a time.
    expect(turns).toBeGreaterThan(20)
    console.info(
      `${MANY} jobs: load from the journal and dump ${journalMs} ms, checkpoint ${checkpointMs} ms, ` +
        `load from rows ${rowsMs} ms, longest pause ${Math.round(delay.max / 1e6)} ms`,
    )
  })
})

describe('many checkpoints', () => {
  it('leave the tables as they are, though somebody holds an old snapshot', async () => {
    const sizes = async (): Promise<number> => {
      const rows = await stored.rows<{ bytes: number }>(
        `select sum(pg_total_relation_size(oid))::float8 as bytes from pg_class
         where relnamespace = $1::regnamespace and relkind in ('r', 'p') and relname !~ '^history'`,
        [database.schema],
      )
      return rows[0]?.bytes as number
    }
    // Much that is no job: parents and children, queues, dead letters.
    for (let i = 0; i < 300; i++) {
      const parent = followed.engine.push(FOLLOWED_QUEUE, 'x'.repeat(200))
      followed.engine.push(FOLLOWED_QUEUE, null, { depends_on: [parent] })
    }
    const round = async (): Promise<void> => {
      followed.engine.push(FOLLOWED_QUEUE, 'x'.repeat(200))
      followed.engine.ack(followed.engine.pull(FOLLOWED_QUEUE)?.id as number)
      await followed.append()
      expect(await stored.checkpoint()).not.toBe('fenced')
    }
    const holder = connectionTo(database, 'holder')
    await holder.transaction(async (session) => {
      await session.query({
        name: '',
        text: 'set transaction isolation level repeatable read; set local idle_in_transaction_session_timeout = 0',
      })
      await session.query({ name: '', text: 'select count(*) from pg_class' })
      for (let i = 0; i < 4; i++) await round()
      const before = await sizes()
      for (let i = 0; i < 20; i++) await round()
      // Rows of `shard` and `checkpoint`, some 60 bytes each, are all that stays behind.
      expect((await sizes()) - before).toBeLessThanOrEqual(2 * 8192)
    })
    await holder.close()
    expect((await stored.load()).dump).toBe(followed.dump())
  })
})

describe('the thread of the built server', () => {
  let worker: CheckpointWorker

  beforeEach(async () => {
    const path = '../../dist/storage/postgres/checkpoint/checkpoint-worker.js'
    const built = (await import(path)) as { CheckpointWorker: typeof CheckpointWorker }
    worker = new built.CheckpointWorker({
      url: database.url,
      schema: database.schema,
      applicationName: `flashq:${stored.fence.owner}`,
      historyDays: 7,
    })
  })
  afterEach(() => worker.stop())

  it('makes checkpoints one after another, and says when it is fenced', async () => {
    await pushMany(2000, 10)
    const first = worker.checkpoint(stored.fence, stored.position)
    const second = worker.checkpoint({ ...stored.fence, epoch: 0 }, stored.position)
    expect(await first).toMatchObject({ generation: 1, jobs: 2000 })
    expect(await second).toBe('fenced')
    expect((await stored.load()).dump).toBe(followed.dump())
  })

  it('answers faults as faults, and stops with nothing half', async () => {
    await pushMany(2000, 10)
    await expect(worker.checkpoint(stored.fence, stored.position + 1)).rejects.toMatchObject({
      name: 'StorageFault',
      code: 'corrupt',
      retryable: false,
    })
    const underWay = worker.checkpoint(stored.fence, stored.position).catch((error) => error)
    await worker.stop()
    const made = (await underWay) as { code?: string; jobs?: number }
    // It may have been quicker than `stop`.
    expect(made.code ?? made.jobs).toSatisfy((it) => it === 2000 || typeof it === 'string')
    expect((await stored.load()).dump).toBe(followed.dump())
    expect(
      await stored.rows(
        `select 1 from pg_stat_activity where application_name = $1 and pid <> pg_backend_pid()`,
        [`flashq:${stored.fence.owner}`],
      ),
    ).toEqual([])
  })
})
