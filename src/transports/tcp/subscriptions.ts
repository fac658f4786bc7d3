// The queues whose events one connection hears, and what becomes of lines that it is too slow for.
//
// 1. Lines that do not fit are dropped and counted; before the next line that does, the peer is told.
// 2. They end with the connection, once.

import { limits } from '../../engine/limits.ts'
import type { Gate, Subscriber } from '../../engine/ports.ts'
import { checkQueueName } from '../../engine/queue-name.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import type { Output } from './output.ts'

export class Subscriptions implements Subscriber {
  private readonly gate: Gate
  private readonly output: Output
  private readonly onLine: () => void
  private readonly queues = new Set<string>()
  private dropped = 0

  /** `onLine`: something is there to be flushed. */
  constructor(gate: Gate, output: Output, onLine: () => void) {
    this.gate = gate
    this.output = output
    this.onLine = onLine
  }

  get isEmpty(): boolean {
    return this.queues.size === 0
  }

  /** `done` is called unless it is refused. */
  add(queue: string, events: number, done: () => void): Refusal | null {
    const refusal = checkQueueName(queue)
    if (refusal !== null) return refusal
    const max = limits.subscriptionsPerConnectionMax
    if (!this.queues.has(queue) && this.queues.size >= max) {
      return refusals.limitExceeded('subscriptions of a connection', max)
    }
    this.queues.add(queue)
    this.gate.subscribe(queue, events, this, done)
    return null
  }

  remove(queue: string): void {
    if (this.queues.delete(queue)) this.gate.unsubscribe(queue, this)
  }

  removeAll(): void {
    for (const queue of this.queues) this.gate.unsubscribe(queue, this)
    this.queues.clear()
  }

  event(line: Buffer): void {
    if (this.queues.size === 0) return
    if (this.output.unsentBytes + line.length > limits.subscriberBytesMax) {
      this.dropped++
      return
    }
    this.tellDropped()
    this.output.open().copy(line, 0, line.length)
    this.output.lineEnded(null)
    this.onLine()
  }

  /** The peer has read something: it need not wait for the next event to hear what it has missed. */
  caughtUp(): void {
    if (this.dropped === 0 || this.output.unsentBytes > limits.subscriberBytesMax / 2) return
    this.tellDropped()
    this.onLine()
  }

  private tellDropped(): void {
    if (this.dropped === 0) return
    this.output.open().ascii(`{"event":"dropped","count":${this.dropped}}\n`)
    this.dropped = 0
  }
}
