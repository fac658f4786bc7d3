import { beforeEach, describe, expect, it } from 'vitest'
import { EngineHarness, queueOfShard, START_MS } from '../../support/engine-harness.ts'

let q: EngineHarness

beforeEach(() => {
  q = new EngineHarness({ events: true })
})

describe('a lease', () => {
  it('that runs out redelivers the job and counts a failed run', () => {
    const id = q.push('a')
    q.pull('a', { lease: 100 })
    const waiting = q.start({ cmd: 'PULL', queue: 'a' })
    q.advance(100)
    expect(waiting.answer).toBe(null)
    q.advance(1)
    expect(waiting.answer?.job).toMatchObject({ id, attempts: 1, progress_msg: 'Lease expired' })
    expect(q.events('timeout')).toMatchObject([{ id, error: 'Lease expired' }])
  })

  it('that runs out at max_attempts dead-letters the job', () => {
    const id = q.push('a', 1, { max_attempts: 1 })
    q.pull('a', { lease: 100 })
    q.advance(101)
    expect(q.dead('a')).toMatchObject([{ id, attempts: 1, progress_msg: 'Lease expired' }])
    expect(q.events().map((event) => event.event)).toEqual(['pushed', 'timeout', 'failed'])
  })

  it('is over with the run: an ack, a fail or a release ends it', () => {
    const ids = [q.push('a'), q.push('a', 1, { backoff: 1e6 }), q.push('a', 1, { priority: -1 })]
    q.pullMany('a', 3, { lease: 50 })
    q.ack(ids[0] as number)
    q.fail(ids[1] as number)
    q.send({ cmd: 'RELEASE', id: ids[2] })
    q.pull('a')
    q.advance(10_000)
    expect(ids.map((id) => q.state(id))).toEqual(['completed', 'delayed', 'active'])
    expect(q.job(ids[2] as number)?.attempts).toBe(0)
  })

  it('of an earlier delivery does not end a later one', () => {
    const id = q.push('a')
    q.pull('a', { lease: 100 })
    q.advance(50)
    q.send({ cmd: 'RELEASE', id })
    q.pull('a', { lease: 100 })
    q.advance(100)
    expect(q.state(id)).toBe('active')
    q.advance(1)
    expect(q.job(id)?.attempts).toBe(1)
  })

  it('is not there unless asked for: the job stays active for ever', () => {
    const id = q.push('a')
    q.pull('a')
    q.advance(1e10)
    expect(q.state(id)).toBe('active')
  })
})

describe('HEARTBEAT', () => {
  const beat = (id: number, options: object = {}) => q.send({ cmd: 'HEARTBEAT', id, ...options })

  it('keeps the job for the lease of its pull', () => {
    const id = q.push('a')
    q.pull('a', { lease: 100 })
    for (let i = 0; i < 20; i++) {
      q.advance(90)
      expect(beat(id)).toEqual({ ok: true, ids: [1] })
    }
    q.advance(100)
    expect(q.state(id)).toBe('active')
    q.advance(1)
    expect(q.job(id)?.attempts).toBe(1)
  })

  it('takes a new length, longer or shorter', () => {
    const id = q.push('a')
    q.pull('a', { lease: 100 })
    beat(id, { lease: 1000 })
    q.advance(999)
    expect(q.state(id)).toBe('active')
    beat(id, { lease: 10 })
    q.advance(10)
    expect(q.state(id)).toBe('active')
    q.advance(1)
    expect(q.job(id)?.attempts).toBe(1)
  })

  it('gives a lease to a job that was pulled without one', () => {
    const id = q.push('a')
    q.pull('a')
    expect(beat(id)).toEqual({ ok: true, ids: [1] })
    q.advance(1000)
    expect(q.state(id)).toBe('active')
    beat(id, { lease: 10 })
    q.advance(11)
    expect(q.job(id)?.attempts).toBe(1)
  })

  it('takes many ids of many shards, and says which are not active', () => {
    const ids = [1, 2, 1].map((shard) => q.push(queueOfShard(shard)))
    q.pullMany(queueOfShard(1), 1, { lease: 10 })
    q.pullMany(queueOfShard(2), 1, { lease: 10 })
    const answer = q.send({ cmd: 'HEARTBEAT', ids: [...ids, 77], lease: 500 })
    expect(answer.ids).toEqual([2])
    expect(answer.errors).toMatchObject([
      { index: 2, code: 'job_not_active' },
      { index: 3, code: 'job_not_active' },
    ])
    q.advance(500)
    expect(q.stats().processing).toBe(2)
  })

  it('leaves few timers behind, however often it comes', () => {
    const id = q.push('a')
    q.pull('a', { lease: 1000 })
    for (let i = 0; i < 20_000; i++) beat(id, { lease: 1000 + (i % 500) })
    expect(q.shardOf('a').state.due.size).toBeLessThan(3000)
    q.advance(999)
    expect(q.state(id)).toBe('active')
  })
})

