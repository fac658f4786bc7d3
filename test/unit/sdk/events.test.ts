import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type EventStream, FlashQ } from '../../../sdk/typescript/src/index.ts'
import { data, EventBody, FakeFetch, networkFault, refused } from './fake-fetch.ts'
import { FakeServer, job, refusal } from './fake-server.ts'

function event(name: string, id: number, more: object = {}): string {
  const text = JSON.stringify({ event_type: name, queue: 'q', job_id: id, timestamp: 5, ...more })
  return `id: e${id}\nevent: ${name}\ndata: ${text}\n\n`
}

async function take(stream: EventStream, count: number): Promise<unknown[]> {
  const events: unknown[] = []
  while (events.length < count) events.push((await stream.next()).value)
  return events
}

describe('events over HTTP', () => {
  let web: FakeFetch
  let client: FlashQ
  let bodies: EventBody[]

  beforeEach(() => {
    web = new FakeFetch().install()
    bodies = []
    web.script = (call) => {
      if (!call.path.startsWith('/events')) return undefined
      const body = new EventBody()
      bodies.push(body)
      return body.response
    }
    client = new FlashQ({ httpUrl: 'http://flashq.test', token: 't', reconnectDelay: 0 })
  })

  afterEach(async () => {
    await client.close({ timeoutMs: 0 })
    vi.unstubAllGlobals()
  })

  it('come to a loop, with what each is about', async () => {
    const stream = client.events()
    await stream.opened
    bodies[0]?.send(event('pushed', 1, { data: { a: 1 } }) + event('completed', 1, { data: 2 }))
    bodies[0]?.send(event('failed', 2, { error: 'no' }) + event('progress', 3, { progress: 50 }))
    expect(await take(stream, 4)).toEqual([
      { event: 'pushed', queue: 'q', job_id: 1, timestamp: 5, data: { a: 1 }, event_id: 'e1' },
      { event: 'completed', queue: 'q', job_id: 1, timestamp: 5, data: 2, event_id: 'e1' },
      { event: 'failed', queue: 'q', job_id: 2, timestamp: 5, error: 'no', event_id: 'e2' },
      { event: 'progress', queue: 'q', job_id: 3, timestamp: 5, progress: 50, event_id: 'e3' },
    ])
    await stream.return()
  })

  it('go on soon after an end in good order, whatever the server asks to wait after a break', async () => {
    const stream = client.events()
    await stream.opened
    bodies[0]?.send(`retry: 3600000\n\n${event('pushed', 1)}`)
    expect(await take(stream, 1)).toMatchObject([{ job_id: 1 }])
    bodies[0]?.end()
    const [, again] = await web.received('/events', 2)
    expect(again?.headers['last-event-id']).toBe('e1')
    await stream.return()
  })

  it('are asked for by queue and type', async () => {
    const streams = [
      client.events(),
      client.events({ queues: ['a b'] }),
      client.events({ queues: ['a', 'b'], types: ['failed', 'timeout'] }),
    ]
    await Promise.all(streams.map((stream) => stream.opened))
    expect(web.calls.map((call) => call.path).sort()).toEqual([
      '/events',
      '/events/a%20b',
      '/events?queues=a%2Cb&types=failed%2Ctimeout',
    ])
    expect(web.calls[0]?.headers).toMatchObject({ authorization: 'Bearer t' })
  })

  it('go on behind the last one when the connection breaks', async () => {
    const stream = client.events()
    await stream.opened
    bodies[0]?.send(event('pushed', 1))
    await take(stream, 1)
    bodies[0]?.break()
    const [, second] = await web.received('/events', 2)
    expect(second?.headers['last-event-id']).toBe('e1')
    await vi.waitFor(() => expect(bodies).toHaveLength(2))
    bodies[1]?.send(event('pushed', 2))
    expect(await take(stream, 1)).toMatchObject([{ job_id: 2 }])
  })

  it('go on when the server ends them, or is away for a while', async () => {
    const stream = client.events()
    await stream.opened
    const usual = web.script
    let away = 2
    web.script = (call) => {
      away -= 1
      if (away >= 0) throw networkFault('ECONNREFUSED')
      return usual(call)
    }
    bodies[0]?.end()
    await vi.waitFor(() => expect(bodies).toHaveLength(2))
    bodies[1]?.send(event('pushed', 2))
    expect(await take(stream, 1)).toMatchObject([{ job_id: 2 }])
  })

  it('say what was missed', async () => {
    const stream = client.events()
    await stream.opened
    bodies[0]?.send('event: dropped\ndata: {"event_type":"dropped","count":7}\n\n')
    bodies[0]?.send('event: dropped\ndata: {"event_type":"dropped"}\n\n')
    expect(await take(stream, 2)).toEqual([
      { event: 'dropped', count: 7 },
      { event: 'dropped', count: 0 },
    ])
  })

  it('that the loop is too slow for are counted in their place', async () => {
    const stream = client.events({ buffer: 2 })
    await stream.opened
    const taken = take(stream, 3)
    bodies[0]?.send([1, 2, 3, 4, 5].map((id) => event('pushed', id)).join(''))
    expect(await taken).toMatchObject([
      { job_id: 1 },
      { job_id: 2 },
      { event: 'dropped', count: 3 },
    ])
    bodies[0]?.send(event('pushed', 6))
    expect(await take(stream, 1)).toMatchObject([{ job_id: 6 }])
  })

  it('end with the refusal when they are refused', async () => {
    web.script = () => refused(403, 'forbidden', 'No')
    const stream = client.events()
    await expect(stream.opened).rejects.toMatchObject({ code: 'forbidden' })
    await expect(stream.next()).rejects.toMatchObject({ code: 'forbidden', message: 'No' })
    expect(await stream.next()).toEqual({ done: true, value: undefined })
  })

  it('end when the loop is left: the request is cut off', async () => {
    for await (const _ of feeding(client.events())) break
    expect(web.calls[0]?.signal.aborted).toBe(true)

    async function* feeding(stream: EventStream): AsyncGenerator {
      await stream.opened
      bodies[0]?.send(event('pushed', 1))
      yield* stream
    }
  })

  it('end when the client is closed', async () => {
    const stream = client.events()
    await stream.opened
    const next = stream.next()
    await client.close()
    expect(await next).toEqual({ done: true, value: undefined })
    expect(web.calls[0]?.signal.aborted).toBe(true)
  })

  it('come to a listener with the whole job, in their order', async () => {
    const usual = web.script
    web.script = (call) => {
      if (call.path === '/jobs/1') return data({ ...job(1, { data: 'd' }), state: 'active' })
      if (call.path === '/jobs/2') return data({ state: 'completed', result: null })
      return usual(call)
    }
    const told: unknown[] = []
    const unsubscribe = await client.subscribe('q', ['completed'], (one) => told.push(one))
    bodies[0]?.send(event('completed', 1, { data: 9 }) + event('completed', 2))
    await vi.waitFor(() => expect(told).toHaveLength(2))
    expect(told).toMatchObject([
      { event: 'completed', queue: 'q', timestamp: 5, result: 9, job: job(1, { data: 'd' }) },
      { event: 'completed', queue: 'q', timestamp: 5, job: { id: 2, queue: 'q' } },
    ])
    await unsubscribe()
  })
})

