// Two and three workers in one process: real links between them, real shards, a table given by the test.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { NOBODY } from '../../../src/cluster/assignment.ts'
import { SteadyClock } from '../../../src/cluster/clock.ts'
import { Exchange } from '../../../src/cluster/exchange.ts'
import { shardOfQueue } from '../../../src/cluster/shard-of-queue.ts'
import { ShardRunner } from '../../../src/cluster/shard-runner.ts'
import { ByteWriter } from '../../../src/engine/byte-writer.ts'
import { holderOf } from '../../../src/engine/holder-number.ts'
import {
  newSession,
  type ReplySlot,
  type Session,
  type Unwritten,
} from '../../../src/engine/ports.ts'
import { EventHub } from '../../../src/transports/events/hub.ts'
import { wireCodec } from '../../../src/transports/wire/codec.ts'
import { eventually } from '../../support/eventually.ts'

type Answer = Record<string, unknown>

const DAY_MS = 86_400_000
const clock = new SteadyClock()
const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

class Slot implements ReplySlot {
  unordered = false
  readonly answered: Promise<Answer>
  handed: Unwritten | null = null
  closed = 0
  private readonly writer = new ByteWriter(64)
  private resolve: (answer: Answer) => void = () => undefined

  constructor() {
    this.answered = new Promise((resolve) => {
      this.resolve = resolve
    })
  }

  open(): ByteWriter {
    return this.writer
  }

  close(handed: Unwritten | null): void {
    this.closed++
    this.handed = handed
    this.resolve(JSON.parse(this.writer.toBuffer().toString()))
  }
}

class Node {
  readonly workers: Exchange[] = []
  readonly bugs: unknown[] = []
  private readonly folder = mkdtempSync(join(tmpdir(), 'flashq-test-'))
  private readonly incarnations: number[] = []
  private version = 0
  private firstSeq = 1
  private epochs: number[] = new Array(32).fill(0)
  owners: number[] = []

  constructor() {
    onTestFinished(() => {
      for (const worker of this.workers) worker.stop()
      rmSync(this.folder, { recursive: true, force: true })
      expect(this.bugs).toEqual([])
    })
  }

  async add(worker = this.workers.length): Promise<Exchange> {
    const events = new EventHub()
    const incarnation = (this.incarnations[worker] ?? 0) + 1
    const exchange = new Exchange({
      worker,
      incarnation,
      folder: this.folder,
      clock,
      codec: wireCodec,
      events,
      log: quiet,
      makeRunner: (mail) =>
        new ShardRunner({
          clock,
          mail,
          events,
          memoryBytesMax: 2 ** 30,
          retention: { count: 1000, ageMs: DAY_MS, bytes: 2 ** 24 },
          reserve: () => undefined,
        }),
      durable: null,
      sendSocket: (to, holder, socket) => this.workers[to]?.moves.adopt(holder, socket),
      bug: (error) => this.bugs.push(error),
    })
    await exchange.start()
    this.workers[worker] = exchange
    this.incarnations[worker] = incarnation
    return exchange
  }

  /** As the primary does: a new table, told to all, or only to some. */
  assign(owners: number[], toldTo = this.workers): void {
    this.version++
    this.firstSeq += 2 ** 22
    this.epochs = this.epochs.map((epoch, shard) =>
      owners[shard] === this.owners[shard] ? epoch : epoch + 1,
    )
    this.owners = owners
    for (const exchange of toldTo) this.tell(exchange)
  }

  tell(exchange: Exchange): void {
    const index = this.workers.indexOf(exchange)
    const grants = this.owners.flatMap((owner, shard) =>
      owner === index
        ? [{ shard, firstSeq: this.firstSeq, reservedTo: this.firstSeq + 2 ** 22 }]
        : [],
    )
    exchange.applyTable({
      kind: 'table',
      version: this.version,
      owners: this.owners,
      epochs: this.epochs,
      incarnations: this.incarnations,
      grants,
    })
  }

  /** Its sockets close, and nothing of it answers any more; the table is another matter. */
  kill(worker: number): void {
    this.workers[worker]?.stop()
    this.incarnations[worker] = 0
  }

  revive(worker: number): void {
    this.incarnations[worker] = 1
  }
}

let lastHolder = 0
const session = (worker: number): Session =>
  newSession(holderOf({ worker, incarnation: 1 }, ++lastHolder))

