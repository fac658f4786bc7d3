// What people see of checkpoints: the views never fail, whatever clients have pushed; finished jobs are in the history
// once; old days go.

import { readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  dayOf,
  dropHistoryDays,
  makeHistoryDays,
} from '../../src/storage/postgres/checkpoint/history-days.ts'
import type { Connection } from '../../src/storage/postgres/connection.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { FOLLOWED_QUEUE, FOLLOWED_SHARD, FollowedShard } from '../support/followed-shard.ts'
import { connectionTo, migrateDatabase, PostgresShard } from '../support/postgres-shard.ts'

const DAY_MS = 24 * 60 * 60 * 1000

let database: TestDatabase
let stored: PostgresShard
let followed: FollowedShard

beforeAll(async () => {
  database = await openTestDatabase()
  await migrateDatabase(database)
})
afterAll(() => database.drop())
beforeEach(async () => {
  stored = await PostgresShard.claim(database, FOLLOWED_SHARD)
  await stored.forget()
  followed = new FollowedShard(stored, { count: 1000, ageMs: 10 * DAY_MS, bytes: 1 << 30 })
  // The history goes by PostgreSQL's clock.
  followed.engine.jump(Date.now() - followed.engine.nowMs)
})
afterEach(() => stored.close())

async function checkpoint(): Promise<void> {
  await followed.append()
  expect(await stored.checkpoint()).not.toBe('fenced')
}

type Row = Record<string, unknown>

async function jobs(where = 'true'): Promise<readonly Row[]> {
  return stored.rows<Row>(
    `select * from ${stored.table('jobs_overview')} where ${where} order by id`,
  )
}

