import { beforeEach, describe, expect, it } from 'vitest'
import { shardOfQueue } from '../../../src/cluster/shard-of-queue.ts'
import { limits } from '../../../src/engine/limits.ts'
import { EngineHarness, queueOfShard, START_MS } from '../../support/engine-harness.ts'

let q: EngineHarness

beforeEach(() => {
  q = new EngineHarness({ retention: { ageMs: 1000 } })
})

const namesOf = (shard: number, count: number): string[] => {
  const names: string[] = []
  for (let i = 0; names.length < count; i++)
    if (shardOfQueue(`n${i}`) === shard) names.push(`n${i}`)
  return names
}

describe('the list of queues', () => {
  it('shows a queue known by its jobs, and its counters', () => {
    q.push('a')
    q.push('a', 1, { delay: 100 })
    q.push('a', 1, { priority: 1 })
    q.pull('a')
    q.push('a', 1, { max_attempts: 1, priority: 9 })
    q.fail(q.pull('a')?.id ?? 0)
    expect(q.queues()).toEqual([
      {
        name: 'a',
        pending: 2,
        processing: 1,
        dlq: 1,
        paused: false,
        rate_limit: null,
        concurrency_limit: null,
      },
    ])
  })

  it('shows a queue known by its settings only, and not one that was only asked for', () => {
    q.send({ cmd: 'PAUSE', queue: 'p' })
    q.send({ cmd: 'RATELIMIT', queue: 'r', limit: 5 })
    q.send({ cmd: 'SETCONCURRENCY', queue: 'c', limit: 0 })
    q.pull('nobody')
    q.dead('nobody')
    expect(
      q
        .queues()
        .map((queue) => queue.name)
        .sort(),
    ).toEqual(['c', 'p', 'r'])
    q.send({ cmd: 'RATELIMITCLEAR', queue: 'r' })
    expect(q.queue('r')).toBe(undefined)
  })

  it('keeps a queue that is empty now', () => {
    q.push('a')
    q.ack(q.pull('a')?.id ?? 0)
    expect(q.queue('a')).toMatchObject({ pending: 0, processing: 0, dlq: 0 })
  })
})

describe('queues that nobody uses any more', () => {
  const idle = (count: number) => {
    for (const name of namesOf(7, count + 50).slice(50)) q.pull(name)
  }
  const open = () => q.shards[7]?.state.queuesByName.size ?? 0

  it('are forgotten when there are many', () => {
    idle(5000)
    expect(open()).toBeLessThan(1100)
  })

  it('are kept while there is anything of them', () => {
    const [a, b, c, d, e, f, g, h] = namesOf(7, 8) as string[]
    q.push(a as string)
    q.push(b as string, 1, { delay: 1e6 })
    q.push(c as string)
    q.pull(c as string)
    q.push(d as string, 1, { max_attempts: 1 })
    q.fail(q.pull(d as string)?.id ?? 0)
    q.push(e as string, 1, { depends_on: [q.push('parent')] })
    q.send({ cmd: 'PAUSE', queue: f })
    const waiting = q.start({ cmd: 'PULL', queue: g as string })
    const done = q.push(h as string, 'done')
    q.pull(h as string)
    q.ack(done, { result: 'yes' })
    idle(3000)
    expect(q.job(done)).toMatchObject({ id: done, queue: h, data: 'done' })
    expect(q.stats()).toEqual({ queued: 2, processing: 1, delayed: 1, dlq: 1 })
    expect(q.queue(f as string)?.paused).toBe(true)
    q.push(g as string)
    expect(waiting.answer?.job?.queue).toBe(g)
    for (const name of [a, b, c, d, e, f, g, h]) {
      expect(q.shards[7]?.state.queuesByName.has(name as string), name).toBe(true)
    }
  })

  it('are forgotten with the last of their finished jobs, and their number names another', () => {
    const name = namesOf(7, 1)[0] as string
    q.push(name)
    q.ack(q.pull(name)?.id ?? 0)
    q.advance(1001)
    idle(3000)
    expect(q.shards[7]?.state.queuesByName.has(name)).toBe(false)
    const ids = namesOf(7, 30).map((each) => q.push(each, each))
    for (const id of ids) expect(q.job(id)?.queue).toBe(q.job(id)?.data)
  })
})

