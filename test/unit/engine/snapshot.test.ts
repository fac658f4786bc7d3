import { beforeEach, describe, expect, it } from 'vitest'
import { shardOfQueue } from '../../../src/cluster/shard-of-queue.ts'
import type { JobPage } from '../../../src/engine/job-store.ts'
import { Restore } from '../../../src/engine/restore.ts'
import type { Shard } from '../../../src/engine/shard.ts'
import { forEachJob } from '../../../src/engine/snapshot.ts'
import type { SpareMemory } from '../../../src/engine/spare-memory.ts'
import { dumpState, hashState } from '../../../src/engine/state-dump.ts'
import { type JobRow, StorageFault } from '../../../src/engine/storage-port.ts'
import { EngineHarness, queueOfShard, START_MS } from '../../support/engine-harness.ts'
import { batchOf, emptyRestore, restoreOf, type Stored, storedOf } from '../../support/restored.ts'
import pinned from './checkpoint.json' with { type: 'json' }
import older from './checkpoint-2026-11-24.json' with { type: 'json' }

const SHARD = 4
const here = queueOfShard(SHARD)
const there = queueOfShard(20)

let q: EngineHarness
let shard: Shard

beforeEach(() => {
  q = new EngineHarness({ records: true, retention: { count: 3 } })
  shard = q.shards[SHARD] as Shard
})

const stored = (): Stored => storedOf((q.shards[SHARD] as Shard).state)
const row = (id: number): JobRow => stored().rows.find((each) => each.id === id) as JobRow
const faultOf = (action: () => unknown): string => {
  try {
    action()
  } catch (error) {
    expect(error).toBeInstanceOf(StorageFault)
    expect(error).toMatchObject({ code: 'corrupt', retryable: false })
    return (error as Error).message
  }
  throw new Error('no fault')
}

/** Something of everything that a checkpoint may hold. */
function everything(): void {
  const plain = q.send({
    cmd: 'PUSHB',
    queue: here,
    jobs: [1, 2, 3, 4, 5].map((data) => ({ data })),
  })
  q.pullIds(here, 4, { lease: 5000, release_on_close: true })
  q.ack(plain.ids[2] as number, { result: 'ü' })
  q.ack(plain.ids[0] as number)
  q.fail(plain.ids[1] as number, 'half \ud800')
  q.push(here, 6, { delay: 1000, ttl: 9000, priority: -1, unique_key: 'k"', tags: ['t'] })
  const last = q.push(here, 7, { max_attempts: 1, timeout: 800, backoff: 3, priority: 5 })
  q.pull(here)
  q.send({ cmd: 'PROGRESS', id: plain.ids[3] as number, progress: 7, message: 'm' })
  q.send({ cmd: 'LOG', id: plain.ids[4] as number, line: 'a "line"' })
  q.fail(last)
  q.push(here, 8, { depends_on: [q.push(there), plain.ids[3]] })
  q.send({ cmd: 'CANCEL', id: q.push(here) })
  const second = queuesOf(SHARD)[1] as string
  q.push(second, 9)
  q.send({ cmd: 'RATELIMIT', queue: second, limit: 3 })
  q.pull(second)
  q.send({ cmd: 'SETCONCURRENCY', queue: second, limit: 4 })
  q.send({ cmd: 'PAUSE', queue: second })
  q.crash(SHARD, { skipped: 3 })
  q.send({ cmd: 'CRON', name: here, queue: here, schedule: '*/1', data: { c: 1 }, priority: 2 })
  q.send({ cmd: 'CRON', name: second, queue: here, schedule: '0 0 1 1 *', data: 2 })
  q.advance(1000)
}

function storedAs({ meta, rows }: typeof pinned): Stored {
  return {
    meta: Buffer.from(meta, 'hex'),
    rows: rows.map((each) => ({
      ...each,
      data: Buffer.from(each.data),
      result: each.result === null ? null : Buffer.from(each.result),
    })),
  }
}

function queuesOf(shard: number): string[] {
  const names = Array.from({ length: 200 }, (_, i) => `q${i}`)
  return names.filter((name) => shardOfQueue(name) === shard)
}

describe('a checkpoint', () => {
  beforeEach(everything)

  it('has these bytes and rows', () => {
    const { meta, rows } = stored()
    const texts = rows.map(({ data, result, ...row }) => ({
      ...row,
      data: data.toString(),
      result: result === null ? null : result.toString(),
    }))
    expect(meta.toString('hex')).toBe(pinned.meta)
    expect(texts).toEqual(pinned.rows)
  })

  it('as pinned gives the state as pinned', () => {
    const restored = restoreOf(SHARD, storedAs(pinned)).state
    expect(dumpState(restored)).toBe(dumpState((q.shards[SHARD] as Shard).state))
    expect(hashState(restored)).toBe(pinned.stateHash)
  })

  it('of before rows said when a job failed, and what was logged, is read too', () => {
    const restored = restoreOf(SHARD, storedAs(older)).state
    expect(hashState(restored)).toBe(older.stateHash)
    const withMoments = restoreOf(SHARD, storedAs(pinned)).state
    const known = dumpState(withMoments).split('\n')
    const others = dumpState(restored)
      .split('\n')
      .filter((line) => !known.includes(line))
    // One that has a log now, and the failed one.
    expect(others.map((line) => line.split(' ')[3])).toEqual(['waiting', 'failed'])
  })
})

