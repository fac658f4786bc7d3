import { beforeEach, describe, expect, it } from 'vitest'
import { limits } from '../../../src/engine/limits.ts'
import { EngineHarness, queueOfShard, START_MS } from '../../support/engine-harness.ts'

const plain = {
  priority: 0,
  created_at: START_MS,
  run_at: START_MS,
  started_at: 0,
  attempts: 0,
  max_attempts: 0,
  backoff: 0,
  ttl: 0,
  timeout: 0,
  unique_key: null,
  depends_on: [],
  progress: 0,
  progress_msg: null,
  tags: [],
}

describe('PUSH', () => {
  let q: EngineHarness

  beforeEach(() => {
    q = new EngineHarness()
  })

  it('answers with an id that names its shard, and the job is there', () => {
    const queue = queueOfShard(5)
    const id = q.push(queue, { n: 1 })
    expect(id % limits.shards).toBe(5)
    expect(q.send({ cmd: 'GETJOB', id })).toEqual({
      ok: true,
      job: { ...plain, id, queue, data: { n: 1 } },
      state: 'waiting',
    })
  })

  it('keeps every option and shows it at the pull', () => {
    const parent = q.push('other')
    q.ack(q.pull('other')?.id ?? 0)
    const options = {
      priority: -7,
      ttl: 5000,
      timeout: 6000,
      max_attempts: 4,
      backoff: 700,
      unique_key: 'kéy "1"',
      depends_on: [parent],
      tags: ['a', 'b"c'],
    }
    const id = q.push('mail', [1], options)
    expect(q.pull('mail')).toEqual({
      ...plain,
      ...options,
      id,
      queue: 'mail',
      data: [1],
      started_at: START_MS,
    })
  })

  it('gives data back byte for byte, whatever comes after it', () => {
    const data = '{ "big":1234567890123456789 ,"e":1E2, "s":"\\u00e9ü" }'
    const frame = `{"cmd":"PUSH","queue":"raw","data":${data},"priority":1}`
    const { id } = q.send(frame)
    expect(q.start({ cmd: 'GETJOB', id }).line).toContain(`"data":${data},`)
    expect(q.start({ cmd: 'PULL', queue: 'raw' }).line).toContain(`"data":${data},`)
  })

  it('refuses data over the limit, and takes data at the limit', () => {
    const fits = 'x'.repeat(limits.dataBytesMax - 2)
    expect(q.send({ cmd: 'PUSH', queue: 'a', data: fits }).ok).toBe(true)
    expect(q.send({ cmd: 'PUSH', queue: 'a', data: `${fits}x` })).toEqual({
      ok: false,
      error: 'Job data too large (1048577 bytes, max 1048576 bytes)',
      code: 'data_too_large',
    })
  })

  it.each(['', 'a b', 'x'.repeat(257), 'slash/'])('refuses the queue name %j', (queue) => {
    for (const frame of [
      { cmd: 'PUSH', data: 1 },
      { cmd: 'PUSHB', jobs: [] },
      { cmd: 'PULL', wait: 0 },
      { cmd: 'PAUSE' },
      { cmd: 'DLQ' },
      { cmd: 'RETRYDLQ' },
      { cmd: 'PURGEDLQ' },
      { cmd: 'RATELIMIT', limit: 1 },
      { cmd: 'CRON', name: 'n', schedule: '*/1', data: 1 },
    ]) {
      expect(q.send({ ...frame, queue }).code, frame.cmd).toBe('queue_name_invalid')
    }
    expect(q.queues()).toEqual([])
  })

  it('takes a Unicode queue name', () => {
    q.push('队列名称')
    expect(q.pull('队列名称')?.queue).toBe('队列名称')
  })

  it('takes no id for a job that is refused', () => {
    const first = q.push('a', 1, { unique_key: 'k' })
    expect(q.send({ cmd: 'PUSH', queue: 'a', data: 2, unique_key: 'k' }).ok).toBe(false)
    expect(q.push('a', 3)).toBe(first + limits.shards)
  })

  it('is refused while the memory is full; acks, fails and pulls go on', () => {
    const [one, two] = [q.push('a'), q.push('a')]
    q.memory.full = true
    const jobs = [{ data: 1 }]
    expect(q.send({ cmd: 'PUSH', queue: 'a', data: 1 }).code).toBe('memory_full')
    expect(q.send({ cmd: 'PUSHB', queue: 'a', jobs }).code).toBe('memory_full')
    expect(q.pullIds('a')).toEqual([one, two])
    expect(q.ack(one).ok).toBe(true)
    expect(q.fail(two).ok).toBe(true)
    q.memory.full = false
    expect(q.send({ cmd: 'PUSHB', queue: 'a', jobs }).ok).toBe(true)
  })

  it('is refused when the reserved sequences are used up, until more are reserved', () => {
    q = new EngineHarness({ firstSeq: 10, seqLimit: 12 })
    expect(Math.floor(q.push('a') / 32)).toBe(10)
    expect(q.send({ cmd: 'PUSHB', queue: 'a', jobs: [{ data: 1 }, { data: 2 }] })).toMatchObject({
      ok: false,
      code: 'unavailable',
    })
    q.push('a')
    expect(q.send({ cmd: 'PUSH', queue: 'a', data: 1 }).code).toBe('unavailable')
    q.shardOf('a').raiseSeqLimit(13)
    expect(Math.floor(q.push('a') / 32)).toBe(12)
  })
})

