// A shard whose owner died goes on with a new one, at the same moment or later.

import { beforeEach, describe, expect, it } from 'vitest'
import { limits } from '../../../src/engine/limits.ts'
import { RecordKind } from '../../../src/engine/recorder.ts'
import type { ShardState } from '../../../src/engine/shard-state.ts'
import { EngineHarness, queueOfShard, START_MS } from '../../support/engine-harness.ts'

const SHARD = 4
const here = queueOfShard(SHARD)
const there = queueOfShard(20)

let q: EngineHarness

beforeEach(() => {
  q = new EngineHarness({ records: true, events: true, retention: { count: 5, ageMs: 9000 } })
})

const state = (): ShardState => q.shards[SHARD]?.state as ShardState
/** The owner dies, and nobody owns the shard for a while. */
const crashFor = (ms: number, options: { skipped?: number; gone?: number[] } = {}) => {
  q.nowMs += ms
  q.crash(SHARD, options)
}
const kinds = () => (q.records[SHARD] as Buffer[]).map((record) => record[0])

describe('after a crash', () => {
  it('what waits for its time comes neither early nor late', () => {
    const id = q.push(here, 1, { delay: 1000 })
    q.advance(400)
    crashFor(0)
    q.advance(599)
    expect(q.state(id)).toBe('delayed')
    q.advance(1)
    expect(q.state(id)).toBe('waiting')
  })

  it('what fell due meanwhile happens at the first tick', () => {
    const delayed = q.push(here, 1, { delay: 1000 })
    const expired = q.push(here, 2, { ttl: 500 })
    const timedOut = q.push(here, 3, { timeout: 800, priority: 9, max_attempts: 1 })
    q.pull(here)
    crashFor(1000)
    expect(q.nextDueMs()).toBeLessThanOrEqual(q.nowMs)
    q.advance(0)
    expect([delayed, expired, timedOut].map((id) => q.state(id))).toEqual([
      'waiting',
      'unknown',
      'failed',
    ])
  })

  it('an active job can be acknowledged, by its id and with its token, but not with another one', () => {
    q.push(here, 1)
    q.push(here, 2)
    const [first, second] = q.pullMany(here, 2, { token: true })
    crashFor(100, { skipped: 3 })
    expect(q.ack(first?.id as number)).toEqual({ ok: true })
    const wrong = (second?.token as number) + 1
    expect(q.ack(second?.id as number, { token: wrong }).code).toBe('stale_token')
    expect(q.ack(second?.id as number, { token: second?.token })).toEqual({ ok: true })
  })

  it('a lease ends when it would have ended, and a heartbeat moves that', () => {
    const first = q.push(here, 1)
    const second = q.push(here, 2)
    q.pullMany(here, 2, { lease: 1000 })
    crashFor(300)
    q.send({ cmd: 'HEARTBEAT', id: second })
    q.advance(700)
    expect([first, second].map((id) => q.state(id))).toEqual(['active', 'active'])
    q.advance(1)
    expect([first, second].map((id) => q.state(id))).toEqual(['waiting', 'active'])
    q.advance(300)
    expect(q.state(second)).toBe('waiting')
  })

  it('a timeout of a run counts from when the run began', () => {
    const id = q.push(here, 1, { timeout: 1000, backoff: 50 })
    q.pull(here)
    crashFor(900)
    q.advance(100)
    expect(q.state(id)).toBe('active')
    q.advance(1)
    expect(q.state(id)).toBe('delayed')
  })

  it('a ttl counts from the push, also for a job that runs and comes back', () => {
    const id = q.push(here, 1, { ttl: 1000 })
    q.pull(here)
    crashFor(500)
    q.send({ cmd: 'RELEASE', id })
    q.advance(500)
    expect(q.state(id)).toBe('waiting')
    q.advance(1)
    expect(q.state(id)).toBe('unknown')
    expect(q.events('expired')).toHaveLength(1)
  })

  it('jobs held for connections that are gone return, with no run counted', () => {
    q.push(here, 1)
    q.push(here, 2)
    q.push(here, 3)
    const gone = q.pull(here, { release_on_close: true }, 7)?.id as number
    const alive = q.pull(here, { release_on_close: true }, 8)?.id as number
    const plain = q.pull(here, {}, 7)?.id as number
    crashFor(10, { gone: [7] })
    expect([gone, alive, plain].map((id) => q.state(id))).toEqual(['waiting', 'active', 'active'])
    expect(q.job(gone)?.attempts).toBe(0)
    expect(kinds().slice(-2)).toEqual([RecordKind.owned, RecordKind.released])
    q.closed(8)
    expect(q.state(alive)).toBe('waiting')
  })

  it('nobody waits for a job, and the first pull gets it', () => {
    const before = q.start({ cmd: 'PULL', queue: here, wait: 500 })
    crashFor(0)
    const id = q.push(here, 1)
    expect(before.line).toBe(null)
    expect(q.pull(here)?.id).toBe(id)
    q.advance(1000)
    expect(before.line).toBe(null)
  })

  it('jobs that wait for others ask for them again', () => {
    const parent = q.push(there, 1)
    const child = q.push(here, 2, { depends_on: [parent] })
    // The parent's shard has forgotten who asked, as when its owner died before that was stored.
    q.shards[20]?.state.childrenOf.clear()
    crashFor(0)
    q.pull(there)
    q.ack(parent)
    expect(q.state(child)).toBe('waiting')
  })

  it('a rate limit has the tokens that it had', () => {
    q.send({ cmd: 'RATELIMIT', queue: here, limit: 2 })
    for (let i = 0; i < 4; i++) q.push(here, i)
    expect(q.pullIds(here)).toHaveLength(2)
    crashFor(500)
    const waiting = q.start({ cmd: 'PULLB', queue: here, count: 9 })
    expect(waiting.answer?.jobs).toHaveLength(1)
    const last = q.start({ cmd: 'PULLB', queue: here, count: 9 })
    q.advance(499)
    expect(last.answer).toBe(null)
    q.advance(1)
    expect(last.answer?.jobs).toHaveLength(1)
  })

  it('a cron keeps its rhythm', () => {
    q.send({ cmd: 'CRON', name: here, queue: here, schedule: '*/2', data: 1 })
    q.advance(3000)
    crashFor(0)
    q.advance(3000)
    expect(q.events('pushed').map((event) => event.job.created_at - START_MS)).toEqual([
      2000, 4000, 6000,
    ])
  })

  it('finished jobs go when they would have gone', () => {
    const ids = [q.push(here), q.push(here)]
    q.pullIds(here)
    q.ack(ids[0] as number)
    q.advance(1000)
    q.ack(ids[1] as number)
    crashFor(7999)
    q.advance(0)
    expect(q.job(ids[0] as number)).not.toBe(null)
    q.advance(1)
    expect([q.job(ids[0] as number), q.job(ids[1] as number)]).toMatchObject([null, { id: ids[1] }])
    q.advance(1000)
    expect(q.job(ids[1] as number)).toBe(null)
  })
})

