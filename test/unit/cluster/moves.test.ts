import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import type { Exchange } from '../../../src/cluster/exchange.ts'
import type { Arrival, Departure } from '../../../src/cluster/moves.ts'
import type { Session, Subscriber } from '../../../src/engine/ports.ts'
import { eventually } from '../../support/eventually.ts'
import { ask, ExchangeNode, session, submit } from '../../support/exchange-node.ts'
import { queueInShard } from '../../support/queue-names.ts'

const WAIT_MS_MAX = 10_000
const MASK_ALL = 255

/** Shard i is at worker i mod 3. */
async function three(): Promise<{ node: ExchangeNode; workers: [Exchange, Exchange, Exchange] }> {
  const node = new ExchangeNode()
  const workers: [Exchange, Exchange, Exchange] = [
    await node.add(),
    await node.add(),
    await node.add(),
  ]
  node.assign(Array.from({ length: 32 }, (_, shard) => shard % 3))
  return { node, workers }
}

/** A queue of that worker. */
const queueAt = (worker: number): string => queueInShard(worker, 'at')

class FakeSocket {
  destroyed = 0

  destroy(): void {
    this.destroyed++
  }
}

class Listener implements Subscriber {
  readonly heard: unknown[] = []

  event(line: Buffer): void {
    this.heard.push(JSON.parse(line.toString()).job.data)
  }
}

class FakeArrival implements Arrival {
  readonly subscriber = new Listener()
  readonly session: Session
  readonly sockets: (Socket | null)[] = []
  isDropped = false

  constructor(at: number) {
    this.session = session(at)
  }

  arrived(socket: Socket | null): void {
    this.sockets.push(socket)
  }

  dropped(): void {
    this.isDropped = true
  }
}

/** Connections are expected by that worker from now on. */
function expecting(exchange: Exchange, at: number): { arrivals: FakeArrival[]; states: string[] } {
  const arrivals: FakeArrival[] = []
  const states: string[] = []
  exchange.moves.arrivals = {
    expect: (state) => {
      states.push(state.toString())
      const arrival = new FakeArrival(at)
      arrivals.push(arrival)
      return arrival
    },
  }
  return { arrivals, states }
}

const forgotten = (exchange: Exchange, who: Session): Promise<void> =>
  new Promise((resolve) => exchange.moves.forgetPulls(who, resolve))

function announced(
  exchange: Exchange,
  who: Session,
  subscriber: Subscriber = new Listener(),
): { departure: Departure | null; ready: Promise<boolean> } {
  let departure: Departure | null = null
  const ready = new Promise<boolean>((resolve) => {
    departure = exchange.moves.announce(1, who, subscriber, Buffer.from('state'), resolve)
  })
  return { departure, ready }
}

describe('pulls of a session that leaves', () => {
  it('wait no more, wherever they wait', async () => {
    const { workers } = await three()
    const [a] = workers
    const who = session(0)
    const pulls = [0, 1, 2].map((at) => submit(a, who, { cmd: 'PULL', queue: queueAt(at) }))
    // A pull over a link is there when what was sent behind it is answered.
    for (const at of [1, 2]) await ask(a, session(0), { cmd: 'DLQ', queue: queueAt(at) })
    await forgotten(a, who)
    for (const at of [0, 1, 2]) {
      await ask(a, session(0), { cmd: 'PUSH', queue: queueAt(at), data: at })
      expect(await ask(a, session(0), { cmd: 'PULL', queue: queueAt(at), wait: 0 })).toMatchObject({
        job: { data: at, attempts: 0 },
      })
    }
    expect(pulls.map(({ closed }) => closed)).toEqual([0, 0, 0])
  })

  it('are answered first, if they have been', async () => {
    const { workers } = await three()
    const [a, , c] = workers
    const who = session(0)
    const pull = submit(a, who, { cmd: 'PULL', queue: queueAt(2) })
    await ask(a, session(0), { cmd: 'DLQ', queue: queueAt(2) })
    submit(c, session(2), { cmd: 'PUSH', queue: queueAt(2), data: 'raced' })
    await forgotten(a, who)
    expect(pull.closed).toBe(1)
    expect(await pull.answered).toMatchObject({ job: { data: 'raced' } })
  })

  it('are not asked again here when their owner dies, or has none', async () => {
    const { node, workers } = await three()
    const [a, , c] = workers
    const who = session(0)
    const sent = submit(a, who, { cmd: 'PULL', queue: queueAt(2) })
    await ask(a, session(0), { cmd: 'DLQ', queue: queueAt(2) })
    const done = forgotten(a, who)
    node.kill(2)
    await done
    const held = submit(a, session(0), { cmd: 'PULL', queue: queueAt(2), wait: 0 })
    node.assign(Array.from({ length: 32 }, (_, shard) => (shard % 3 === 2 ? 0 : shard % 3)))
    expect(await held.answered).toMatchObject({ ok: true })
    await ask(a, session(0), { cmd: 'PUSH', queue: queueAt(2), data: 1 })
    expect(await ask(a, session(0), { cmd: 'PULL', queue: queueAt(2), wait: 0 })).toMatchObject({
      job: { data: 1 },
    })
    expect(sent.closed).toBe(0)
    expect(c.runner.jobCount()).toBe(0)
  })
})

