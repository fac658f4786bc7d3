import { describe, expect, it } from 'vitest'
import { limits } from '../../../../src/engine/limits.ts'
import { EventKind } from '../../../../src/engine/ports.ts'
import { listening } from '../../../support/listening.ts'

const OK = '{"ok":true}'

describe('a subscription', () => {
  it('brings event lines between the replies until it is ended', async () => {
    const { client, gate } = await listening()
    const peer = await client()
    peer.send({ cmd: 'SUBSCRIBE', queue: 'orders', events: ['failed', 'pushed'] })
    expect(await peer.line()).toBe(OK)
    const [subscribed] = gate.subscribed
    expect(subscribed).toMatchObject({
      queue: 'orders',
      events: EventKind.failed | EventKind.pushed,
    })
    subscribed?.subscriber.event(Buffer.from('{"event":"pushed"}\n'))
    expect(await peer.line()).toBe('{"event":"pushed"}')
    peer.send({ cmd: 'UNSUBSCRIBE', queue: 'orders' }, { cmd: 'UNSUBSCRIBE', queue: 'orders' })
    expect(await peer.linesOf(2)).toEqual([OK, OK])
    expect(gate.unsubscribed).toEqual(['orders'])
    subscribed?.subscriber.event(Buffer.from('{"event":"late"}\n'))
    peer.send({ cmd: 'GETJOB', id: 1 })
    expect(await peer.line()).toBe(OK)
  })

  it('ends with its connection, once', async () => {
    const { client, gate } = await listening()
    const peer = await client()
    for (const queue of ['a', 'b', 'a']) peer.send({ cmd: 'SUBSCRIBE', queue, events: ['*'] })
    await peer.linesOf(3)
    peer.socket.resetAndDestroy()
    await gate.until(() => gate.unsubscribed.length === 2)
    expect(gate.unsubscribed).toEqual(['a', 'b'])
  })

  it('needs a queue name that could be', async () => {
    const { client, gate } = await listening()
    const peer = await client()
    const names = ['', 'a b', '../x', 'x'.repeat(257), 'ü'.repeat(129), 'a\u202eb', 'a\nb']
    const good = ['größe-1.x_', '日本', '__proto__', 'x'.repeat(256)]
    for (const queue of [...names, ...good]) peer.send({ cmd: 'SUBSCRIBE', queue, events: [] })
    const lines = await peer.linesOf(names.length + good.length)
    for (const line of lines.slice(0, names.length)) {
      expect(line).toContain('"code":"queue_name_invalid"')
    }
    expect(lines.slice(names.length)).toEqual(good.map(() => OK))
    expect(gate.subscribed.map(({ queue }) => queue)).toEqual(good)
  })

  it('may be one of many, not of any number', async () => {
    const { client } = await listening()
    const peer = await client()
    const max = limits.subscriptionsPerConnectionMax
    for (let i = 0; i <= max; i++) peer.send({ cmd: 'SUBSCRIBE', queue: `q${i}`, events: [] })
    peer.send({ cmd: 'SUBSCRIBE', queue: 'q0', events: ['failed'] })
    const lines = await peer.linesOf(max + 2)
    expect(lines[max]).toContain('"code":"limit_exceeded"')
    expect(lines[max + 1]).toBe(OK)
  })
})

describe('a subscriber that is too slow', () => {
  it('loses events, and is told how many before it gets the next one', async () => {
    const { client, gate } = await listening()
    const peer = await client()
    peer.send({ cmd: 'SUBSCRIBE', queue: 'orders', events: ['*'] })
    await peer.line()
    const subscriber = gate.subscribed[0]?.subscriber
    const line = Buffer.from(`{"event":"pushed","x":"${'x'.repeat(100_000 - 26)}"}\n`)
    expect(line).toHaveLength(100_000)
    // All within one turn, in which the peer reads nothing: more than the kernel takes for it.
    const sent = 400
    for (let i = 0; i < sent; i++) subscriber?.event(line)
    let fits = 0
    let next = await peer.line()
    for (; next.startsWith('{"event":"pushed"'); next = await peer.line()) fits++
    expect(fits).toBeGreaterThanOrEqual(Math.floor(limits.subscriberBytesMax / line.length))
    expect(fits).toBeLessThan(sent)
    expect(next).toBe(`{"event":"dropped","count":${sent - fits}}`)
    subscriber?.event(Buffer.from('{"event":"next"}\n'))
    expect(await peer.line()).toBe('{"event":"next"}')
  })

  it('is told before the next event, also when it has only just caught up', async () => {
    const { client, gate } = await listening()
    const peer = await client()
    peer.send({ cmd: 'SUBSCRIBE', queue: 'orders', events: ['*'] })
    await peer.line()
    const subscriber = gate.subscribed[0]?.subscriber
    subscriber?.event(Buffer.from(`"${'x'.repeat(limits.subscriberBytesMax)}"\n`))
    subscriber?.event(Buffer.from('{"event":"next"}\n'))
    expect(await peer.linesOf(2)).toEqual(['{"event":"dropped","count":1}', '{"event":"next"}'])
  })
})
