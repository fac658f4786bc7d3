import { beforeEach, describe, expect, it } from 'vitest'
import { limits } from '../../../src/engine/limits.ts'
import { EngineHarness, START_MS } from '../../support/engine-harness.ts'

let q: EngineHarness

beforeEach(() => {
  q = new EngineHarness()
})

describe('the order of jobs', () => {
  it('is that of the pushes within one millisecond', () => {
    const ids = Array.from({ length: 10 }, (_, i) => q.push('a', i))
    expect(q.pullIds('a')).toEqual(ids)
  })

  it('is priority, then run time, then id', () => {
    const late = q.push('a', 0, { delay: 10 })
    const soon = q.push('a', 0, { delay: 5 })
    const low = q.push('a', 0, { priority: -1 })
    const high = q.push('a', 0, { priority: 2 })
    q.advance(20)
    const last = q.push('a')
    expect(q.pullIds('a')).toEqual([high, soon, late, last, low])
  })

  it('never lets a delayed job of high priority block a ready one', () => {
    const delayed = q.push('a', 0, { priority: 9, delay: 50 })
    const ready = q.push('a')
    expect(q.pull('a')?.id).toBe(ready)
    expect(q.pull('a')).toBe(null)
    q.advance(50)
    expect(q.pull('a')?.id).toBe(delayed)
  })

  it('is kept by a job that was released: it is first again', () => {
    const ids = [q.push('a'), q.push('a'), q.push('a')]
    q.pull('a')
    q.send({ cmd: 'RELEASE', id: ids[0] })
    expect(q.pullIds('a')).toEqual(ids)
  })

  it('is kept by the others when one in the middle is cancelled', () => {
    const ids = Array.from({ length: 10 }, (_, i) => q.push('a', i))
    q.send({ cmd: 'CANCEL', id: ids[4] })
    expect(q.pullIds('a')).toEqual(ids.filter((id) => id !== ids[4]))
  })
})

describe('PULLB', () => {
  it('takes at most count jobs and leaves the others', () => {
    for (let i = 0; i < 10; i++) q.push('a')
    expect(q.pullIds('a', 5)).toHaveLength(5)
    expect(q.stats()).toEqual({ queued: 5, processing: 5, delayed: 0, dlq: 0 })
  })

  it('answers count 0 with no jobs at once', () => {
    q.push('a')
    expect(q.send({ cmd: 'PULLB', queue: 'a', count: 0 })).toEqual({ ok: true, jobs: [] })
  })

  it('counts a huge count as 1,000', () => {
    const jobs = Array.from({ length: 1000 }, () => ({ data: 1 }))
    for (let i = 0; i < 2; i++) q.send({ cmd: 'PUSHB', queue: 'a', jobs })
    expect(q.pullIds('a', 2 ** 53 - 1)).toHaveLength(1000)
  })

  it('hands out no more bytes than the limit, but always one job', () => {
    const data = 'x'.repeat(limits.dataBytesMax - 2)
    for (let i = 0; i < 40; i++) q.push('a', data, i < 20 ? { delay: 1 } : {})
    q.push('a', 1)
    q.advance(1)
    expect(q.pullIds('a')).toHaveLength(limits.pullBytesMax / limits.dataBytesMax)
    expect(q.pullIds('a')).toHaveLength(9)
  })
})