function submit(exchange: Exchange | undefined, who: Session, frame: object): Slot {
  const slot = new Slot()
  const bytes = Buffer.from(`${JSON.stringify(frame)}\n`)
  exchange?.submit(bytes, 0, bytes.length - 1, slot, who)
  exchange?.turnEnded()
  return slot
}

const ask = (exchange: Exchange | undefined, who: Session, frame: object): Promise<Answer> =>
  submit(exchange, who, frame).answered

const halves = (even: number, odd: number): number[] =>
  Array.from({ length: 32 }, (_, shard) => (shard % 2 === 0 ? even : odd))

const queueOf = (parity: number, n = 0): string => {
  let name = ''
  for (let i = 0, found = -1; found < n; i++) {
    name = `q${i}`
    if (shardOfQueue(name) % 2 === parity) found++
  }
  return name
}
const EVEN = queueOf(0)
const ODD = queueOf(1)

async function two(): Promise<{ node: Node; a: Exchange; b: Exchange }> {
  const node = new Node()
  const a = await node.add()
  const b = await node.add()
  node.assign(halves(0, 1))
  return { node, a, b }
}

describe('a command for a shard of another worker', () => {
  it('is answered in order when many are sent at once, whatever their size', async () => {
    const { a } = await two()
    const who = session(0)
    const slots = Array.from({ length: 300 }, (_, i) =>
      submit(a, who, { cmd: 'PUSH', queue: ODD, data: 'x'.repeat((i * 7919) % 30_000) }),
    )
    const ids = (await Promise.all(slots.map(({ answered }) => answered))).map(({ id }) => id)
    expect(ids).toEqual([...ids].sort((x, y) => Number(x) - Number(y)))
    expect(new Set(ids).size).toBe(300)
    const { jobs } = (await ask(a, who, { cmd: 'PULLB', queue: ODD, count: 1000 })) as {
      jobs: { id: number; data: string }[]
    }
    expect(jobs.map(({ id }) => id)).toEqual(ids)
    expect(jobs.map(({ data }) => data.length)).toEqual(slots.map((_, i) => (i * 7919) % 30_000))
  })

  it('hands jobs over with what is needed to give them back', async () => {
    const { a } = await two()
    const who = session(0)
    for (let i = 0; i < 3; i++) await ask(a, who, { cmd: 'PUSH', queue: ODD, data: i })
    const slot = submit(a, who, { cmd: 'PULLB', queue: ODD, count: 3 })
    await slot.answered
    expect(slot.handed?.seqs).toHaveLength(3)
    expect(slot.handed?.shard).toBe(shardOfQueue(ODD))
    if (slot.handed !== null) a.giveBack(slot.handed)
    const { jobs } = (await ask(a, who, { cmd: 'PULLB', queue: ODD, count: 9 })) as {
      jobs: Answer[]
    }
    expect(jobs.map(({ data, attempts }) => [data, attempts])).toEqual([
      [0, 0],
      [1, 0],
      [2, 0],
    ])
  })

  it('is refused at once when the backlog is full, and served again when it is not', async () => {
    const { a } = await two()
    const who = session(0)
    const data = 'x'.repeat(1_000_000)
    const slots = Array.from({ length: 90 }, () =>
      submit(a, who, { cmd: 'PUSH', queue: ODD, data }),
    )
    expect(slots.at(-1)?.closed).toBe(1)
    expect(await slots.at(-1)?.answered).toMatchObject({ code: 'unavailable' })
    const answers = await Promise.all(slots.map(({ answered }) => answered))
    expect(answers.filter(({ ok }) => ok === true).length).toBeGreaterThan(50)
    expect(await ask(a, who, { cmd: 'PUSH', queue: ODD, data })).toMatchObject({ ok: true })
  })
})