describe('a shard that is full', () => {
  const full = (map: ReadonlyMap<unknown, unknown> | undefined, size: number): void => {
    Object.defineProperty(map, 'size', { value: size, configurable: true })
  }

  it('101 opens no more queues, and those that there are go on', () => {
    const [known, unknown] = namesOf(7, 2) as [string, string]
    q.push(known)
    full(q.shards[7]?.state.queuesByName, limits.queuesPerShardMax)
    expect(q.send({ cmd: 'PUSH', queue: unknown, data: 1 })).toMatchObject({
      ok: false,
      code: 'limit_exceeded',
      error: 'Limit exceeded: queues in a shard (max 100000)',
    })
    expect(q.send({ cmd: 'PUSH', queue: known, data: 1 }).ok).toBe(true)
    expect(q.pull(known)).not.toBeNull()
    // Another shard has room.
    expect(q.send({ cmd: 'PUSH', queue: namesOf(8, 1)[0], data: 1 }).ok).toBe(true)
  })
})

describe('a shard', () => {
  it('is empty until it holds a job, a cron, a setting or a waiting pull', () => {
    const name = queueOfShard(9)
    const shard = () => q.shards[9]?.isEmpty()
    expect(shard()).toBe(true)
    q.pull(name)
    expect(shard()).toBe(true)
    q.send({ cmd: 'PAUSE', queue: name })
    expect(shard()).toBe(false)
    q.send({ cmd: 'RESUME', queue: name })
    expect(shard()).toBe(true)
    q.start({ cmd: 'PULL', queue: name }, 3)
    expect(shard()).toBe(false)
    q.closed(3)
    q.push(name)
    expect(shard()).toBe(false)
    q.ack(q.pull(name)?.id ?? 0)
    expect(shard()).toBe(false)
    q.advance(1001)
    expect(shard()).toBe(true)
  })

  it('names the holders of waiting pulls and of jobs that return', () => {
    const name = queueOfShard(9)
    q.push(name)
    q.pull(name, { release_on_close: true }, 11)
    q.start({ cmd: 'PULL', queue: name }, 12)
    expect(q.shards[9]?.holders().sort()).toEqual([11, 12])
    q.closed(11)
    q.closed(12)
    expect(q.shards[9]?.holders()).toEqual([])
  })

  it('refuses a command that is not for one shard', () => {
    expect(q.send({ cmd: 'STATS' }).code).toBe('invalid')
  })

  it('sweeps out timers that lost their reason', () => {
    const name = queueOfShard(9)
    for (let round = 0; round < 20; round++) {
      const jobs = Array.from({ length: 1000 }, () => ({
        data: 1,
        ttl: 1e9,
        timeout: 1e9,
      }))
      q.send({ cmd: 'PUSHB', queue: name, jobs })
      const ids = q.pullMany(name, 1000, { lease: 86_400_000 }).map((job) => job.id)
      q.send({ cmd: 'ACKB', ids })
      q.advance(1)
    }
    expect(q.shards[9]?.state.due.size).toBeLessThan(10_000)
    expect(q.nextDueMs()).toBeGreaterThan(START_MS)
  })

  it('expires, promotes and serves tens of thousands that are due at one moment', () => {
    const name = queueOfShard(9)
    for (let i = 0; i < 20; i++) {
      const jobs = Array.from({ length: 1000 }, (_, n) =>
        n % 2 === 0 ? { data: 1, ttl: 99 } : { data: 1, delay: 100 },
      )
      q.send({ cmd: 'PUSHB', queue: name, jobs })
    }
    q.advance(100)
    expect(q.stats()).toEqual({ queued: 10_000, processing: 0, delayed: 0, dlq: 0 })
  })
})
