import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BatchError, FlashQ } from '../../../sdk/typescript/src/index.ts'
import { FakeServer, refusal } from './fake-server.ts'

let server: FakeServer
let client: FlashQ

beforeEach(async () => {
  server = await new FakeServer().start()
  client = new FlashQ(server.options)
  await client.connect()
})

afterEach(async () => {
  await client.close()
  await server.stop()
})

const commands = (): string[] => server.frames.map((frame) => frame.cmd)
const count = (length: number): number[] => Array.from({ length }, (_, index) => index)

describe('pushes of one tick', () => {
  it('travel as one PUSHB and give each call its own job', async () => {
    const jobs = await Promise.all(count(3).map((n) => client.push('q', { n }, { priority: n })))
    expect(commands()).toEqual(['PUSHB'])
    expect(jobs.map((one) => [one.id, one.data, one.priority])).toEqual([
      [1, { n: 0 }, 0],
      [2, { n: 1 }, 1],
      [3, { n: 2 }, 2],
    ])
  })

  it('include those of promise continuations', async () => {
    await Promise.all(
      count(3).map(async (n) => {
        for (let hop = 0; hop < n; hop += 1) await null
        return client.push('q', n)
      }),
    )
    expect(commands()).toEqual(['PUSHB'])
  })

  it('travel as a plain PUSH when there is only one', async () => {
    const pushed = await client.push('q', 1, { delay: 50, unique_key: 'k', depends_on: [3] })
    expect(server.frames[0]).toMatchObject({
      cmd: 'PUSH',
      queue: 'q',
      data: 1,
      delay: 50,
      unique_key: 'k',
      depends_on: [3],
    })
    expect(pushed).toMatchObject({ id: 1, unique_key: 'k', depends_on: [3], tags: [], ttl: 0 })
    expect(pushed.run_at - pushed.created_at).toBe(50)
  })

  it('give each call its own error', async () => {
    server.script = (frame) => {
      if (frame.cmd !== 'PUSHB') return undefined
      const error = { index: 1, error: 'Duplicate job with key: k', code: 'duplicate_key' }
      return { ids: [17, 49], errors: [error] }
    }
    const [a, b, c] = await Promise.allSettled(count(3).map((n) => client.push('q', n)))
    expect(a).toMatchObject({ status: 'fulfilled', value: { id: 17, data: 0 } })
    expect(b).toMatchObject({ status: 'rejected', reason: { code: 'duplicate_key' } })
    expect(c).toMatchObject({ status: 'fulfilled', value: { id: 49, data: 2 } })
  })

  it('are asked one by one when one of them spoils the frame', async () => {
    server.script = (frame) => {
      if (frame.cmd === 'PUSHB') return refusal('invalid', 'Invalid: priority')
      return frame['data'] === 1 ? refusal('invalid', 'Invalid: priority') : undefined
    }
    const outcomes = await Promise.allSettled(count(3).map((n) => client.push('q', n)))
    expect(outcomes.map((outcome) => outcome.status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
    ])
    expect(commands()).toEqual(['PUSHB', 'PUSH', 'PUSH', 'PUSH'])
  })

  it('all fail when their queue is refused', async () => {
    server.script = () => refusal('queue_name_invalid', 'Queue name cannot be empty')
    const outcomes = await Promise.allSettled([client.push('', 1), client.push('', 2)])
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ reason: { message: 'Queue name cannot be empty' } })
    }
    expect(commands()).toEqual(['PUSHB'])
  })

  it('are rejected when the reply does not account for all of them', async () => {
    server.script = () => ({ ids: [1] })
    const outcomes = await Promise.allSettled([client.push('q', 1), client.push('q', 2)])
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ reason: { code: 'protocol', maybeExecuted: true } })
    }
  })

  it('are split at 1,000 jobs', async () => {
    await Promise.all(count(2500).map((n) => client.push('q', n)))
    const frames = server.of('PUSHB').map((frame) => frame['jobs'] as { data: number }[])
    expect(frames.map((jobs) => jobs.length)).toEqual([1000, 1000, 500])
    expect(frames.flat().map((one) => one.data)).toEqual(count(2500))
  })

  it('are split at about a megabyte', async () => {
    const data = 'x'.repeat(400_000)
    await Promise.all(count(5).map(() => client.push('q', data)))
    expect(commands()).toEqual(['PUSHB', 'PUSHB', 'PUSH'])
  })

  it('are gathered per queue', async () => {
    await Promise.all(count(6).map((n) => client.push(n % 2 === 0 ? 'a' : 'b', n)))
    const jobs = server.of('PUSHB').map((frame) => [frame['queue'], frame['jobs']])
    expect(jobs).toEqual([
      ['a', [{ data: 0 }, { data: 2 }, { data: 4 }]],
      ['b', [{ data: 1 }, { data: 3 }, { data: 5 }]],
    ])
  })

  it('keep their place among other commands', async () => {
    await Promise.all([
      client.push('q', 1),
      client.push('q', 2),
      client.pause('q'),
      client.push('q', 3),
      client.ack(9),
      client.push('q', 4),
    ])
    expect(commands()).toEqual(['PUSHB', 'PAUSE', 'PUSH', 'ACK', 'PUSH'])
  })

  it('are not overtaken by acks, nor overtake them', async () => {
    await Promise.all([
      client.push('q', 1),
      client.ack(1),
      client.push('q', 2),
      client.ack(2),
      client.ack(3),
    ])
    expect(commands()).toEqual(['PUSH', 'ACK', 'PUSH', 'ACK', 'ACK'])
  })

  it('travel alone when autoBatch is off', async () => {
    const single = new FlashQ({ ...server.options, autoBatch: false })
    await Promise.all([single.push('q', 1), single.push('q', 2), single.ack(3), single.ack(35)])
    expect(commands()).toEqual(['PUSH', 'PUSH', 'ACK', 'ACK'])
    await single.close()
  })
})

