import { describe, expect, it } from 'vitest'
import { limits } from '../../../../src/engine/limits.ts'
import {
  type ConsumerClaims,
  type ConsumerInfo,
  checkConsumerName,
  mergeConsumers,
  parseClaims,
} from '../../../../src/transports/consumers/consumer.ts'
import {
  type ConnectedConsumer,
  Consumers,
} from '../../../../src/transports/consumers/consumers.ts'

const claims = (more: Partial<ConsumerClaims> = {}): ConsumerClaims => ({
  queues: ['mail'],
  concurrency: 2,
  host: null,
  version: null,
  processed: null,
  active: null,
  ...more,
})

const info = (more: Partial<ConsumerInfo> = {}): ConsumerInfo => ({
  id: 'w',
  queues: [],
  concurrency: 0,
  last_heartbeat: 0,
  jobs_processed: 0,
  active: 0,
  connections: 1,
  host: null,
  address: null,
  version: null,
  door: 'tcp',
  ...more,
})

const connected = (more: Partial<ConnectedConsumer> = {}): ConnectedConsumer => ({
  id: 'c',
  queues: new Set(['mail']),
  concurrency: 1,
  lastSeenMs: 5,
  processed: 3,
  given: 7,
  ended: 4,
  host: null,
  version: null,
  address: null,
  door: 'tcp',
  ...more,
})

function setUp() {
  const clock = { ms: 1_000_000, nowMs: () => clock.ms }
  return { clock, consumers: new Consumers(clock) }
}

describe('consumers by heartbeat', () => {
  it('are known until they have been silent for 30 s', () => {
    const { clock, consumers } = setUp()
    expect(consumers.heartbeat('a', claims(), '10.0.0.1')).toBeNull()
    clock.ms += 20_000
    consumers.heartbeat('b', claims(), null)
    expect(consumers.list().map(({ id }) => id)).toEqual(['a', 'b'])
    expect(consumers.list()[0]).toMatchObject({
      queues: ['mail'],
      concurrency: 2,
      last_heartbeat: 1_000_000,
      address: '10.0.0.1',
      door: 'http',
    })
    clock.ms += 10_000
    expect(consumers.list().map(({ id }) => id)).toEqual(['b'])
    consumers.heartbeat('b', claims(), null)
    clock.ms += limits.consumerSilenceMsMax - 1
    expect(consumers.list()).toHaveLength(1)
    clock.ms += 1
    expect(consumers.list()).toEqual([])
  })

  it('are bounded, and those that are known may go on', () => {
    const { clock, consumers } = setUp()
    for (let n = 0; n < limits.consumersPerWorkerMax; n++)
      consumers.heartbeat(`c${n}`, claims(), null)
    expect(consumers.heartbeat('more', claims(), null)?.code).toBe('limit_exceeded')
    expect(consumers.heartbeat('c0', claims(), null)).toBeNull()
    clock.ms += limits.consumerSilenceMsMax
    expect(consumers.heartbeat('more', claims(), null)).toBeNull()
    expect(consumers.list()).toHaveLength(1)
  })

  it('have names without control characters, of at most 128 bytes', () => {
    expect(checkConsumerName('worker 1 ü')).toBeNull()
    for (const bad of ['', 'a\nb', '\u0000', 'x'.repeat(129), 'ü'.repeat(65), '\ud800']) {
      expect(checkConsumerName(bad)?.code, JSON.stringify(bad)).toBe('invalid')
    }
  })

  it('say of themselves what is of the right type', () => {
    expect(parseClaims(Buffer.from('{"queues":["a","a","b"],"concurrency":4,"x":1}'))).toEqual(
      claims({ queues: ['a', 'b'], concurrency: 4 }),
    )
    const bad = [
      '[]',
      'null',
      '{',
      '{}',
      '{"queues":"a"}',
      '{"queues":[1]}',
      '{"queues":["a b"]}',
      '{"queues":[],"concurrency":-1}',
      '{"queues":[],"concurrency":"4"}',
      '{"queues":[],"host":"a\\u0007"}',
      '{"queues":[],"version":""}',
      JSON.stringify({ queues: Array.from({ length: 101 }, (_, i) => `q${i}`) }),
    ]
    for (const body of bad) expect(parseClaims(Buffer.from(body)), body).toHaveProperty('code')
  })
})

describe('consumers by connection', () => {
  it('are known until they leave', () => {
    const { consumers } = setUp()
    const consumer = connected()
    consumers.join(consumer)
    expect(consumers.list()).toEqual([
      info({
        id: 'c',
        queues: ['mail'],
        concurrency: 1,
        last_heartbeat: 5,
        jobs_processed: 3,
        active: 3,
      }),
    ])
    consumers.leave(consumer)
    expect(consumers.list()).toEqual([])
  })
})

describe('consumers of several workers', () => {
  it('are one for each id: connections add up', () => {
    const [merged] = mergeConsumers([
      info({ queues: ['a'], jobs_processed: 2, active: 1, last_heartbeat: 5, version: '1' }),
      info({ queues: ['b', 'a'], jobs_processed: 3, active: 4, last_heartbeat: 9, host: 'h' }),
    ])
    expect(merged).toMatchObject({
      jobs_processed: 5,
      active: 5,
      connections: 2,
      last_heartbeat: 9,
      host: 'h',
      version: '1',
    })
    expect([...(merged?.queues ?? [])].sort()).toEqual(['a', 'b'])
  })

  it('are not counted twice when their heartbeats came to several', () => {
    const beat = { connections: 0, door: 'http' }
    const [merged] = mergeConsumers([
      info({ ...beat, jobs_processed: 7, active: 1, concurrency: 3, last_heartbeat: 9 }),
      info({ ...beat, jobs_processed: 4, active: 3, concurrency: 5, last_heartbeat: 5 }),
    ])
    expect(merged).toMatchObject({ jobs_processed: 7, active: 1, concurrency: 3 })
  })

  it('come in the order of their ids', () => {
    const ids = mergeConsumers([info({ id: 'b' }), info({ id: 'a' })]).map(({ id }) => id)
    expect(ids).toEqual(['a', 'b'])
  })
})
