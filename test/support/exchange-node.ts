// Several workers in one process: real links between them, real shards, a table given by the test.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { SteadyClock } from '../../src/cluster/clock.ts'
import { Exchange } from '../../src/cluster/exchange.ts'
import { shardOfQueue } from '../../src/cluster/shard-of-queue.ts'
import { ShardRunner } from '../../src/cluster/shard-runner.ts'
import { ByteWriter } from '../../src/engine/byte-writer.ts'
import { holderOf } from '../../src/engine/holder-number.ts'
import { newSession, type ReplySlot, type Session, type Unwritten } from '../../src/engine/ports.ts'
import { Traffic } from '../../src/engine/traffic.ts'
import { type DeliveryRef, noDeliveries } from '../../src/engine/webhook-ports.ts'
import { EventHub } from '../../src/transports/events/hub.ts'
import { readInto } from '../../src/transports/tcp/read-buffer.ts'
import { wireCodec } from '../../src/transports/wire/codec.ts'

export type Answer = Record<string, unknown>

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

export class ExchangeNode {
  readonly workers: Exchange[] = []
  readonly bugs: unknown[] = []
  /** Of webhooks, as all workers' shards named them. */
  readonly deliveries: DeliveryRef[] = []
  private readonly folder = mkdtempSync(join(tmpdir(), 'flashq-test-'))
  private readonly incarnations: number[] = []
  private readonly hearing: boolean[] = []
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
      traffic: new Traffic(),
      worker,
      incarnation,
      folder: this.folder,
      clock,
      codec: wireCodec,
      readInto,
      events,
      log: quiet,
      makeRunner: (mail) =>
        new ShardRunner({
          clock,
          mail,
          events,
          webhooks: { ...noDeliveries, deliver: (ref) => void this.deliveries.push(ref) },
          memoryBytesMax: 2 ** 30,
          retention: { count: 1000, ageMs: DAY_MS, bytes: 2 ** 24 },
          reserve: () => undefined,
        }),
      durable: null,
      sendSocket: (to, holder, socket) => this.workers[to]?.moves.adopt(holder, socket),
      hearing: (isHearing) => {
        this.hearing[worker] = isHearing
      },
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
      heard: this.hearing.some((isHearing) => isHearing),
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
export const session = (worker: number): Session =>
  newSession(holderOf({ worker, incarnation: 1 }, ++lastHolder))

export function submit(exchange: Exchange | undefined, who: Session, frame: object): Slot {
  const slot = new Slot()
  const bytes = Buffer.from(`${JSON.stringify(frame)}\n`)
  exchange?.submit(bytes, 0, bytes.length - 1, slot, who)
  exchange?.turnEnded()
  return slot
}

export const ask = (exchange: Exchange | undefined, who: Session, frame: object): Promise<Answer> =>
  submit(exchange, who, frame).answered

export const halves = (even: number, odd: number): number[] =>
  Array.from({ length: 32 }, (_, shard) => (shard % 2 === 0 ? even : odd))

export const queueOf = (parity: number, n = 0): string => {
  let name = ''
  for (let i = 0, found = -1; found < n; i++) {
    name = `q${i}`
    if (shardOfQueue(name) % 2 === parity) found++
  }
  return name
}
export const EVEN = queueOf(0)
export const ODD = queueOf(1)

export async function two(): Promise<{ node: ExchangeNode; a: Exchange; b: Exchange }> {
  const node = new ExchangeNode()
  const a = await node.add()
  const b = await node.add()
  node.assign(halves(0, 1))
  return { node, a, b }
}