describe('PUSHB', () => {
  let q: EngineHarness

  beforeEach(() => {
    q = new EngineHarness({ events: true })
  })

  const batch = (jobs: object[], queue = 'a') => q.send({ cmd: 'PUSHB', queue, jobs })

  it('answers with the ids in input order', () => {
    const { ids } = batch(Array.from({ length: 1000 }, (_, i) => ({ data: i })))
    expect(ids).toHaveLength(1000)
    expect(q.pullMany('a').map((job) => [job.id, job.data])).toEqual(ids.map((id, i) => [id, i]))
  })

  it('answers an empty batch with no ids', () => {
    expect(batch([])).toEqual({ ok: true, ids: [] })
  })

  it('takes the good jobs, and says of each other one why not', () => {
    const big = 'x'.repeat(limits.dataBytesMax)
    q.push('a', 0, { unique_key: 'live' })
    const answer = batch([
      { data: 1 },
      { data: big },
      { data: 2, unique_key: 'live' },
      { data: 3, unique_key: 'new' },
      { data: 4, unique_key: 'new' },
      { data: 5, depends_on: [2 ** 40 * 32 + (q.push('a') % 32)] },
      { data: 6, tags: ['t'] },
    ])
    expect(answer.ids).toHaveLength(3)
    expect(answer.errors?.map(({ index, code }) => [index, code])).toEqual([
      [1, 'data_too_large'],
      [2, 'duplicate_key'],
      [4, 'duplicate_key'],
      [5, 'dependency_invalid'],
    ])
    expect(answer.ids.map((id) => q.job(id)?.data)).toEqual([1, 3, 6])
    expect(q.job(answer.ids[2] as number)?.tags).toEqual(['t'])
  })

  it('takes all options of each job', () => {
    const { ids } = batch([
      { data: 1, priority: 5, unique_key: 'k' },
      { data: 2, delay: 100, tags: ['x'] },
      { data: 3, max_attempts: 2, backoff: 9, timeout: 8, ttl: 7 },
    ])
    const [first, second, third] = ids.map((id) => q.job(id))
    expect(first).toMatchObject({ data: 1, priority: 5, unique_key: 'k', tags: [], ttl: 0 })
    expect(second).toMatchObject({ data: 2, run_at: START_MS + 100, tags: ['x'], priority: 0 })
    expect(third).toMatchObject({ data: 3, max_attempts: 2, backoff: 9, timeout: 8, ttl: 7 })
  })

  it('takes max_attempts of a batch that has nothing else', () => {
    const { ids } = batch([{ data: 1, max_attempts: 3 }, { data: 2 }])
    expect(ids.map((id) => q.job(id)?.max_attempts)).toEqual([3, 0])
  })

  it('emits an event for each job', () => {
    const { ids } = batch([{ data: 1 }, { data: 2 }])
    expect(q.events('pushed').map((event) => event.id)).toEqual(ids)
  })

  it('does not show the options of a former job whose place it took', () => {
    const old = { data: 1, backoff: 5, ttl: 100_000, timeout: 6, priority: 3, max_attempts: 9 }
    q = new EngineHarness({ retention: { count: 0 } })
    for (let i = 0; i < 5; i++) batch(Array.from({ length: 1000 }, () => old))
    for (let i = 0; i < 5; i++) {
      const jobs = q.pullMany('a', 1000, { lease: 50 })
      q.send({ cmd: 'PROGRESS', id: jobs[0]?.id, progress: 9, message: 'm' })
      q.send({ cmd: 'ACKB', ids: jobs.map((job) => job.id), results: jobs.map(() => 1) })
    }
    const { ids } = batch(Array.from({ length: 1000 }, (_, i) => ({ data: i })))
    for (let i = 0; i < 8; i++)
      ids.push(...batch(Array.from({ length: 1000 }, () => ({ data: 1 }))).ids)
    for (const id of ids) {
      const { data, id: _, queue, ...rest } = q.job(id) ?? {}
      expect(rest).toEqual(plain)
    }
  })
})

