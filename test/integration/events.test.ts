// Events over SSE, from two workers: what every client hears, and how it goes on after a break.

import { describe, expect, it } from 'vitest'
import { shardOfQueue } from '../../src/cluster/shard-of-queue.ts'
import { EventClient } from '../support/event-client.ts'
import { eventually } from '../support/eventually.ts'
import type { LineClient } from '../support/line-client.ts'
import { isAlive, type ServerProcess, startServer } from '../support/server-process.ts'

const HTTP = { HTTP: '1', HTTP_PORT: '0' }
/** Queues in many shards, so that both workers own some. */
const QUEUES = Array.from({ length: 12 }, (_, i) => `q${i}`)

async function pushed(client: LineClient, queue: string, data: unknown): Promise<number> {
  client.send({ cmd: 'PUSH', queue, data })
  return Number((await client.object())['id'])
}

/** One stream at each worker, in no known order: new connections are handed out in turn. */
async function streamPerWorker(server: ServerProcess): Promise<EventClient[]> {
  const streams: EventClient[] = []
  for (let i = 0; i < server.workerPids().length; i++) {
    streams.push(await EventClient.open({ port: server.httpPort }))
  }
  return streams
}

const sorted = (ids: readonly number[]): number[] => [...ids].sort((a, b) => a - b)

