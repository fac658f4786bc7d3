import { beforeEach, describe, expect, it } from 'vitest'
import { limits } from '../../../src/engine/limits.ts'
import type { Shard } from '../../../src/engine/shard.ts'
import { EngineHarness, type Pending, queueOfShard } from '../../support/engine-harness.ts'

const SHARD = 3
const here = queueOfShard(SHARD)
const there = queueOfShard(4)
const STEP = limits.clearedPerTurnMax

let q: EngineHarness

beforeEach(() => {
  q = new EngineHarness({ events: true })
})

const shard = () => q.shards[SHARD] as Shard
const drain = (queue: string) => q.send({ cmd: 'DRAIN', queue })

function pushMany(count: number, options: object = {}): number[] {
  const ids: number[] = []
  for (let left = count; left > 0; left -= 1000) {
    const jobs = Array.from({ length: Math.min(1000, left) }, () => ({ data: 0, ...options }))
    ids.push(...q.send({ cmd: 'PUSHB', queue: here, jobs }).ids)
  }
  q.seen.length = 0
  return ids
}

/** Nobody listens, so that a turn takes out as many as it may. */
function unwatched(): void {
  q = new EngineHarness({ records: true })
}

/** The turns behind a command, until it is answered. */
function turnsUntilAnswered(pending: Pending): number {
  let turns = 0
  for (; pending.answer === null; turns++) {
    expect(shard().nextDueMs()).toBeLessThanOrEqual(q.nowMs)
    shard().tick(q.nowMs)
    q.settle()
  }
  return turns
}

