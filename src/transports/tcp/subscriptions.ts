// The queues whose events one connection hears, and what becomes of lines that it is too slow for.
//
// 1. Lines that do not fit are dropped and counted; before the next line that does, the peer is told.
// 2. They end with the connection, once.
// 3. Those of a connection that is still on its way here hear already: their lines wait for it.

import { limits } from '../../engine/limits.ts'
import { ALL_QUEUES, type Gate, type Subscriber } from '../../engine/ports.ts'
import { checkQueueName } from '../../engine/queue-name.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import type { Output } from './output.ts'

/** Who counts what was dropped. */
export interface DropAccount {
  eventDropped(): void
}

export class Subscriptions implements Subscriber {
  private readonly gate: Gate
  /** Null: the connection is on its way here. */
  private output: Output | null = null
  private onLine: () => void = () => undefined
  private account: DropAccount | null = null
  /** By queue, the mask of events. */
  private readonly queues: Map<string, number>
  private early: Buffer[] = []
  private earlyBytes = 0
  private dropped = 0

  /** `known`: those that another worker had for this connection, which are taken over. */
  constructor(gate: Gate, known: Iterable<readonly [string, number]> = []) {
    this.gate = gate
    this.queues = new Map(known)
  }

  /** `onLine`: something is there to be flushed. */
  attach(output: Output, onLine: () => void, account: DropAccount): void {
    this.output = output
    this.onLine = onLine
    this.account = account
    const { early } = this
    this.early = []
    for (const line of early) this.write(output, line)
    this.caughtUp()
  }

  all(): (readonly [string, number])[] {
    return [...this.queues]
  }

  /** Some of them may have gone to another worker, where the connection does not go after all. */
  renew(): void {
    for (const [queue, events] of this.queues) {
      this.gate.subscribe(queue, events, this, () => undefined)
    }
  }

  /** `done` is called unless it is refused. */
  add(queue: string, events: number, done: () => void): Refusal | null {
    const refusal = queue === ALL_QUEUES ? null : checkQueueName(queue)
    if (refusal !== null) return refusal
    const max = limits.subscriptionsPerConnectionMax
    if (!this.queues.has(queue) && this.queues.size >= max) {
      return refusals.limitExceeded('subscriptions of a connection', max)
    }
    this.queues.set(queue, (this.queues.get(queue) ?? 0) | events)
    this.gate.subscribe(queue, events, this, done)
    return null
  }

  remove(queue: string): void {
    if (this.queues.delete(queue)) this.gate.unsubscribe(queue, this)
  }

  removeAll(): void {
    for (const queue of this.queues.keys()) this.gate.unsubscribe(queue, this)
    this.queues.clear()
  }

  event(line: Buffer): void {
    const { output } = this
    if (this.queues.size === 0) return
    const unsent = output === null ? this.earlyBytes : output.unsentBytes
    if (unsent + line.length > limits.subscriberBytesMax) {
      this.dropped++
      this.account?.eventDropped()
      return
    }
    if (output === null) {
      this.early.push(Buffer.from(line))
      this.earlyBytes += line.length
      return
    }
    this.tellDropped()
    this.write(output, line)
  }

  /** The peer has read something: it need not wait for the next event to hear what it has missed. */
  caughtUp(): void {
    const { output } = this
    if (this.dropped === 0 || output === null) return
    if (output.unsentBytes > limits.subscriberBytesMax / 2) return
    this.tellDropped()
    this.onLine()
  }

  /** What was dropped is told before the connection goes elsewhere. */
  tellDropped(): void {
    if (this.dropped === 0 || this.output === null) return
    this.output.open().ascii(`{"event":"dropped","count":${this.dropped}}\n`)
    this.dropped = 0
  }

  private write(output: Output, line: Buffer): void {
    output.open().copy(line, 0, line.length)
    output.lineEnded(null)
    this.onLine()
  }
}