describe('a session that closes', () => {
  it('takes its waiting pulls with it, and the numbers they had are used again', async () => {
    const { a, b } = await two()
    const gone = session(0)
    const pulls = Array.from({ length: 50 }, () => submit(a, gone, { cmd: 'PULL', queue: ODD }))
    expect(await ask(a, gone, { cmd: 'GETSTATE', id: 33 })).toMatchObject({ state: 'unknown' })
    a.sessionClosed(gone)
    const who = session(0)
    for (let i = 0; i < 60; i++) submit(a, who, { cmd: 'PULL', queue: ODD, wait: 0 })
    expect(await ask(a, who, { cmd: 'STATS' })).toMatchObject({ ok: true })
    await ask(b, session(1), { cmd: 'PUSH', queue: ODD, data: 1 })
    expect(await ask(a, who, { cmd: 'PULL', queue: ODD })).toMatchObject({ job: { data: 1 } })
    expect(pulls.map(({ closed }) => closed)).toEqual(new Array(50).fill(0))
  })

  it('still gets the answers to what it had asked before', async () => {
    const { a } = await two()
    const who = session(0)
    const pushes = Array.from({ length: 50 }, () =>
      submit(a, who, { cmd: 'PUSH', queue: ODD, data: 1 }),
    )
    a.sessionClosed(who)
    for (const { answered } of pushes) expect(await answered).toMatchObject({ ok: true })
  })
})

describe('when a worker is gone', () => {
  it('the jobs its sessions held for release return, and its pulls are forgotten', async () => {
    const { node, a, b } = await two()
    const theirs = session(1)
    await ask(a, session(0), { cmd: 'PUSH', queue: EVEN, data: 1 })
    const held = { cmd: 'PULL', queue: EVEN, release_on_close: true }
    expect(await ask(b, theirs, held)).toMatchObject({ job: { data: 1 } })
    const waiting = submit(b, theirs, { cmd: 'PULL', queue: EVEN })
    expect(await ask(b, theirs, { cmd: 'GETSTATE', id: 32 })).toMatchObject({ ok: true })
    const next = submit(a, session(0), { cmd: 'PULL', queue: EVEN })
    node.kill(1)
    expect(await next.answered).toMatchObject({ job: { data: 1, attempts: 0 } })
    expect(waiting.closed).toBe(0)
  })

  it('pulls go on at the new owner; pushes of which nobody knows are outcome_unknown', async () => {
    const { node, a } = await two()
    const who = session(0)
    const pull = submit(a, who, { cmd: 'PULL', queue: ODD })
    await ask(a, who, { cmd: 'GETSTATE', id: 33 })
    const push = submit(a, who, { cmd: 'PUSH', queue: ODD, data: 'lost', reqId: 4 })
    a.turn.flushNow()
    node.kill(1)
    const after = submit(a, who, { cmd: 'PUSH', queue: ODD, data: 'kept' })
    expect(await push.answered).toMatchObject({ code: 'outcome_unknown', reqId: 4 })
    node.assign(halves(0, 0), [a])
    expect(await pull.answered).toMatchObject({ job: { data: 'kept' } })
    // It was written to a socket whose other end was gone: nobody can tell it from the other.
    expect(['outcome_unknown', undefined]).toContain((await after.answered)['code'])
  })

  it('what was not sent yet runs at the new owner', async () => {
    const { node, a } = await two()
    node.kill(1)
    const slots = Array.from({ length: 10 }, (_, i) =>
      submit(a, session(0), { cmd: 'PUSH', queue: ODD, data: i }),
    )
    node.assign(halves(0, 0), [a])
    const answers = await Promise.all(slots.map(({ answered }) => answered))
    expect(answers.every(({ ok }) => ok === true)).toBe(true)
    const pulled = await ask(a, session(0), { cmd: 'PULLB', queue: ODD, count: 99 })
    expect((pulled['jobs'] as Answer[]).map(({ data }) => data)).toEqual(slots.map((_, i) => i))
  })

  it('its next incarnation is another worker', async () => {
    const { node, a } = await two()
    await ask(a, session(0), { cmd: 'PUSH', queue: ODD, data: 1 })
    node.kill(1)
    node.assign(halves(0, 0), [a])
    const old = node.workers[1]
    node.revive(1)
    const b = await node.add(1)
    expect(b).not.toBe(old)
    node.assign(halves(0, 1))
    await ask(b, session(1), { cmd: 'PUSH', queue: ODD, data: 'new' })
    expect(await ask(a, session(0), { cmd: 'PULL', queue: ODD })).toMatchObject({
      job: { data: 'new' },
    })
  })
})