describe('a waiting pull', () => {
  it('gets the next job', () => {
    const waiting = q.start({ cmd: 'PULL', queue: 'a' })
    expect(waiting.answer).toBe(null)
    const id = q.push('a', 7)
    expect(waiting.answer).toMatchObject({ ok: true, job: { id, data: 7, started_at: START_MS } })
  })

  it('is served first come first served, one job to exactly one', () => {
    const all = Array.from({ length: 4 }, () => q.start({ cmd: 'PULL', queue: 'a' }))
    const ids = q.send({
      cmd: 'PUSHB',
      queue: 'a',
      jobs: [{ data: 1 }, { data: 2 }, { data: 3 }],
    }).ids
    expect(all.map((each) => each.answer?.job?.id)).toEqual([...ids, undefined])
    const last = q.push('a')
    expect(all[3]?.answer?.job?.id).toBe(last)
    expect(q.stats()).toMatchObject({ queued: 0, processing: 4 })
  })

  it('gets its job after the turn, so that the reply of what made it ready comes first', () => {
    q.send({ cmd: 'SETCONCURRENCY', queue: 'a', limit: 1 })
    const [one] = [q.push('a'), q.push('a')]
    q.pull('a')
    const waiting = q.start({ cmd: 'PULL', queue: 'a' })
    const ack = q.execute({ cmd: 'ACK', id: one }, 1)
    expect([ack.answer?.ok, waiting.answer]).toEqual([true, null])
    q.settle()
    expect(waiting.answer?.job).not.toBe(null)
  })

  it('is served before a pull that comes later in the same turn', () => {
    const waiting = q.start({ cmd: 'PULL', queue: 'a' })
    const [pushed, late] = q.turn({ cmd: 'PUSH', queue: 'a', data: 1 }, { cmd: 'PULL', queue: 'a' })
    expect(waiting.answer?.job?.id).toBe(pushed?.answer?.id)
    expect(late?.answer).toBe(null)
  })

  it('takes several jobs when it is a PULLB, as many as there are', () => {
    const waiting = q.start({ cmd: 'PULLB', queue: 'a', count: 3 })
    q.send({ cmd: 'PUSHB', queue: 'a', jobs: [{ data: 1 }, { data: 2 }] })
    expect(waiting.answer?.jobs.map((job) => job.data)).toEqual([1, 2])
  })

  it('ends with nothing when its wait is over, and not before', () => {
    const one = q.start({ cmd: 'PULL', queue: 'a', wait: 100 })
    const many = q.start({ cmd: 'PULLB', queue: 'a', count: 2, wait: 100 })
    q.advance(99)
    expect([one.answer, many.answer]).toEqual([null, null])
    q.advance(1)
    expect(one.answer).toEqual({ ok: true, job: null })
    expect(many.answer).toEqual({ ok: true, jobs: [] })
    expect(q.push('a')).toBeGreaterThan(0)
    expect(q.stats().queued).toBe(1)
  })

  it('waits without limit when no wait is given', () => {
    const waiting = q.start({ cmd: 'PULL', queue: 'a' })
    q.advance(400 * 24 * 3_600_000)
    expect(waiting.answer).toBe(null)
    q.push('a')
    expect(waiting.answer?.job).not.toBe(null)
  })

  it('is served when a delayed job becomes due, to the millisecond', () => {
    q.push('a', 1, { delay: 250 })
    const waiting = q.start({ cmd: 'PULL', queue: 'a' })
    q.advance(249)
    expect(waiting.answer).toBe(null)
    q.advance(1)
    expect(waiting.answer?.job?.started_at).toBe(START_MS + 250)
  })

  it('is forgotten when its connection closes: the job goes to the next one', () => {
    const gone = q.start({ cmd: 'PULL', queue: 'a' }, 1)
    const stays = q.start({ cmd: 'PULL', queue: 'a' }, 2)
    q.closed(1)
    const id = q.push('a')
    expect(gone.answer).toBe(null)
    expect(stays.answer?.job?.id).toBe(id)
  })

  it('leaves no timer behind when it is served or forgotten, however many there were', () => {
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 200; i++) q.start({ cmd: 'PULL', queue: 'a', wait: 86_400_000 }, 7)
      q.closed(7)
      q.advance(1)
    }
    expect(q.shardOf('a').state.due.size).toBeLessThan(4000)
  })

  it('is refused when there are too many on the queue', () => {
    const shard = q.shardOf('a')
    q.push('b')
    const line = { size: limits.waitingPullsPerQueueMax }
    q.start({ cmd: 'PULL', queue: 'a' })
    Object.assign(shard.state.queuesByName.get('a')?.waits ?? {}, line)
    expect(q.send({ cmd: 'PULL', queue: 'a' }).code).toBe('too_many_waiting')
    expect(q.send({ cmd: 'PULL', queue: 'a', wait: 0 })).toEqual({ ok: true, job: null })
  })

  it('is answered `draining` at a drain, and so is every later one', () => {
    const waiting = q.start({ cmd: 'PULL', queue: 'a', wait: 1000 })
    for (const shard of q.shards) shard.endWaits()
    expect(waiting.answer?.code).toBe('draining')
    expect(q.send({ cmd: 'PULL', queue: 'a' }).code).toBe('draining')
    q.advance(1000)
  })

  it('of many queues gets its own jobs only', () => {
    const names = Array.from({ length: 100 }, (_, i) => `queue-${i}`)
    const pulls = names.map((queue) => q.start({ cmd: 'PULL', queue }))
    for (const name of [...names].reverse()) q.push(name, name)
    expect(pulls.map((pull) => pull.answer?.job?.data)).toEqual(names)
  })
})