describe('a connection that goes to another worker', () => {
  it('is announced, expected, adopted, and confirmed', async () => {
    const { workers } = await three()
    const [a, b] = workers
    const { arrivals, states } = expecting(b, 1)
    const { departure, ready } = announced(a, session(0))
    expect(await ready).toBe(true)
    expect(states).toEqual(['state'])
    const socket = new FakeSocket() as unknown as Socket
    await new Promise<void>((resolve) => departure?.hand(socket, resolve))
    expect(arrivals[0]?.sockets).toEqual([socket])
  })

  it('is not expected where no connections are taken, nor announced where nobody is', async () => {
    const { node, workers } = await three()
    const [a] = workers
    expect(await announced(a, session(0)).ready).toBe(false)
    node.kill(1)
    node.assign(Array.from({ length: 32 }, () => 0))
    expect(announced(a, session(0)).departure).toBeNull()
  })

  it('holds what it held, until it closes there', async () => {
    const { node, workers } = await three()
    const [a, b] = workers
    const who = session(0)
    const { arrivals } = expecting(b, 1)
    const held: number[] = []
    for (const at of [0, 1, 2]) {
      held.push((await ask(a, who, { cmd: 'PUSH', queue: queueAt(at), data: 1 }))['id'] as number)
      await ask(a, who, { cmd: 'PULL', queue: queueAt(at), release_on_close: true })
    }
    const { departure, ready } = announced(a, who)
    await ready
    const socket = new FakeSocket() as unknown as Socket
    await new Promise<void>((resolve) => departure?.hand(socket, resolve))
    const [arrival] = arrivals as [FakeArrival]
    // The worker where it was ends, with all that it held.
    node.kill(0)
    node.assign(Array.from({ length: 32 }, (_, shard) => shard % 3 || 1))
    const states = (): Promise<unknown[]> =>
      Promise.all(
        held.slice(1).map(async (id) => {
          return (await ask(b, session(1), { cmd: 'GETSTATE', id }))['state']
        }),
      )
    expect(await states()).toEqual(['active', 'active'])
    b.sessionClosed({ ...arrival.session, hasMoved: true })
    await eventually('its jobs return', WAIT_MS_MAX, async () =>
      (await states()).every((state) => state === 'waiting'),
    )
  })

  it('hears every event once, there or here, whoever owns the queue', async () => {
    const { workers } = await three()
    const [a, b] = workers
    const { arrivals } = expecting(b, 1)
    const who = session(0)
    const here = new Listener()
    for (const at of [0, 1, 2]) {
      await new Promise<void>((resolve) => a.subscribe(queueAt(at), MASK_ALL, here, resolve))
    }
    let pushed = 0
    const push = (): void => {
      workers.forEach((worker, at) => {
        const queue = queueAt(at)
        const data = `${at}:${pushed}`
        submit(worker, session(at), { cmd: 'PUSH', queue, data })
      })
      pushed++
    }
    const { departure, ready } = announced(a, who, here)
    let isReady = false
    ready.then(
      () => {
        isReady = true
      },
      () => undefined,
    )
    await eventually('the subscriptions are taken over', WAIT_MS_MAX, () => {
      push()
      return isReady
    })
    const before = here.heard.length
    await new Promise<void>((resolve) =>
      departure?.hand(new FakeSocket() as unknown as Socket, resolve),
    )
    push()
    const there = arrivals[0]?.subscriber as Listener
    await eventually('all is heard', WAIT_MS_MAX, () => there.heard.length + before === 3 * pushed)
    expect(here.heard).toHaveLength(before)
    const all = here.heard.concat(there.heard)
    for (const at of [0, 1, 2]) {
      const mine = all.filter((data) => String(data).startsWith(`${at}:`))
      expect(mine).toEqual(Array.from({ length: pushed }, (_, n) => `${at}:${n}`))
    }
  })

  it('goes on here when the other worker dies before it has the socket, with its events', async () => {
    const { node, workers } = await three()
    const [a, b] = workers
    expecting(b, 1)
    const here = new Listener()
    const queue = queueAt(2)
    await new Promise<void>((resolve) => a.subscribe(queue, MASK_ALL, here, resolve))
    const answers: boolean[] = []
    a.moves.announce(1, session(0), here, Buffer.from('state'), (ready) => answers.push(ready))
    await eventually('it is expected', WAIT_MS_MAX, () => answers.length === 1)
    node.kill(1)
    await eventually('it can not go', WAIT_MS_MAX, () => answers.length === 2)
    expect(answers).toEqual([true, false])
    await new Promise<void>((resolve) => a.subscribe(queue, MASK_ALL, here, resolve))
    await ask(a, session(0), { cmd: 'PUSH', queue, data: 'heard' })
    await eventually('it is heard', WAIT_MS_MAX, () => here.heard.length === 1)
  })

  it('is over when the worker dies that had it last, and its socket is closed', async () => {
    const { node, workers } = await three()
    const [a, b] = workers
    const { arrivals } = expecting(b, 1)
    const who = session(0)
    expect(await announced(a, who).ready).toBe(true)
    node.kill(0)
    await eventually('it is dropped', WAIT_MS_MAX, () => arrivals[0]?.isDropped === true)
    const socket = new FakeSocket()
    b.moves.adopt(who.holder, socket as unknown as Socket)
    expect(socket.destroyed).toBe(1)
    expect(arrivals[0]?.sockets).toEqual([])
  })

  it('is expected no longer when it stays', async () => {
    const { workers } = await three()
    const [a, b] = workers
    const { arrivals } = expecting(b, 1)
    const { departure, ready } = announced(a, session(0))
    await ready
    departure?.off()
    departure?.off()
    await eventually('it is dropped', WAIT_MS_MAX, () => arrivals[0]?.isDropped === true)
  })

  it('is confirmed also when its peer has gone on the way', async () => {
    const { workers } = await three()
    const [a, b] = workers
    const { arrivals } = expecting(b, 1)
    const who = session(0)
    const { departure, ready } = announced(a, who)
    await ready
    const done = new Promise<void>((resolve) => {
      // Nothing came out of the message but the message.
      departure?.hand(null as unknown as Socket, resolve)
    })
    await done
    expect(arrivals[0]?.sockets).toEqual([null])
  })
})