describe('DRAIN', () => {
  it('takes out what is waiting or delayed, and leaves the rest', () => {
    const active = q.push(here)
    q.pull(here)
    const dead = q.push(here, 1, { max_attempts: 1, priority: 1 })
    q.pull(here)
    q.fail(dead)
    const waiting = [q.push(here), q.push(here, 1, { priority: -3 })]
    const delayed = q.push(here, 1, { delay: 5000, ttl: 9000 })
    const child = q.push(here, 1, { depends_on: [active] })
    const other = q.push(there)
    expect(drain(here)).toEqual({ ok: true, ids: [3] })
    const states = [active, dead, child, other].map((id) => q.state(id))
    expect(states).toEqual(['active', 'failed', 'waiting-children', 'waiting'])
    for (const id of [...waiting, delayed]) expect(q.state(id)).toBe('unknown')
    expect(q.queue(here)).toMatchObject({ pending: 0, processing: 1, dlq: 1 })
    expect(drain(here)).toEqual({ ok: true, ids: [0] })
    q.advance(60_000)
    expect(q.pull(here)).toBe(null)
  })

  it('ends jobs as if they were cancelled: keys are free, there are events, dependants are told', () => {
    const parent = q.push(here, 1, { unique_key: 'k' })
    const child = q.push(there, 1, { depends_on: [parent] })
    const sibling = q.push(here, 1, { depends_on: [parent] })
    drain(here)
    expect(q.events('cancelled').map(({ id }) => id)).toEqual([parent])
    expect(q.dead(there)).toMatchObject([{ id: child }])
    expect(q.dead(here)).toMatchObject([
      { id: sibling, progress_msg: `Dependency ${parent} was cancelled` },
    ])
    // Also one that asks later.
    const late = q.push(there, 1, { depends_on: [parent] })
    expect(q.state(late)).toBe('failed')
    expect(q.push(here, 2, { unique_key: 'k' })).toBeGreaterThan(parent)
  })

  it('of a queue that nobody knows is 0, and makes none; of a name that cannot be is refused', () => {
    expect(drain('nobody-knows-it')).toEqual({ ok: true, ids: [0] })
    expect(q.queues()).toEqual([])
    expect(drain('a b')).toMatchObject({ code: 'queue_name_invalid' })
  })

  it('of a large queue takes turns, and answers when all are out', () => {
    unwatched()
    pushMany(2 * STEP + 5)
    const pending = q.execute({ cmd: 'DRAIN', queue: here }, 1)
    expect(pending.answer).toBe(null)
    expect(q.queue(here)?.pending).toBe(STEP + 5)
    expect(turnsUntilAnswered(pending)).toBe(2)
    expect(pending.answer).toEqual({ ok: true, ids: [2 * STEP + 5] })
    expect(shard().nextDueMs()).toBe(Number.POSITIVE_INFINITY)
  })

  it('takes smaller turns while somebody listens, and every job has its event', () => {
    const ids = pushMany(1000)
    const pending = q.execute({ cmd: 'DRAIN', queue: here }, 1)
    expect(turnsUntilAnswered(pending)).toBe(Math.ceil(1000 / limits.clearedWatchedMax) - 1)
    expect(q.events('cancelled').map(({ id }) => id)).toEqual(ids)
  })

  it('leaves what is pushed and what is pulled on the way', () => {
    unwatched()
    const ids = pushMany(2 * STEP)
    const pending = q.execute({ cmd: 'DRAIN', queue: here }, 1)
    const late = q.push(here)
    const taken = q.pull(here)?.id
    expect(taken).toBe(ids[STEP])
    turnsUntilAnswered(pending)
    expect(pending.answer).toEqual({ ok: true, ids: [2 * STEP - 1] })
    expect([q.state(late), q.state(taken as number)]).toEqual(['waiting', 'active'])
    expect(q.stats()).toMatchObject({ queued: 1, processing: 1 })
  })

  it('passes what others have in the shard without a stop, however much that is', () => {
    unwatched()
    const other = 'another'
    expect(q.shardOf(other).id).not.toBe(SHARD)
    pushMany(3 * STEP)
    const [second] = Array.from({ length: 500 }, (_, i) => `n${i}`).filter(
      (name) => q.shardOf(name).id === SHARD,
    )
    const id = q.push(second as string)
    expect(drain(second as string)).toEqual({ ok: true, ids: [1] })
    expect(q.state(id)).toBe('unknown')
    expect(q.queue(here)?.pending).toBe(3 * STEP)
  })

  it('is one record a turn, and what survives of half of it is whole jobs', () => {
    unwatched()
    const ids = pushMany(2 * STEP)
    const before = q.records[SHARD]?.length ?? 0
    const pending = q.execute({ cmd: 'DRAIN', queue: here }, 1)
    expect(q.records[SHARD]).toHaveLength(before + 1)
    q.crash(SHARD)
    expect(pending.answer).toBe(null)
    expect(q.queue(here)?.pending).toBe(STEP)
    expect([q.state(ids[STEP - 1] as number), q.state(ids[STEP] as number)]).toEqual([
      'unknown',
      'waiting',
    ])
    const again = q.execute({ cmd: 'DRAIN', queue: here }, 1)
    turnsUntilAnswered(again)
    expect(again.answer).toEqual({ ok: true, ids: [STEP] })
  })

  it('is brought to its end where the shard is handed on, and refused where it cannot be', () => {
    unwatched()
    pushMany(2 * STEP)
    const first = q.execute({ cmd: 'DRAIN', queue: here }, 1)
    expect(shard().isEmpty()).toBe(false)
    shard().finishWork(q.nowMs)
    expect(first.answer).toEqual({ ok: true, ids: [2 * STEP] })
    expect(shard().isEmpty()).toBe(true)
    pushMany(2 * STEP)
    const second = q.execute({ cmd: 'DRAIN', queue: here }, 1)
    shard().failWork()
    expect(second.answer).toMatchObject({ ok: false, code: 'outcome_unknown' })
    expect(q.queue(here)?.pending).toBe(STEP)
  })

  it('goes on one after the other when several are asked for, up to a limit', () => {
    unwatched()
    pushMany(2 * STEP)
    const all = Array.from({ length: limits.clearingsPerShardMax }, () =>
      q.execute({ cmd: 'DRAIN', queue: here }, 1),
    )
    // Each one's first step was taken at once.
    expect(all.slice(2).map(({ answer }) => answer?.ids)).toEqual(all.slice(2).map(() => [0]))
    turnsUntilAnswered(all[0] as Pending)
    expect(all[0]?.answer?.ids).toEqual([STEP])
    expect(all[1]?.answer?.ids).toEqual([STEP])
  })
})