describe('a job whose reply could not be written', () => {
  it('goes back to its queue at once, no run counted', () => {
    const id = q.push('a')
    const pull = q.start({ cmd: 'PULL', queue: 'a' })
    q.lost(pull)
    expect(q.job(id)).toMatchObject({ attempts: 0, started_at: 0 })
    expect(q.pull('a')?.id).toBe(id)
  })

  it('goes to the next waiting pull', () => {
    const first = q.start({ cmd: 'PULL', queue: 'a' }, 1)
    const second = q.start({ cmd: 'PULL', queue: 'a' }, 2)
    const id = q.push('a')
    q.lost(first)
    expect(second.answer?.job?.id).toBe(id)
  })

  it('stays with whoever has it by now', () => {
    const ids = [q.push('a'), q.push('a')]
    const lost = q.start({ cmd: 'PULLB', queue: 'a', count: 2 })
    q.send({ cmd: 'RELEASE', ids })
    expect(q.pull('a')?.id).toBe(ids[0])
    q.lost(lost)
    expect(ids.map((id) => q.state(id))).toEqual(['active', 'waiting'])
    q.pull('a')
    q.ack(ids[1] as number)
    q.lost(lost)
    expect(ids.map((id) => q.state(id))).toEqual(['active', 'completed'])
  })
})

describe('pause', () => {
  it('stops delivery only, and resume serves those that wait', () => {
    q.send({ cmd: 'PAUSE', queue: 'a' })
    const active = q.push('a')
    expect(q.pull('a')).toBe(null)
    const waiting = q.start({ cmd: 'PULL', queue: 'a' })
    expect(q.nextDueMs()).toBe(Number.POSITIVE_INFINITY)
    q.send({ cmd: 'RESUME', queue: 'a' })
    expect(waiting.answer?.job?.id).toBe(active)
    q.send({ cmd: 'PAUSE', queue: 'a' })
    expect(q.ack(active).ok).toBe(true)
    expect(q.queue('a')?.paused).toBe(true)
  })
})