describe('RELEASE', () => {
  it('gives jobs back at once, in their place, no run counted', () => {
    const ids = [q.push('a'), q.push('a'), q.push('a')]
    q.pullMany('a', 2)
    const waiting = q.start({ cmd: 'PULLB', queue: 'a', count: 9 })
    expect(waiting.answer?.jobs).toHaveLength(1)
    expect(q.send({ cmd: 'RELEASE', ids: [ids[1], ids[0]] })).toEqual({ ok: true, ids: [2] })
    expect(q.pullMany('a')).toMatchObject([
      { id: ids[0], attempts: 0 },
      { id: ids[1], attempts: 0 },
    ])
  })

  it('is refused for a job that is not active', () => {
    const id = q.push('a')
    expect(q.send({ cmd: 'RELEASE', id })).toMatchObject({
      ok: true,
      ids: [0],
      errors: [{ index: 0, error: `Job ${id} not found in processing`, code: 'job_not_active' }],
    })
  })

  it('after the ttl expires the job', () => {
    const id = q.push('a', 1, { ttl: 100 })
    q.pull('a')
    q.advance(101)
    q.send({ cmd: 'RELEASE', id })
    expect(q.state(id)).toBe('unknown')
    expect(q.events('expired')).toHaveLength(1)
  })
})

describe('release_on_close', () => {
  it('gives back what the connection still holds when it closes', () => {
    const ids = Array.from({ length: 4 }, () => q.push('a'))
    q.pullMany('a', 2, { release_on_close: true })
    q.pull('a')
    q.pull('a', { release_on_close: true }, 2)
    q.ack(ids[1] as number)
    q.closed(1)
    expect(ids.map((id) => q.state(id))).toEqual(['waiting', 'completed', 'active', 'active'])
    expect(q.job(ids[0] as number)).toMatchObject({ attempts: 0, started_at: 0 })
    q.closed(2)
    expect(q.state(ids[3] as number)).toBe('waiting')
  })

  it('does not take back a job that went on to another connection', () => {
    const id = q.push('a')
    q.pull('a', { release_on_close: true }, 1)
    q.fail(id)
    q.pull('a', { release_on_close: true }, 2)
    q.closed(1)
    expect(q.state(id)).toBe('active')
  })

  it('goes with a waiting pull, too', () => {
    q.start({ cmd: 'PULL', queue: 'a', release_on_close: true }, 5)
    const id = q.push('a')
    const waiting = q.start({ cmd: 'PULL', queue: 'a' }, 6)
    q.closed(5)
    expect(waiting.answer?.job?.id).toBe(id)
  })
})