describe('jobs_overview', () => {
  it('is empty before the first checkpoint, and has the newest one then', async () => {
    expect(await jobs()).toEqual([])
    const { engine } = followed
    const id = engine.push(FOLLOWED_QUEUE, { to: 'ann' }, { priority: 7, tags: ['a', 'b'] })
    await checkpoint()
    const first = await jobs()
    expect(first).toMatchObject([
      {
        id,
        queue: FOLLOWED_QUEUE,
        state: 'waiting',
        priority: 7,
        attempts: 0,
        max_attempts: null,
        progress: 0,
        created_at: new Date(engine.nowMs),
        run_at: new Date(engine.nowMs),
        started_at: null,
        finished_at: null,
        lease_until: null,
        data: '{"to":"ann"}',
        result: null,
        unique_key: null,
        tags: '["a","b"]',
        depends_on: null,
        error: null,
        shard: FOLLOWED_SHARD,
      },
    ])
    const pulled = engine.pull(FOLLOWED_QUEUE, { lease: 5000 })
    const child = engine.push(FOLLOWED_QUEUE, null, { depends_on: [id], unique_key: 'k "1"' })
    await checkpoint()
    expect(pulled?.id).toBe(id)
    expect(await jobs()).toMatchObject([
      { id, state: 'active', lease_until: new Date(engine.nowMs + 5000) },
      { id: child, state: 'waiting-children', depends_on: `[${id}]`, unique_key: 'k "1"' },
    ])
    engine.ack(id, { result: { ok: true } })
    await checkpoint()
    expect(await jobs()).toMatchObject([
      { id, state: 'completed', result: '{"ok":true}', finished_at: new Date(engine.nowMs) },
      { id: child, state: 'waiting' },
    ])
  })

  it('shows whatever clients may push', async () => {
    const { engine } = followed
    const raw: [data: string, fields: string][] = [
      ['"\\u0000"', '"unique_key":"nul \\u0000"'],
      ['"\\ud800 alone"', '"unique_key":"half \\ud800","tags":["\\udfff"]'],
      [`${'9'.repeat(400)}e999999`, '"tags":["1e400"]'],
      [`${'['.repeat(60)}${']'.repeat(60)}`, '"unique_key":"\\"unique_key\\":\\"no\\""'],
      [`"${'x'.repeat((1 << 20) - 2)}"`, '"unique_key":"\\\\u0000 as text"'],
      ['{"a":1,"a":2,"__proto__":{}}', '"tags":["\\"error\\":\\"no\\""]'],
      ['"𐀀 \u{10ffff} \ufeff \\u001f"', '"unique_key":"ключ \\t \\u001f 𐀀"'],
    ]
    for (const [data, fields] of raw) {
      engine.send(`{"cmd":"PUSH","queue":"${FOLLOWED_QUEUE}","data":${data},${fields}}`)
    }
    engine.send(
      `{"cmd":"PUSH","queue":"${FOLLOWED_QUEUE}","data":1,"delay":${365 * DAY_MS},"priority":-5}`,
    )
    const failing = engine.push(FOLLOWED_QUEUE, 'fails', { max_attempts: 1, priority: 9 })
    engine.pull(FOLLOWED_QUEUE)
    engine.send(`{"cmd":"FAIL","id":${failing},"error":"bad \\u0000 \\ud83d and \\"tags\\":[1]"}`)
    await checkpoint()
    const seen = await jobs(`id <> ${failing}`)
    expect(seen.map((row) => row['data'])).toEqual([...raw.map(([data]) => data), '1'])
    expect(seen.map((row) => row['unique_key'])).toEqual([
      '"nul \\u0000"',
      '"half \\ud800"',
      null,
      '"unique_key":"no"',
      '\\u0000 as text',
      null,
      'ключ \t \u001f 𐀀',
      null,
    ])
    expect(seen[1]?.['tags']).toBe('["\\udfff"]')
    expect(seen[5]?.['tags']).toBe('["\\"error\\":\\"no\\""]')
    expect(seen[5]?.['error']).toBe(null)
    const [failed] = await jobs(`id = ${failing}`)
    expect(failed).toMatchObject({ state: 'failed', tags: null })
    expect(failed?.['error']).toBe('"bad \\u0000 \\ud83d and \\"tags\\":[1]"')
    const finished = await stored.rows(
      `select * from ${stored.table('history_overview')} where id = ${failing}`,
    )
    expect(finished).toMatchObject([{ error: failed?.['error'] }])
    expect((await stored.load()).dump).toBe(followed.dump())
  })

  it('reads one slot of each shard and no other', async () => {
    followed.engine.push(FOLLOWED_QUEUE)
    await checkpoint()
    const plan = await stored.rows<{ 'QUERY PLAN': string }>(
      `explain (analyze, costs off, timing off, summary off) select * from ${stored.table('jobs_overview')}`,
    )
    const read = plan
      .map((row) => row['QUERY PLAN'])
      .filter((line) => /Seq Scan on job_/.test(line))
    const run = read.filter((line) => !line.includes('never executed'))
    expect(run).toHaveLength(1)
    expect(run[0]).toContain(`job_${FOLLOWED_SHARD * 2 + 1}`)
  })
})

it('the examples of docs/database.md run', async () => {
  followed.engine.push(FOLLOWED_QUEUE)
  await checkpoint()
  const page = readFileSync('docs/database.md', 'utf8')
  const examples = [...page.matchAll(/```sql\n(.*?)```/gs)].flatMap(([, text]) =>
    (text as string).split(';').filter((statement) => statement.trim() !== ''),
  )
  expect(examples.length).toBeGreaterThan(3)
  for (const example of examples) {
    await stored.rows(example.replaceAll('flashq.', `"${database.schema}".`))
  }
})

describe('queues_overview', () => {
  it('counts by state and says as of when', async () => {
    const { engine } = followed
    const oldest = engine.nowMs
    for (let i = 0; i < 5; i++) {
      engine.push(FOLLOWED_QUEUE)
      engine.advance(1000)
    }
    engine.push(FOLLOWED_QUEUE, null, { delay: 60_000 })
    engine.ack(engine.pull(FOLLOWED_QUEUE)?.id as number)
    engine.pull(FOLLOWED_QUEUE)
    await checkpoint()
    const rows = await stored.rows<Row>(`select * from ${stored.table('queues_overview')}`)
    expect(rows).toEqual([
      {
        queue: FOLLOWED_QUEUE,
        waiting: 3,
        delayed: 1,
        active: 1,
        waiting_children: 0,
        failed: 0,
        completed: 1,
        oldest_waiting: new Date(oldest + 2000),
        as_of: expect.any(Date),
      },
    ])
  })
})