describe('a unique key', () => {
  let q: EngineHarness
  const pushKey = (queue = 'a') => q.send({ cmd: 'PUSH', queue, data: 1, unique_key: 'k' })
  const isTaken = () => !pushKey().ok

  beforeEach(() => {
    q = new EngineHarness()
  })

  it('is refused while a job of the same queue has it', () => {
    expect(pushKey().ok).toBe(true)
    expect(pushKey()).toEqual({
      ok: false,
      error: 'Duplicate job with key: k',
      code: 'duplicate_key',
    })
    expect(pushKey('b').ok).toBe(true)
  })

  it('is freed by an ack, in a batch too, and stays shown in the finished job', () => {
    const { id } = pushKey()
    q.pull('a')
    expect(isTaken()).toBe(true)
    q.ack(id)
    expect(q.job(id)?.unique_key).toBe('k')
    const again = pushKey()
    expect(again.ok).toBe(true)
    q.pull('a')
    q.send({ cmd: 'ACKB', ids: [again.id] })
    expect(isTaken()).toBe(false)
  })

  it('is not freed by the ack or the eviction of another job that once had it', () => {
    const first = pushKey().id
    q.pull('a')
    q.ack(first)
    expect(pushKey().ok).toBe(true)
    q.advance(4_000_000)
    expect(q.job(first)).toBe(null)
    expect(isTaken()).toBe(true)
  })

  it.each(['waiting', 'active', 'delayed', 'parked'])(
    'is freed by the cancel of a %s job',
    (how) => {
      const options = { delayed: { delay: 9 }, parked: { depends_on: [q.push('p')] } }[how] ?? {}
      const id = q.push('a', 1, { unique_key: 'k', ...options })
      if (how === 'active') q.pull('a')
      q.send({ cmd: 'CANCEL', id })
      expect(isTaken()).toBe(false)
    },
  )

  it('is kept through retries and in the DLQ, and freed by the purge', () => {
    const id = q.push('a', 1, { unique_key: 'k', max_attempts: 2 })
    q.pull('a')
    q.fail(id)
    expect(isTaken()).toBe(true)
    q.pull('a')
    q.fail(id)
    expect(q.state(id)).toBe('failed')
    expect(isTaken()).toBe(true)
    q.send({ cmd: 'RETRYDLQ', queue: 'a' })
    expect(isTaken()).toBe(true)
    q.pull('a')
    q.fail(id)
    q.pull('a')
    q.fail(id)
    q.send({ cmd: 'PURGEDLQ', queue: 'a' })
    expect(isTaken()).toBe(false)
  })

  it('is freed when its job expires', () => {
    q.push('a', 1, { unique_key: 'k', ttl: 10 })
    q.advance(10)
    expect(isTaken()).toBe(true)
    q.advance(1)
    expect(isTaken()).toBe(false)
  })

  it('may hold quotes and escapes', () => {
    const frame = '{"cmd":"PUSH","queue":"a","data":1,"unique_key":"\\u0061\\"\\\\"}'
    expect(q.send(frame).ok).toBe(true)
    expect(q.send({ cmd: 'PUSH', queue: 'a', data: 1, unique_key: 'a"\\' })).toMatchObject({
      code: 'duplicate_key',
    })
  })
})