describe('the rate limit', () => {
  const limit = (n: number) => q.send({ cmd: 'RATELIMIT', queue: 'a', limit: n })
  const fill = (n: number) => {
    q.send({ cmd: 'PUSHB', queue: 'a', jobs: Array.from({ length: n }, (_, i) => ({ data: i })) })
  }

  it('lets a burst of `limit` pass, then `limit` a second', () => {
    limit(10)
    fill(30)
    expect(q.pullIds('a')).toHaveLength(10)
    q.advance(99)
    expect(q.pull('a')).toBe(null)
    q.advance(1)
    expect(q.pull('a')).not.toBe(null)
    q.advance(1000)
    expect(q.pullIds('a')).toHaveLength(10)
  })

  it('serves waiting pulls when each token is there, in turn, with no other wake-up', () => {
    limit(2)
    fill(4)
    q.pullIds('a')
    const waiting = [q.start({ cmd: 'PULL', queue: 'a' }), q.start({ cmd: 'PULL', queue: 'a' })]
    expect(q.nextDueMs()).toBe(START_MS + 500)
    q.advance(500)
    expect(waiting.map((each) => each.answer !== null)).toEqual([true, false])
    expect(q.nextDueMs()).toBe(START_MS + 1000)
    q.advance(500)
    expect(waiting[1]?.answer?.job?.started_at).toBe(START_MS + 1000)
  })

  it('30 pulls at limit 10 take 2 seconds', () => {
    limit(10)
    fill(30)
    const all = Array.from({ length: 30 }, () => q.start({ cmd: 'PULL', queue: 'a' }))
    q.advance(1999)
    expect(all.filter((each) => each.answer === null)).toHaveLength(1)
    q.advance(1)
    expect(all.every((each) => each.answer !== null)).toBe(true)
  })

  it('takes a token only for a job that is delivered', () => {
    limit(3)
    for (let i = 0; i < 20; i++) q.pull('a')
    q.start({ cmd: 'PULL', queue: 'a', wait: 5 })
    q.advance(5)
    fill(5)
    expect(q.pullIds('a')).toHaveLength(3)
  })

  it('sets no timer while something else holds the jobs back', () => {
    limit(10)
    q.send({ cmd: 'SETCONCURRENCY', queue: 'a', limit: 1 })
    fill(3)
    const { id } = q.pull('a') ?? { id: 0 }
    const waiting = q.start({ cmd: 'PULL', queue: 'a' })
    expect(q.nextDueMs()).toBe(Number.POSITIVE_INFINITY)
    q.ack(id)
    expect(waiting.answer?.job).not.toBe(null)
  })

  it('of 0 blocks until it is cleared', () => {
    fill(1)
    limit(0)
    const waiting = q.start({ cmd: 'PULL', queue: 'a' })
    expect(q.nextDueMs()).toBe(Number.POSITIVE_INFINITY)
    q.advance(1e9)
    expect(waiting.answer).toBe(null)
    q.send({ cmd: 'RATELIMITCLEAR', queue: 'a' })
    expect(waiting.answer?.job).not.toBe(null)
  })

  it('set again is full again, and serves those that wait', () => {
    limit(1)
    fill(3)
    q.pull('a')
    const waiting = q.start({ cmd: 'PULLB', queue: 'a', count: 5 })
    limit(2)
    expect(waiting.answer?.jobs).toHaveLength(2)
    expect(q.queue('a')?.rate_limit).toBe(2)
  })
})

describe('the concurrency limit', () => {
  const limit = (n: number) => q.send({ cmd: 'SETCONCURRENCY', queue: 'a', limit: n })

  it('set later counts the jobs that are active already', () => {
    const ids = Array.from({ length: 5 }, () => q.push('a'))
    q.pullIds('a', 3)
    limit(4)
    limit(4)
    expect(q.pullIds('a')).toHaveLength(1)
    for (const id of ids.slice(0, 3)) q.ack(id)
    expect(q.pullIds('a')).toHaveLength(1)
  })

  it.each(['ACK', 'FAIL', 'CANCEL', 'RELEASE'])(
    'gives a free slot to a waiting pull after %s',
    (cmd) => {
      limit(1)
      const [first, second] = [q.push('a', 1, { max_attempts: 1 }), q.push('a', 2)]
      q.pull('a')
      const waiting = q.start({ cmd: 'PULL', queue: 'a' })
      expect(waiting.answer).toBe(null)
      q.send({ cmd, id: first })
      expect(waiting.answer?.job?.id).toBe(cmd === 'RELEASE' ? first : second)
      expect(q.queue('a')?.processing).toBe(1)
    },
  )

  it('gives a slot that a timeout frees to a waiting pull', () => {
    limit(1)
    const [, second] = [q.push('a', 1, { timeout: 50, max_attempts: 1 }), q.push('a', 2)]
    q.pull('a')
    const waiting = q.start({ cmd: 'PULL', queue: 'a' })
    q.advance(51)
    expect(waiting.answer?.job?.id).toBe(second)
  })

  it('raised or cleared serves waiting pulls', () => {
    limit(0)
    for (let i = 0; i < 5; i++) q.push('a')
    const waiting = Array.from({ length: 5 }, () => q.start({ cmd: 'PULL', queue: 'a' }))
    const served = () => waiting.filter((each) => each.answer !== null).length
    expect(served()).toBe(0)
    limit(2)
    expect(served()).toBe(2)
    limit(1)
    limit(3)
    expect(served()).toBe(3)
    q.send({ cmd: 'CLEARCONCURRENCY', queue: 'a' })
    expect(served()).toBe(5)
  })

  it('limits a PULLB', () => {
    limit(3)
    for (let i = 0; i < 10; i++) q.push('a')
    expect(q.pullIds('a', 10)).toHaveLength(3)
    expect(q.pullIds('a', 10)).toHaveLength(0)
  })
})
