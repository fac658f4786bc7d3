import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type DroppedEvents, FlashQ, type JobEvent } from '../../../sdk/typescript/src/index.ts'
import { FakeServer, type Frame, job, refusal } from './fake-server.ts'

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

describe('subscribe', () => {
  it('delivers events over a connection of its own', async () => {
    await client.connect()
    const events: (JobEvent | DroppedEvents)[] = []
    await client.subscribe('q', ['completed'], (event) => events.push(event))
    const [frame] = server.of('SUBSCRIBE') as [Frame]
    expect(frame).toMatchObject({ queue: 'q', events: ['completed'], from: { index: 1 } })
    frame.from.line({ event: 'completed', queue: 'q', job: job(1), timestamp: 5, result: 'r' })
    frame.from.line({ event: 'dropped', count: 3 })
    await client.subscribe('q', ['*'], () => {})
    expect(events).toMatchObject([
      { event: 'completed', job: { id: 1 }, result: 'r' },
      { event: 'dropped', count: 3 },
    ])
  })

  it('subscribes once more on every new connection', async () => {
    let heard = (_event: unknown): void => {}
    const next = new Promise((resolve) => {
      heard = resolve
    })
    await client.subscribe('q', ['*'], (event) => heard(event))
    ;(await server.connected()).drop()
    const [, again] = (await server.received('SUBSCRIBE', 2)) as [Frame, Frame]
    expect(again.from.index).toBe(1)
    again.from.line({ event: 'pushed', queue: 'q', job: job(1), timestamp: 5 })
    expect(await next).toMatchObject({ event: 'pushed' })
    expect(server.of('SUBSCRIBE')).toHaveLength(2)
  })

  it('tries again when it is refused after a reconnect', async () => {
    server.script = () => (server.of('SUBSCRIBE').length === 2 ? refusal('invalid') : undefined)
    await client.subscribe('q', ['*'], () => {})
    ;(await server.connected()).drop()
    const frames = await server.received('SUBSCRIBE', 3)
    expect(frames.map((frame) => frame.from.index)).toEqual([0, 1, 2])
  })

  it('rejects when it is refused', async () => {
    server.script = () => refusal('invalid', 'Invalid: no such event')
    await expect(client.subscribe('q', ['*'], () => {})).rejects.toThrow('no such event')
    const { socket } = await server.connected()
    if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
  })

  it('rejects when the client closes before it is confirmed', async () => {
    server.script = () => null
    const subscribed = client.subscribe('q', ['*'], () => {})
    subscribed.catch(() => {})
    await server.received('SUBSCRIBE')
    await client.close()
    await expect(subscribed).rejects.toMatchObject({ code: 'closed' })
  })

  it.each(['the returned function', 'close'])('ends with %s', async (way) => {
    const unsubscribe = await client.subscribe('q', ['*'], () => {})
    const { socket } = await server.connected()
    const closed = new Promise((resolve) => socket.once('close', resolve))
    await (way === 'close' ? client.close() : unsubscribe())
    await closed
  })
})