describe('events over TCP', () => {
  let server: FakeServer
  let client: FlashQ

  beforeEach(async () => {
    server = await new FakeServer().start()
    client = new FlashQ(server.options)
  })

  afterEach(async () => {
    await client.close()
    await server.stop()
  })

  it('have the same shape, and the job', async () => {
    const stream = client.events()
    await stream.opened
    const from = await server.connected(1)
    from.line({ event: 'pushed', queue: 'q', job: job(1, { data: 'd' }), timestamp: 5 })
    from.line({ event: 'completed', queue: 'q', job: job(1), timestamp: 6, result: 9 })
    from.line({ event: 'progress', queue: 'q', job: job(1, { progress: 50 }), timestamp: 7 })
    from.line({ event: 'failed', queue: 'q', job: job(1), timestamp: 8, error: 'no' })
    from.line({ event: 'dropped', count: 3 })
    expect(await take(stream, 5)).toEqual([
      {
        event: 'pushed',
        queue: 'q',
        job_id: 1,
        timestamp: 5,
        data: 'd',
        job: job(1, { data: 'd' }),
      },
      { event: 'completed', queue: 'q', job_id: 1, timestamp: 6, data: 9, job: job(1) },
      {
        event: 'progress',
        queue: 'q',
        job_id: 1,
        timestamp: 7,
        progress: 50,
        job: job(1, { progress: 50 }),
      },
      { event: 'failed', queue: 'q', job_id: 1, timestamp: 8, error: 'no', job: job(1) },
      { event: 'dropped', count: 3 },
    ])
  })

  it('of all queues and types are asked for by a star', async () => {
    await client.events().opened
    await client.events({ queues: ['a', 'b'], types: ['failed'] }).opened
    expect(server.of('SUBSCRIBE')).toMatchObject([
      { queue: '*', events: ['*'] },
      { queue: 'a', events: ['failed'] },
      { queue: 'b', events: ['failed'] },
    ])
  })

  it('are asked for anew after a reconnect, and the gap is told', async () => {
    const stream = client.events()
    await stream.opened
    ;(await server.connected(1)).drop()
    await server.received('SUBSCRIBE', 2)
    expect(await take(stream, 1)).toEqual([{ event: 'dropped', count: 0 }])
  })

  it('end with the refusal when they are refused', async () => {
    server.script = () => refusal('forbidden')
    await expect(client.events().next()).rejects.toMatchObject({ code: 'forbidden' })
  })
})