describe('a row', () => {
  it('of a waiting job has its options, and its data byte for byte', () => {
    const frame = `{"cmd":"PUSH","queue":"${here}","data":{ "n":1.0,"s":"\\u0000" },"priority":-2,"ttl":9,"timeout":8,"backoff":7,"max_attempts":6}`
    const { id } = q.send(frame)
    expect(row(id)).toEqual({
      id,
      queue: here,
      state: 'waiting',
      priority: -2,
      attempts: 0,
      maxAttempts: 6,
      createdAtMs: START_MS,
      runAtMs: START_MS,
      startedAtMs: 0,
      finishedAtMs: 0,
      backoffMs: 7,
      ttlMs: 9,
      timeoutMs: 8,
      progress: 0,
      token: 0,
      leaseMs: 0,
      leaseUntilMs: 0,
      holder: 0,
      data: Buffer.from('{ "n":1.0,"s":"\\u0000" }'),
      result: null,
      rest: null,
    })
  })

  it('of an active job has its token, lease and holder', () => {
    const id = q.push(here)
    q.pull(here, { lease: 500, release_on_close: true }, 77)
    expect(row(id)).toMatchObject({
      state: 'active',
      startedAtMs: START_MS,
      token: 1,
      leaseMs: 500,
      leaseUntilMs: START_MS + 500,
      holder: 77,
    })
  })

  it('of a completed job has its result and when it finished', () => {
    const id = q.push(here)
    q.pull(here)
    q.advance(5)
    q.ack(id, { result: { r: 'ü' } })
    const { state, finishedAtMs, result } = row(id)
    expect([state, finishedAtMs, result?.toString()]).toEqual([
      'completed',
      START_MS + 5,
      '{"r":"ü"}',
    ])
  })

  it('has what is rare as JSON that any reader of UTF-8 can take', () => {
    const parent = q.push(here)
    const other = q.push(there)
    q.pull(here)
    q.ack(parent)
    const odd = 'half \ud800, NUL \u0000, quote "'
    const id = q.push(here, null, { unique_key: odd, tags: ['t'], depends_on: [parent, other] })
    const { rest } = row(id)
    expect(rest).toBe(Buffer.from(rest as string).toString())
    expect(rest).not.toContain('\u0000')
    expect(JSON.parse(rest as string)).toEqual({
      unique_key: odd,
      depends_on: [parent, other],
      waits_for: [other],
      tags: '["t"]',
    })
    const failed = q.push(here)
    q.pull(here)
    q.fail(failed, odd)
    expect(JSON.parse(row(failed).rest as string)).toEqual({ message: odd, error: odd })
  })

  it('is there once for each live job, the completed ones first and in the order they finished', () => {
    const ids = q.send({
      cmd: 'PUSHB',
      queue: here,
      jobs: [1, 2, 3, 4, 5].map((data) => ({ data })),
    }).ids
    q.pullIds(here, 4)
    for (const i of [3, 0, 2]) {
      q.ack(ids[i] as number)
      q.advance(1)
    }
    const seen: number[] = []
    forEachJob(shard.state, ({ id }) => seen.push(id))
    expect(seen).toEqual([3, 0, 2, 1, 4].map((i) => ids[i]))
  })
})

