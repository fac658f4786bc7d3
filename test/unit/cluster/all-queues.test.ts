// Events of every queue, as lines and with numbers, over real links between workers of one process.

import { describe, expect, it } from 'vitest'
import { ALL_QUEUES, type FeedListener, type FeedPosition } from '../../../src/engine/ports.ts'
import { eventually } from '../../support/eventually.ts'
import {
  type Answer,
  ask,
  EVEN,
  ExchangeNode,
  halves,
  ODD,
  session,
  two,
} from '../../support/exchange-node.ts'

const WITHIN_MS = 2000

class Listener implements FeedListener {
  readonly hasRoom = true
  readonly seen: string[] = []
  readonly positions: FeedPosition[] = []

  positioned(position: FeedPosition): void {
    this.positions.push(position)
  }

  told(stream: { worker: number }, seq: number, _kind: number, queue: string, note: Buffer): void {
    this.seen.push(`${stream.worker}:${seq} ${queue} ${JSON.parse(note.toString()).data}`)
  }

  skipped(stream: { worker: number }, seq: number, count: number): void {
    this.seen.push(`${stream.worker}:${seq} skipped ${count}`)
  }

  broken(stream: { worker: number }, seq: number): void {
    this.seen.push(`${stream.worker}:${seq} broken`)
  }

  ended(stream: { worker: number }, isWhole: boolean): void {
    this.seen.push(`${stream.worker} ended ${isWhole ? 'whole' : 'in the middle'}`)
  }
}

const hear = (exchange: { feed: ExchangeFeed }, queue: string, kinds: number): Promise<void> =>
  new Promise((resolve) => exchange.feed.hear(queue, kinds, resolve))
type ExchangeFeed = { hear(queue: string, kinds: number, done: () => void): void }

describe('a subscription to all queues', () => {
  it('hears every worker, those that come, and of those that die that they did', async () => {
    const { node, a, b } = await two()
    const lines: Answer[] = []
    const subscriber = { event: (line: Buffer) => void lines.push(JSON.parse(line.toString())) }
    const heard = (): unknown[] => lines.map(({ event, job }) => (job as Answer)?.['data'] ?? event)
    await new Promise<void>((resolve) => a.subscribe(ALL_QUEUES, 1, subscriber, resolve))
    // Again, with more: still once each.
    await new Promise<void>((resolve) => a.subscribe(ALL_QUEUES, 2, subscriber, resolve))
    const who = session(0)
    await ask(a, who, { cmd: 'PUSH', queue: EVEN, data: 'even' })
    await ask(a, who, { cmd: 'PUSH', queue: ODD, data: 'odd' })
    await eventually('both are there', WITHIN_MS, () => lines.length === 2)
    const c = await node.add()
    node.assign(halves(0, 1))
    await ask(c, session(2), { cmd: 'GETSTATE', id: 33 })
    node.assign(halves(2, 1))
    await eventually('the new one is heard', WITHIN_MS, async () => {
      await ask(a, who, { cmd: 'PUSH', queue: EVEN, data: 'there' })
      return heard().includes('there')
    })
    node.kill(1)
    node.assign(halves(2, 0), [a, c])
    expect(heard().filter((each) => each === 'dropped')).toHaveLength(1)
    await ask(a, who, { cmd: 'PUSH', queue: ODD, data: 'last' })
    expect(heard().filter((each) => each === 'last')).toHaveLength(1)
    a.unsubscribe(ALL_QUEUES, subscriber)
    const count = lines.length
    await ask(a, who, { cmd: 'PUSH', queue: ODD, data: 'unheard' })
    await ask(a, who, { cmd: 'PUSH', queue: EVEN, data: 'unheard' })
    expect(lines).toHaveLength(count)
    expect(b).toBeDefined()
  })
})

describe('the feed of a worker', () => {
  it('has the events of every worker with their numbers, and what was told before it listened', async () => {
    const { a, b } = await two()
    const [first, second] = [new Listener(), new Listener()]
    a.feed.listener = first
    b.feed.listener = second
    await hear(a, ALL_QUEUES, 255)
    expect(first.positions.map(({ stream, head }) => `${stream.worker} at ${head}`).sort()).toEqual(
      ['0 at 0', '1 at 0'],
    )
    const who = session(0)
    await ask(a, who, { cmd: 'PUSH', queue: EVEN, data: 1 })
    await ask(a, who, { cmd: 'PUSHB', queue: ODD, jobs: [{ data: 2 }, { data: 3 }] })
    const all = [`0:1 ${EVEN} 1`, `1:1 ${ODD} 2`, `1:2 ${ODD} 3`]
    await eventually('all are there', WITHIN_MS, () => first.seen.length === 3)
    expect([...first.seen].sort()).toEqual(all)
    await hear(b, ODD, 1)
    await eventually('they are there, too', WITHIN_MS, () => second.seen.length === 3)
    expect([...second.seen].sort()).toEqual(all)
    // Ended and begun again: from the beginning, not from what was on its way.
    await hear(b, ODD, 0)
    await ask(a, who, { cmd: 'PUSH', queue: EVEN, data: 4 })
    await hear(b, ODD, 1)
    await eventually('all of it again', WITHIN_MS, () => second.seen.length === 7)
    expect(second.seen.slice(3).sort()).toEqual([...all, `0:2 ${EVEN} 4`].sort())
  })

  it('says whether a worker that has gone had told everything', async () => {
    const { node, a, b } = await two()
    const listener = new Listener()
    a.feed.listener = listener
    await hear(a, ALL_QUEUES, 255)
    await b.handOverAll()
    node.kill(1)
    await eventually('it is told', WITHIN_MS, () => listener.seen.length === 1)
    expect(listener.seen).toEqual(['1 ended whole'])
    const c = await node.add(1)
    node.assign(halves(0, 1))
    const ofWorker1 = (): number =>
      listener.positions.filter(({ stream }) => stream.worker === 1).length
    await eventually('it is heard', WITHIN_MS, () => ofWorker1() === 2)
    node.kill(1)
    await eventually('again', WITHIN_MS, () => listener.seen.length === 2)
    expect(listener.seen[1]).toBe('1 ended in the middle')
    expect(c).toBeDefined()
  })

  it('misses nothing of a worker that comes, however early it works', async () => {
    const node = new ExchangeNode()
    const a = await node.add()
    node.assign(halves(0, 0))
    const listener = new Listener()
    a.feed.listener = listener
    await hear(a, ALL_QUEUES, 255)
    const b = await node.add()
    // The new one knows of its shards, and works, before anybody else has heard of it.
    node.assign(halves(0, 1), [b])
    await ask(b, session(1), { cmd: 'PUSH', queue: ODD, data: 'early' })
    node.tell(a)
    await eventually('it is there', WITHIN_MS, () => listener.seen.length === 1)
    expect(listener.seen).toEqual([`1:1 ${ODD} early`])
    expect(listener.positions.at(-1)).toMatchObject({ isComplete: true, floor: 0 })
  })
})