describe('sequences and tokens that the owner before may have given out', () => {
  it('are not given out again, and are jobs that never were', () => {
    const before = q.push(here, 1)
    crashFor(0, { skipped: 10 })
    const after = q.push(here, 2)
    expect(after).toBe(before + 11 * limits.shards)
    const between = before + 5 * limits.shards
    expect(q.state(between)).toBe('unknown')
    expect(q.ack(between, { token: 1 }).code).toBe('job_not_found')
    expect(q.send({ cmd: 'CANCEL', id: between }).code).toBe('job_not_found')
    const child = q.push(here, 3, { depends_on: [between] })
    expect(q.dead(here)).toMatchObject([
      { id: child, progress_msg: `Dependency ${between} does not exist` },
    ])
  })

  it('never go back', () => {
    const shard = q.shards[SHARD]
    q.push(here, 1)
    q.pull(here)
    shard?.ownedFrom(100, 1000, () => true, q.nowMs)
    shard?.ownedFrom(50, 500, () => true, q.nowMs)
    expect([state().nextSeq, state().nextToken]).toEqual([100, 1000])
    expect(state().gaps.all()).toEqual([2, 100])
  })

  it('are wanted anew when an eighth of the grant is used', () => {
    q = new EngineHarness({ seqLimit: 100 })
    crashFor(0, { skipped: 60 })
    expect(q.shards[SHARD]?.wantsSequences()).toBe(false)
    for (let i = 0; i < 4; i++) q.push(here)
    expect(q.shards[SHARD]?.wantsSequences()).toBe(false)
    q.push(here)
    expect(q.shards[SHARD]?.wantsSequences()).toBe(true)
  })
})

describe('timers', () => {
  it('are derived once, however the state came about', () => {
    q.push(here, 1, { delay: 1000, ttl: 5000 })
    q.push(here, 2, { timeout: 100, ttl: 5000 })
    q.push(here, 3)
    q.pullMany(here, 2, { lease: 700 })
    crashFor(0)
    crashFor(0)
    // delay, two ttls, a timeout, two leases
    expect(state().due.size).toBe(6)
  })

  it('are none while a state is being restored', () => {
    q.push(here, 1, { delay: 1000 })
    crashFor(0)
    const { due } = state()
    due.suspended = true
    due.add(1, 1)
    expect(due.size).toBe(1)
    due.reset()
    due.add(1, 1)
    expect([due.size, due.topDueMs()]).toEqual([1, 1])
  })
})