describe('a timeout', () => {
  it('ends the run as a failed one, to the millisecond', () => {
    const id = q.push('a', 1, { timeout: 200, backoff: 50 })
    q.advance(1000)
    q.pull('a')
    q.advance(200)
    expect(q.state(id)).toBe('active')
    q.advance(1)
    expect(q.job(id)).toMatchObject({
      attempts: 1,
      progress_msg: 'Job timed out',
      run_at: START_MS + 1201 + 50,
    })
    expect(q.events().map((event) => event.event)).toEqual(['pushed', 'timeout', 'retrying'])
  })

  it('at max_attempts dead-letters the job, counts it and tells', () => {
    const id = q.push('a', 1, { timeout: 200, max_attempts: 1 })
    q.pull('a')
    q.advance(201)
    expect(q.dead('a')).toMatchObject([{ id, attempts: 1, progress_msg: 'Job timed out' }])
    expect(q.events().map((event) => event.event)).toEqual(['pushed', 'timeout', 'failed'])
    expect(q.shardOf('a').state.totalFailed).toBe(1)
  })

  it('counts from the start of each run', () => {
    const id = q.push('a', 1, { timeout: 100 })
    q.pull('a')
    q.advance(90)
    q.fail(id)
    q.pull('a')
    q.advance(100)
    expect(q.state(id)).toBe('active')
    q.advance(1)
    expect(q.job(id)?.attempts).toBe(2)
  })

  it('does not end a job that waits', () => {
    const id = q.push('a', 1, { timeout: 100 })
    q.advance(1e6)
    expect(q.state(id)).toBe('waiting')
  })
})

describe('a ttl', () => {
  it('ends a waiting job when more than it has passed since the push', () => {
    const id = q.push('a', 1, { ttl: 100 })
    q.advance(100)
    expect(q.state(id)).toBe('waiting')
    q.advance(1)
    expect(q.state(id)).toBe('unknown')
    expect(q.stats().queued).toBe(0)
    expect(q.events('expired')).toMatchObject([{ id, error: null }])
  })

  it('ends a delayed job, and one that waits for others', () => {
    const delayed = q.push('a', 1, { ttl: 100, delay: 500 })
    const parked = q.push('a', 1, { ttl: 100, depends_on: [delayed] })
    q.advance(101)
    expect([q.state(delayed), q.state(parked)]).toEqual(['unknown', 'unknown'])
    q.advance(1000)
    expect(q.stats()).toEqual({ queued: 0, processing: 0, delayed: 0, dlq: 0 })
  })

  it('never ends an active or a dead-lettered job', () => {
    const active = q.push('a', 1, { ttl: 100 })
    const dead = q.push('a', 1, { ttl: 100, max_attempts: 1 })
    q.pullIds('a')
    q.fail(dead)
    q.advance(1000)
    expect([q.state(active), q.state(dead)]).toEqual(['active', 'failed'])
    expect(q.ack(active).ok).toBe(true)
  })

  it('ends a job whose run fails after it; at its last attempt it goes to the DLQ', () => {
    const again = q.push('a', 1, { ttl: 100 })
    const last = q.push('a', 1, { ttl: 100, max_attempts: 1 })
    q.pullIds('a')
    q.advance(101)
    q.fail(again, 'why')
    q.fail(last)
    expect([q.state(again), q.state(last)]).toEqual(['unknown', 'failed'])
    expect(q.events('expired')).toMatchObject([{ id: again, error: 'why' }])
    expect(q.events('retrying')).toEqual([])
  })

  it('ends a job that backs off', () => {
    const id = q.push('a', 1, { ttl: 100, backoff: 1000 })
    q.pull('a')
    q.fail(id)
    q.advance(101)
    expect(q.state(id)).toBe('unknown')
  })

  it('is cleared by a retry from the DLQ', () => {
    const id = q.push('a', 1, { ttl: 100, max_attempts: 1 })
    q.pull('a')
    q.fail(id)
    q.advance(50)
    q.send({ cmd: 'RETRYDLQ', queue: 'a' })
    q.advance(1e6)
    expect(q.job(id)).toMatchObject({ ttl: 0 })
    expect(q.pull('a')?.id).toBe(id)
  })
})

describe('a session that goes on under another number', () => {
  it('takes along what it holds for its life', () => {
    const ids = [q.push('a'), q.push(queueOfShard(12)), q.push('a')]
    q.pull('a', { release_on_close: true }, 1)
    q.pull(queueOfShard(12), { release_on_close: true }, 1)
    q.pull('a', {}, 1)
    for (const shard of q.shards) shard.renameHolder(1, 2)
    q.closed(1)
    expect(ids.map((id) => q.state(id))).toEqual(['active', 'active', 'active'])
    q.closed(2)
    expect(ids.map((id) => q.state(id))).toEqual(['waiting', 'waiting', 'active'])
  })
})