describe('acks of one tick', () => {
  it('travel as one ACKB per shard, with results and tokens', async () => {
    await Promise.all([
      client.ack(1, 'one', { token: 11 }),
      client.ack(2),
      client.ack(33, undefined, { token: 12 }),
      client.ack(34),
    ])
    const [first, second] = server.of('ACKB')
    expect(first).toMatchObject({ ids: [1, 33], tokens: [11, 12], results: ['one', null] })
    expect(second).toMatchObject({ ids: [2, 34] })
    expect(second).not.toHaveProperty('tokens')
    expect(second).not.toHaveProperty('results')
  })

  it('give each call its own error', async () => {
    server.script = () => ({
      ids: [1],
      errors: [{ index: 0, error: 'Job 1 not found', code: 'job_not_found' }],
    })
    const [a, b] = await Promise.allSettled([client.ack(1), client.ack(33)])
    expect(a).toMatchObject({ reason: { message: 'Job 1 not found' } })
    expect(b).toMatchObject({ status: 'fulfilled' })
  })
})

describe('pushBatch', () => {
  it('returns the ids', async () => {
    expect(await client.pushBatch('q', [{ data: 1 }, { data: 2, priority: 5 }])).toEqual([1, 2])
    expect(server.frames[0]).toMatchObject({ jobs: [{ data: 1 }, { data: 2, priority: 5 }] })
  })

  it('throws which jobs were refused and the ids of the others', async () => {
    const error = { index: 1, error: 'Job data too large', code: 'data_too_large' }
    server.script = () => ({ ids: [17, 49], errors: [error] })
    const thrown = await client
      .pushBatch('q', [{ data: 1 }, { data: 2 }, { data: 3 }])
      .catch((reason: unknown) => reason)
    expect(thrown).toBeInstanceOf(BatchError)
    expect(thrown).toMatchObject({ ids: [17, null, 49], errors: [error], code: 'data_too_large' })
    expect((thrown as BatchError).message).toContain('too large')
  })

  it('sends more than 1,000 jobs in several frames and joins their outcomes', async () => {
    server.script = (frame) =>
      (frame['jobs'] as unknown[]).length === 1000 ? refusal('memory_full') : undefined
    const jobs = count(1002).map((n) => ({ data: n }))
    const thrown = await client.pushBatch('q', jobs).catch((reason: unknown) => reason)
    expect(thrown).toBeInstanceOf(BatchError)
    const { ids, errors } = thrown as BatchError
    expect(errors).toHaveLength(1000)
    expect(ids.slice(999)).toEqual([null, 1, 2])
  })

  it('throws the one error when every job has it', async () => {
    server.script = () => refusal('queue_name_invalid', 'Queue name cannot be empty')
    await expect(client.pushBatch('', [{ data: 1 }])).rejects.toThrow('Queue name cannot be empty')
  })

  it('sends nothing for no jobs', async () => {
    expect(await client.pushBatch('q', [])).toEqual([])
    expect(server.frames).toHaveLength(0)
  })
})

describe('calls over ids', () => {
  it('count what ackBatch did', async () => {
    expect(await client.ackBatch([1, 2], { tokens: [5, null], results: ['r', undefined] })).toBe(2)
    expect(server.frames[0]).toMatchObject({ ids: [1, 2], tokens: [5, null], results: ['r', null] })
  })

  it('tell of a heartbeat which leases are lost', async () => {
    const error = { index: 1, error: 'stale', code: 'stale_token' }
    server.script = () => ({ ids: [1], errors: [error] })
    const outcome = await client.heartbeat([1, 2], { lease: 100, tokens: [3, 4] })
    expect(outcome).toEqual({ count: 1, errors: [error] })
    await expect(client.heartbeat(1, { token: 9 })).rejects.toMatchObject({ code: 'stale_token' })
    expect(server.of('HEARTBEAT')[1]).toMatchObject({ ids: [1], tokens: [9] })
  })

  it('split at 1,000 and keep the indexes', async () => {
    server.script = (frame) =>
      (frame['ids'] as unknown[]).length === 1
        ? { ids: [0], errors: [{ index: 0, error: 'gone', code: 'job_not_active' }] }
        : undefined
    const outcome = await client.release(count(1001))
    expect(outcome).toMatchObject({ count: 1000, errors: [{ index: 1000 }] })
  })
})