describe('history', () => {
  const history = (): Promise<readonly Row[]> =>
    stored.rows<Row>(`select * from ${stored.table('history_overview')} order by finished_at, id`)

  beforeEach(() => stored.rows(`truncate ${stored.table('history')}`))

  it('has each finished job once, whatever checkpoints and owners come', async () => {
    const { engine } = followed
    const finished: number[] = []
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < 20; i++) engine.push(FOLLOWED_QUEUE, { round, i })
      for (const id of engine.pullIds(FOLLOWED_QUEUE, 10)) {
        engine.ack(id, { result: id })
        finished.push(id)
      }
      await checkpoint()
      if (round !== 3) continue
      // Another owner goes on where this one was.
      const taker = await PostgresShard.claim(database, FOLLOWED_SHARD)
      taker.position = stored.position
      taker.side = stored.side
      await stored.close()
      stored = taker
      followed.stored = taker
    }
    const rows = await history()
    expect(rows.map((row) => row['id']).sort()).toEqual(finished.sort())
    expect(rows[0]).toMatchObject({
      state: 'completed',
      data: '{"round":0,"i":0}',
      result: String(rows[0]?.['id']),
      shard: FOLLOWED_SHARD,
    })
  })

  it('has a failed job with its error, again when it failed again', async () => {
    const { engine } = followed
    const id = engine.push(FOLLOWED_QUEUE, 1, { max_attempts: 1 })
    const failOnce = async (error: string): Promise<void> => {
      engine.pull(FOLLOWED_QUEUE)
      engine.fail(id, error)
      await checkpoint()
    }
    await failOnce('first')
    await checkpoint()
    expect(await history()).toMatchObject([{ id, state: 'failed', error: 'first' }])
    engine.send({ cmd: 'RETRYDLQ', queue: FOLLOWED_QUEUE, id })
    await checkpoint()
    await failOnce('second')
    expect((await history()).map((row) => row['error'])).toEqual(['first', 'second'])
  })

  it('is written by day, days made at need, and none of those that are too old', async () => {
    const today = dayOf(Date.now())
    // An engine whose clock is ten days behind, then four.
    followed = new FollowedShard(stored, { count: 1000, ageMs: 100 * DAY_MS, bytes: 1 << 30 })
    const past = followed.engine
    past.jump((today - 10) * DAY_MS - past.nowMs)
    for (const day of [10, 4, 4, 0]) {
      past.jump((today - day) * DAY_MS + 1000 - past.nowMs)
      past.push(FOLLOWED_QUEUE, day)
      past.ack(past.pull(FOLLOWED_QUEUE)?.id as number)
    }
    await checkpoint()
    expect((await history()).map((row) => row['data'])).toEqual(['4', '4', '0'])
    expect(
      (await stored.rows(`select distinct tableoid from ${stored.table('history')}`)).length,
    ).toBe(2)
  })

  it('drops old days, but not one that somebody reads', async () => {
    const makers: Connection[] = Array.from({ length: 6 }, () => connectionTo(database))
    const days = [10_000, 10_001]
    // Any number at once.
    await Promise.all(makers.map((maker) => makeHistoryDays(maker, database.schema, days)))
    const [maker, reader] = makers as [Connection, Connection]
    await reader.transaction(async (session) => {
      await session.query({
        name: '',
        text: `select count(*) from ${stored.table('history_19970519')}`,
      })
      expect(await dropHistoryDays(maker, database.schema, 7)).toEqual({
        dropped: ['history_19970520'],
        postponed: ['history_19970519'],
      })
    })
    expect(await dropHistoryDays(maker, database.schema, 7)).toEqual({
      dropped: ['history_19970519'],
      postponed: [],
    })
    for (const connection of makers) await connection.close()
  })
})