describe('shards that move', () => {
  it('only empty ones are given back, and a table that is older than that changes nothing', async () => {
    const { node, a, b } = await two()
    await ask(a, session(0), { cmd: 'PUSH', queue: EVEN, data: 1 })
    const given = await a.giveBackShards(99)
    expect(given).toHaveLength(15)
    expect(given).not.toContain(shardOfQueue(EVEN))
    // On its way when they were given back.
    node.tell(a)
    expect(given.filter((shard) => a.runner.owns(shard))).toEqual([])
    const empty = Array.from({ length: 9 }, (_, n) => queueOf(0, n + 1)).find(
      (queue) => shardOfQueue(queue) !== shardOfQueue(EVEN),
    ) as string
    const push = submit(a, session(0), { cmd: 'PUSH', queue: empty, data: 'moved' })
    node.assign(node.owners.map((owner, shard) => (given.includes(shard) ? 1 : owner)))
    expect(await push.answered).toMatchObject({ ok: true })
    expect(await ask(b, session(1), { cmd: 'PULL', queue: empty })).toMatchObject({
      job: { data: 'moved' },
    })
    expect(await ask(b, session(1), { cmd: 'PULL', queue: EVEN })).toMatchObject({
      job: { data: 1 },
    })
  })

  it('may come back to the worker that gave them', async () => {
    const { node, a } = await two()
    const given = await a.giveBackShards(99)
    node.assign(halves(NOBODY, 1))
    node.assign(halves(0, 1))
    expect(given.every((shard) => a.runner.owns(shard))).toBe(true)
    expect(await ask(a, session(0), { cmd: 'PUSH', queue: EVEN, data: 1 })).toMatchObject({
      ok: true,
    })
  })

  it('a request that comes to the old owner is sent to the new one', async () => {
    const { node, a, b } = await two()
    await a.giveBackShards(99)
    // b has not heard of it yet.
    const push = submit(b, session(1), { cmd: 'PUSH', queue: EVEN, data: 1, reqId: 1 })
    const ids = submit(b, session(1), { cmd: 'ACKB', ids: [64, 66] })
    await eventually('it comes back', 2000, () => push.closed === 0)
    node.assign(halves(1, 1))
    expect(await push.answered).toMatchObject({ ok: true, reqId: 1 })
    expect(await ids.answered).toMatchObject({ ids: [0], errors: [{ index: 0 }, { index: 1 }] })
  })
})

describe('subscriptions', () => {
  it('follow the owner, and end', async () => {
    const { node, a, b } = await two()
    const lines: Answer[] = []
    const subscriber = { event: (line: Buffer) => void lines.push(JSON.parse(line.toString())) }
    const confirmed: number[] = []
    a.subscribe(ODD, 1, subscriber, () => confirmed.push(1))
    a.subscribe(ODD, 4, subscriber, () => confirmed.push(4))
    expect(confirmed).toEqual([])
    await eventually('the owner has them', 2000, () => confirmed.length === 2)
    await ask(a, session(0), { cmd: 'PUSH', queue: ODD, data: 1 })
    await eventually('an event from there', 2000, () => lines.length === 1)
    node.kill(1)
    node.assign(halves(0, 0), [a])
    await ask(a, session(0), { cmd: 'PUSH', queue: ODD, data: 2 })
    expect(lines.map(({ event, job }) => [event, (job as Answer)['data']])).toEqual([
      ['pushed', 1],
      ['pushed', 2],
    ])
    a.unsubscribe(ODD, subscriber)
    await ask(a, session(0), { cmd: 'PUSH', queue: ODD, data: 3 })
    expect(lines).toHaveLength(2)
    expect(b).toBeDefined()
  })
})

describe('draining', () => {
  it('ends pulls that wait, here and for others, and those that would begin to', async () => {
    const { a, b } = await two()
    const local = submit(b, session(1), { cmd: 'PULL', queue: ODD })
    const remote = submit(a, session(0), { cmd: 'PULL', queue: ODD })
    await ask(a, session(0), { cmd: 'GETSTATE', id: 33 })
    b.drain()
    for (const { answered } of [local, remote])
      expect(await answered).toMatchObject({ code: 'draining' })
    expect(await ask(a, session(0), { cmd: 'PULL', queue: ODD })).toMatchObject({
      code: 'draining',
    })
    expect(await ask(a, session(0), { cmd: 'PUSH', queue: ODD, data: 1 })).toMatchObject({
      ok: true,
    })
    expect(await ask(a, session(0), { cmd: 'PULL', queue: ODD })).toMatchObject({
      job: { data: 1 },
    })
  })
})