describe('DELETEQUEUE', () => {
  const remove = (options: object = {}) => q.send({ cmd: 'DELETEQUEUE', queue: here, ...options })

  it('takes out everything that is not completed, and nothing shows the queue', () => {
    const done = q.push(here)
    q.ack(q.pull(here)?.id ?? 0, { result: 1 })
    const dead = q.push(here, 1, { max_attempts: 1 })
    q.pull(here)
    q.fail(dead)
    const child = q.push(here, 1, { depends_on: [q.push(there)] })
    q.push(here, 1, { delay: 1000 })
    q.push(here, 1, { unique_key: 'k' })
    for (const cmd of ['RATELIMIT', 'SETCONCURRENCY']) q.send({ cmd, queue: here, limit: 5 })
    q.send({ cmd: 'PAUSE', queue: here })
    q.seen.length = 0
    expect(remove()).toEqual({ ok: true, ids: [4] })
    expect(q.queue(here)).toBe(undefined)
    expect([q.state(dead), q.state(child)]).toEqual(['unknown', 'unknown'])
    expect(q.dead(here)).toEqual([])
    expect(q.send({ cmd: 'GETRESULT', id: done }).result).toBe(1)
    // A dead letter has had its event.
    expect(q.events('cancelled')).toHaveLength(3)
    q.crash(SHARD)
    expect(q.queue(here)).toBe(undefined)
    const next = q.push(here, 2, { unique_key: 'k' })
    expect(q.pull(here)?.id).toBe(next)
    expect(q.queue(here)).toMatchObject({
      paused: false,
      rate_limit: null,
      concurrency_limit: null,
    })
  })

  it('is refused while jobs are active, unless it is forced; their consumers learn it at the ack', () => {
    const id = q.push(here)
    const token = q.pull(here, { token: true })?.token
    const child = q.push(there, 1, { depends_on: [id] })
    expect(remove()).toMatchObject({ ok: false, code: 'queue_busy' })
    expect(remove({ force: false })).toMatchObject({ ok: false, code: 'queue_busy' })
    expect(q.state(id)).toBe('active')
    expect(remove({ force: true })).toEqual({ ok: true, ids: [1] })
    expect(q.stats().processing).toBe(0)
    expect(q.ack(id)).toMatchObject({ code: 'job_not_found' })
    expect(q.ack(id, { token })).toMatchObject({ code: 'stale_token' })
    expect(q.state(child)).toBe('failed')
    expect(remove({ force: 'yes' })).toMatchObject({ code: 'invalid' })
  })

  it('tells those that wait for its jobs how these ended', () => {
    const dead = q.push(here, 1, { max_attempts: 1 })
    q.pull(here)
    q.fail(dead)
    const waiting = q.push(here)
    remove()
    const ofDead = q.push(there, 1, { depends_on: [dead] })
    const ofWaiting = q.push(there, 1, { depends_on: [waiting] })
    expect([q.job(ofDead)?.progress_msg, q.job(ofWaiting)?.progress_msg]).toEqual([
      `Dependency ${dead} failed`,
      `Dependency ${waiting} was cancelled`,
    ])
  })

  it('hands nothing out until it is through, and leaves what was pushed meanwhile', () => {
    unwatched()
    pushMany(2 * STEP)
    q.send({ cmd: 'PAUSE', queue: here })
    const pending = q.execute({ cmd: 'DELETEQUEUE', queue: here }, 1)
    q.send({ cmd: 'RESUME', queue: here })
    const waiting = q.start({ cmd: 'PULL', queue: here })
    const late = q.push(here)
    expect(waiting.answer).toBe(null)
    expect(turnsUntilAnswered(pending)).toBe(1)
    expect(pending.answer).toEqual({ ok: true, ids: [2 * STEP] })
    expect(waiting.answer?.job?.id).toBe(late)
    expect(q.queue(here)).toMatchObject({ pending: 0, processing: 1 })
  })

  it('lets a queue go on where it could not be brought to its end', () => {
    unwatched()
    pushMany(2 * STEP)
    const pending = q.execute({ cmd: 'DELETEQUEUE', queue: here }, 1)
    shard().failWork()
    expect(pending.answer).toMatchObject({ code: 'outcome_unknown' })
    expect(q.pull(here)).not.toBe(null)
  })

  it('of a queue that nobody knows is 0', () => {
    expect(remove()).toEqual({ ok: true, ids: [0] })
    expect(q.queues()).toEqual([])
  })

  it('frees the slots of a limit for whoever pulls next', () => {
    q.send({ cmd: 'SETCONCURRENCY', queue: here, limit: 1 })
    q.push(here)
    q.pull(here)
    const waiting = q.start({ cmd: 'PULL', queue: here })
    remove({ force: true })
    const next = q.push(here)
    expect(waiting.answer?.job?.id).toBe(next)
  })
})