describe('a state that was restored', () => {
  it('gives texts back that UTF-8 cannot say', () => {
    q.send({ cmd: 'CRON', name: 'c', queue: here, schedule: '*/1', data: '\ud800' })
    const id = q.push(here, null, { unique_key: '\udc00\u0000' })
    q.pull(here)
    q.fail(id, '\ud800')
    expect(dumpState(restoreOf(SHARD, stored()).state)).toBe(dumpState(shard.state))
  })

  it('evicts finished jobs in the same order', () => {
    const ids = Array.from({ length: 8 }, () => q.push(here))
    q.pullIds(here)
    for (const i of [6, 1, 2, 7]) q.ack(ids[i] as number)
    const restore = restoreOf(SHARD, stored())
    const from = q.records[SHARD]?.length
    for (const i of [0, 5]) q.ack(ids[i] as number)
    restore.batch(batchOf(q.records[SHARD]?.slice(from) as Buffer[]))
    expect(dumpState(restore.state)).toBe(dumpState(shard.state))
    expect(restore.state.finished.oldestSeq()).toBe(Math.floor((ids[7] as number) / 32))
  })

  it('has nothing of the jobs that its pages held before', () => {
    const used = new EngineHarness()
    for (let i = 0; i < 100; i++) used.push(here, i, { timeout: 5000, ttl: 6000, backoff: 7 })
    const ids = used.pullIds(here, 100, { lease: 1000, release_on_close: true })
    for (const id of ids) {
      used.send({ cmd: 'PROGRESS', id, progress: 9, message: 'm' })
      used.send({ cmd: 'CANCEL', id })
    }
    const spare = used.spares[SHARD] as SpareMemory<JobPage>
    expect(spare.pageCount).toBe(1)
    for (let i = 0; i < 4; i++) q.push(here, i)
    q.ack(q.pull(here)?.id as number, { result: 1 })
    q.pull(here)
    const before = storedOf(shard.state)
    const restore = new Restore(SHARD, () => {}, spare)
    restore.meta(before.meta)
    for (const each of before.rows) restore.job(each)
    restore.checkpointEnded()
    expect(spare.pageCount).toBe(0)
    expect(dumpState(restore.state)).toBe(dumpState(shard.state))
    expect(storedOf(restore.state)).toEqual(before)
  })

  it('names its queues as before, and takes the numbers of closed ones in the same order', () => {
    const { state } = shard
    for (const no of [0, 1, 2, 3]) state.openQueue(no, `closed ${no}`)
    for (const no of [2, 0, 3]) state.closeQueue(state.queueOf(no))
    q.push(here)
    expect(state.queuesByName.get(here)?.no).toBe(3)
    const restored = restoreOf(SHARD, stored()).state
    expect(restored.freeQueueNos).toEqual([2, 0])
    expect(restored.nextQueueNo()).toBe(0)
    expect(dumpState(restored)).toBe(dumpState(state))
  })

  it('without a checkpoint is that of its records', () => {
    q.push(here)
    q.pull(here)
    const restore = emptyRestore(SHARD)
    restore.checkpointEnded()
    restore.batch(batchOf(q.records[SHARD] as Buffer[]))
    restore.batch(batchOf([]))
    expect(dumpState(restore.state)).toBe(dumpState(shard.state))
  })
})

describe('what does not fit together', () => {
  beforeEach(() => {
    const id = q.push(here)
    q.pull(here)
    q.ack(id)
    q.push(here, 2, { max_attempts: 1 })
    q.fail(q.pull(here)?.id as number)
    q.push(here)
  })

  const without = (state: string): Stored => {
    const { meta, rows } = stored()
    return { meta, rows: rows.filter((each) => each.state !== state) }
  }
  const changed = (change: Partial<JobRow>, state = 'waiting'): Stored => {
    const { meta, rows } = stored()
    return {
      meta,
      rows: rows.map((each) => (each.state === state ? { ...each, ...change } : each)),
    }
  }

  it.each([
    ['a waiting job is missing', () => without('waiting'), '2 of 3 jobs are there'],
    ['a completed job is missing', () => without('completed'), '2 of 3 jobs'],
    ['a dead letter is missing', () => without('failed'), '2 of 3 jobs'],
    [
      'a dead letter is another job',
      () => changed({ state: 'waiting' }, 'failed'),
      'dead letters are',
    ],
    ['a dead letter too many', () => changed({ state: 'failed' }), 'a dead letter is in no list'],
    [
      'a completed job too many',
      () => changed({ state: 'completed' }),
      'finished jobs are missing',
    ],
    ['an unknown state', () => changed({ state: 'lost' }), 'is in no state'],
    ['an unknown queue', () => changed({ queue: 'other' }), 'is of an unknown queue'],
    ['a job of another shard', () => changed({ id: 33 }), 'is not of this checkpoint'],
    ['a job that came later', () => changed({ id: 3200 + SHARD }), 'is not of this checkpoint'],
    ['a job twice', () => ({ ...stored(), rows: [...stored().rows, ...stored().rows] }), 'twice'],
    ['a rest that is no JSON', () => changed({ rest: '{' }), "can't be read"],
  ])('is a fault: %s', (_, make, text) => {
    expect(faultOf(() => restoreOf(SHARD, make()))).toContain(text)
  })

  it('is a fault: meta cut short, of another shard, of another version, or too long', () => {
    const { meta } = stored()
    const later = Buffer.from(meta)
    later[0] = 99
    for (const bytes of [
      meta.subarray(0, -1),
      Buffer.concat([meta, meta]),
      later,
      Buffer.alloc(0),
    ]) {
      expect(faultOf(() => emptyRestore(SHARD).meta(bytes))).toContain("can't be read")
    }
    expect(faultOf(() => emptyRestore(5).meta(meta))).toContain("can't be read")
  })

  it('is a fault: a batch with a record that does not follow', () => {
    const restore = restoreOf(SHARD, stored())
    expect(faultOf(() => restore.batch(batchOf([Buffer.from([99])])))).toContain("can't be read")
  })

  it('is a fault: anything out of its turn', () => {
    const { meta, rows } = stored()
    const restore = emptyRestore(SHARD)
    faultOf(() => restore.job(rows[0] as JobRow))
    restore.meta(meta)
    faultOf(() => restore.meta(meta))
    faultOf(() => restore.batch(Buffer.alloc(0)))
    for (const each of rows) restore.job(each)
    restore.checkpointEnded()
    faultOf(() => restore.job(rows[0] as JobRow))
    faultOf(() => restore.checkpointEnded())
  })
})