describe('a stream of events', () => {
  it('tells the events of every worker to every client, once each, in the form of the wire', async () => {
    const server = await startServer(HTTP)
    const streams = await streamPerWorker(server)
    const client = await server.client()
    const ids: number[] = []
    for (const queue of QUEUES) ids.push(await pushed(client, queue, { queue }))
    expect(new Set(QUEUES.map((queue) => shardOfQueue(queue) % 2)).size).toBe(2)
    for (const stream of streams) {
      await stream.until('all are there', ({ jobs }) => jobs.length >= ids.length)
      expect(sorted(stream.jobs)).toEqual(sorted(ids))
      const first = stream.events.find(({ data }) => data['job_id'] === ids[0])
      expect(first?.type).toBe('pushed')
      expect(Object.keys(first?.data ?? {})).toEqual([
        'event_type',
        'queue',
        'job_id',
        'timestamp',
        'data',
      ])
      expect(first?.data).toMatchObject({
        event_type: 'pushed',
        queue: 'q0',
        data: { queue: 'q0' },
      })
    }
    expect(streams[0]?.answer.headers['content-type']).toBe('text/event-stream')
    expect(streams[0]?.answer.headers['cache-control']).toBe('no-cache')
  })

  it('tells every kind of event, also of batches', async () => {
    const server = await startServer(HTTP)
    const stream = await EventClient.open({ port: server.httpPort })
    const client = await server.client()
    const ask = async (frame: object): Promise<Record<string, unknown>> => {
      client.send(frame)
      return client.object()
    }
    const jobs = [
      { data: 1 },
      { data: 2 },
      { data: 3, max_attempts: 1 },
      { data: 4, max_attempts: 2 },
    ]
    const batch = await ask({ cmd: 'PUSHB', queue: 'q', jobs })
    const [first, second, third, fourth] = batch['ids'] as number[]
    await ask({ cmd: 'PULLB', queue: 'q', count: 4 })
    await ask({ cmd: 'PROGRESS', id: first, progress: 40, message: 'so far' })
    await ask({ cmd: 'ACKB', ids: [first] })
    await ask({ cmd: 'ACK', id: second, result: { sum: 1.5 } })
    await ask({ cmd: 'FAIL', id: third, error: 'no "luck"' })
    await ask({ cmd: 'FAIL', id: fourth, error: 'later' })
    const cancelled = await pushed(client, 'other', null)
    await ask({ cmd: 'CANCEL', id: cancelled })
    const timed = await ask({ cmd: 'PUSH', queue: 'timed', data: 1, timeout: 20, max_attempts: 1 })
    await ask({ cmd: 'PULL', queue: 'timed' })
    const old = await ask({ cmd: 'PUSH', queue: 'old', data: 1, ttl: 20 })
    const of = (id: unknown): object[] =>
      stream.events
        .filter(({ data }) => data['job_id'] === id)
        .map(({ type, data }) => {
          const { queue: _queue, job_id: _id, timestamp: _timestamp, ...rest } = data
          expect(rest['event_type']).toBe(type)
          return rest
        })
    await stream.until(
      'what falls due is told',
      () => of(old['id']).length === 2 && of(timed['id']).length === 3,
    )
    expect(of(first)).toEqual([
      { event_type: 'pushed', data: 1 },
      { event_type: 'progress', progress: 40 },
      { event_type: 'completed' },
    ])
    expect(of(second)).toEqual([
      { event_type: 'pushed', data: 2 },
      { event_type: 'completed', data: { sum: 1.5 } },
    ])
    expect(of(third)).toEqual([
      { event_type: 'pushed', data: 3 },
      { event_type: 'failed', error: 'no "luck"' },
    ])
    expect(of(fourth)).toEqual([
      { event_type: 'pushed', data: 4 },
      { event_type: 'retrying', error: 'later' },
    ])
    expect(of(cancelled)).toEqual([
      { event_type: 'pushed', data: null },
      { event_type: 'cancelled' },
    ])
    expect(of(timed['id']).map((event) => Object(event).event_type)).toEqual([
      'pushed',
      'timeout',
      'failed',
    ])
    expect(of(old['id'])).toEqual([{ event_type: 'pushed', data: 1 }, { event_type: 'expired' }])
  })

  it('is about some types and queues alone when asked', async () => {
    const server = await startServer(HTTP)
    const open = (path: string): Promise<EventClient> =>
      EventClient.open({ port: server.httpPort, path })
    const one = await open('/events/a')
    const two = await open('/events?queues=a,b')
    const ends = await open('/events?types=completed,failed')
    const all = await open('/events')
    const client = await server.client()
    for (const queue of ['a', 'b', 'c']) await pushed(client, queue, 1)
    client.send({ cmd: 'PULL', queue: 'b' })
    const { job } = (await client.object()) as { job: { id: number } }
    client.send({ cmd: 'ACK', id: job.id })
    await all.until('all four are there', ({ events }) => events.length >= 4)
    const seen = ({ events }: EventClient): unknown[] =>
      events.map(({ type, data }) => `${type} ${data['queue']}`).sort()
    await two.until('its three are there', ({ events }) => events.length >= 3)
    await ends.until('its one is there', ({ events }) => events.length >= 1)
    expect(seen(one)).toEqual(['pushed a'])
    expect(seen(two)).toEqual(['completed b', 'pushed a', 'pushed b'])
    expect(seen(ends)).toEqual(['completed b'])
  })

  it('refuses what it does not know', async () => {
    const server = await startServer(HTTP)
    for (const path of [
      '/events?types=pushed,nonsense',
      '/events?types=',
      '/events?types=pushed&types=failed',
      '/events?queues=a%20b',
      '/events/a%2Fb',
      '/events?types=__proto__',
    ]) {
      const stream = await EventClient.open({ port: server.httpPort, path })
      expect([path, stream.status]).toEqual([path, 400])
    }
  })

  it('is heard by a hundred clients alike', async () => {
    const server = await startServer(HTTP)
    const streams: EventClient[] = []
    for (let i = 0; i < 100; i++) streams.push(await EventClient.open({ port: server.httpPort }))
    const client = await server.client()
    for (const queue of QUEUES) {
      client.send({
        cmd: 'PUSHB',
        queue,
        jobs: Array.from({ length: 50 }, (_, n) => ({ data: n })),
      })
      await client.line()
    }
    const count = 50 * QUEUES.length
    for (const stream of streams) {
      await stream.until('all are there', ({ jobs }) => jobs.length >= count)
      expect(new Set(stream.jobs).size).toBe(count)
      expect(stream.events).toHaveLength(count)
    }
  })

  it('is told how much it has missed when it reads too slowly, and nobody else is', async () => {
    const server = await startServer(HTTP)
    const slow = await EventClient.open({ port: server.httpPort })
    const quick = await EventClient.open({ port: server.httpPort })
    slow.answer.pause()
    const client = await server.client()
    const jobs = Array.from({ length: 50 }, () => ({ data: 'x'.repeat(30_000) }))
    const total = 40 * jobs.length
    for (let i = 0; i < 40; i++) {
      client.send({ cmd: 'PUSHB', queue: QUEUES[i % QUEUES.length], jobs })
      await client.line()
      const due = (i + 1) * jobs.length
      await quick.until('it keeps up', (stream) => stream.jobs.length === due)
    }
    expect(quick.dropped).toEqual([])
    slow.answer.resume()
    const missed = (): number =>
      slow.dropped.reduce((sum, { data }) => sum + Number(data['count']), 0)
    await slow.until('all is there or told', () => slow.jobs.length + missed() >= total)
    expect(slow.jobs.length + missed()).toBe(total)
    expect(missed()).toBeGreaterThan(0)
    expect(new Set(slow.jobs).size).toBe(slow.jobs.length)
  })

  it('ends when the server is stopped', async () => {
    const server = await startServer(HTTP)
    const streams = await streamPerWorker(server)
    const exit = await server.stop()
    expect(exit.code).toBe(0)
    for (const stream of streams) await stream.ended()
  })
})

describe('a client that comes back', () => {
  it.each([
    { another: false, at: 3 },
    { another: false, at: QUEUES.length - 1 },
    { another: true, at: 3 },
    { another: true, at: QUEUES.length - 1 },
  ])(
    'goes on where it was, at whatever worker: $at events behind, others listen: $another',
    async ({ another, at }) => {
      const server = await startServer(HTTP)
      if (another) await streamPerWorker(server)
      const first = await EventClient.open({ port: server.httpPort })
      const client = await server.client()
      const ids: number[] = []
      const pushAll = async (): Promise<void> => {
        for (const queue of QUEUES) ids.push(await pushed(client, queue, ids.length))
      }
      await pushAll()
      await first.until('all are there', ({ jobs }) => jobs.length === ids.length)
      first.close()
      await pushAll()
      const lastEventId = first.events[at]?.id ?? ''
      const back: EventClient[] = []
      for (let i = 0; i < 2; i++) {
        back.push(await EventClient.open({ port: server.httpPort, lastEventId }))
      }
      await pushAll()
      const had = first.jobs.slice(0, at + 1)
      const due = ids.filter((id) => !had.includes(id))
      for (const stream of back) {
        await stream.until('all are there', ({ jobs }) => jobs.length >= due.length)
        expect(sorted(stream.jobs)).toEqual(sorted(due))
        expect(stream.dropped).toEqual([])
        // And from the middle of what it was told again.
        const middle = stream.events[2]?.id ?? ''
        const third = await EventClient.open({ port: server.httpPort, lastEventId: middle })
        await third.until('the rest is there', ({ jobs }) => jobs.length >= due.length - 3)
        expect(sorted(third.jobs)).toEqual(sorted(stream.jobs.slice(3)))
        expect(third.dropped).toEqual([])
      }
    },
  )

  it.each([
    ['garbage', 'no id of ours'],
    ['that names nobody we know', '0.zzzz.5-1.zzzz.7'],
    ['of five thousand characters', '0.1.1-'.repeat(900)],
    ['with a place in the future', ''],
  ])('is told that it may have missed something when its id is %s', async (what, given) => {
    const server = await startServer(HTTP)
    const seed = await EventClient.open({ port: server.httpPort })
    await seed.until('it has a place', ({ lastEventId }) => lastEventId !== '')
    const isFuture = what.includes('future')
    const lastEventId = isFuture
      ? seed.lastEventId.replaceAll(/\.[0-9a-z]+(?=-|$)/g, '.zzzzzzzz')
      : given
    const stream = await EventClient.open({ port: server.httpPort, lastEventId })
    expect(stream.status).toBe(200)
    const client = await server.client()
    const ids: number[] = []
    for (const queue of QUEUES) ids.push(await pushed(client, queue, 1))
    await stream.until('it hears what comes', ({ jobs }) => jobs.length === ids.length)
    expect(stream.events[0]?.data).toEqual({ event_type: 'dropped' })
    expect(stream.dropped).toHaveLength(1)
  })

  it('is told of a worker that died, and hears the next one', async () => {
    const server = await startServer(HTTP)
    const streams = await streamPerWorker(server)
    const client = await server.client()
    for (const queue of QUEUES) await pushed(client, queue, 1)
    for (const stream of streams)
      await stream.until('all are there', ({ jobs }) => jobs.length === QUEUES.length)
    const lastEventId = streams[0]?.lastEventId ?? ''
    const [pid = 0] = server.workerPids()
    process.kill(pid, 'SIGKILL')
    await eventually('the worker is dead', 10_000, () => !isAlive(pid))
    await eventually('one stream has ended', 10_000, () => streams.some(({ isEnded }) => isEnded))
    const left = streams.find(({ isEnded }) => !isEnded)
    await left?.until('it is told', ({ dropped }) => dropped.length === 1)
    expect(left?.dropped[0]?.data).toEqual({ event_type: 'dropped' })
    await eventually(
      'there is another worker',
      10_000,
      () => server.workerPids()[0] !== pid && server.find('shards have new owners') !== undefined,
    )
    const back = await EventClient.open({ port: server.httpPort, lastEventId })
    const again = await server.client()
    const ids: number[] = []
    for (const queue of QUEUES) ids.push(await pushed(again, queue, 2))
    for (const stream of [left, back]) {
      await stream?.until('all new ones are there', ({ jobs }) =>
        ids.every((id) => jobs.includes(id)),
      )
    }
    expect(new Set(left?.jobs).size).toBe(left?.jobs.length)
    expect(back.dropped.map(({ data }) => data)).toEqual([{ event_type: 'dropped' }])
  })
})
