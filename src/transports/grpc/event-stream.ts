// Events that flow to one subscriber, and what becomes of those that it is too slow for.
//
// 1. What the peer has not taken is at most `subscriberBytesMax`; further events are dropped and counted, and the peer is
//    told before the next one that fits, or when it has caught up.
// 2. Nobody else waits for it.

import type { EventTraffic } from '../../engine/event-traffic.ts'
import { limits } from '../../engine/limits.ts'
import type { Gate, Subscriber } from '../../engine/ports.ts'
import { Event } from './messages.ts'
import { replyMessage } from './reply-message.ts'

/** `done`: the peer's flow control has let it pass. */
export type WriteMessage = (message: Buffer, done: () => void) => void

export class EventStream implements Subscriber {
  private readonly gate: Gate
  private readonly traffic: EventTraffic
  private readonly queue: string
  private readonly write: WriteMessage
  private unsentBytes = 0
  private dropped = 0
  private isOver = false

  constructor(gate: Gate, traffic: EventTraffic, queue: string, write: WriteMessage) {
    this.gate = gate
    this.traffic = traffic
    this.queue = queue
    this.write = write
  }

  /** `done`: from now on it misses nothing. */
  start(events: number, done: () => void): void {
    this.traffic.opened('grpc', 1)
    this.gate.subscribe(this.queue, events, this, done)
  }

  close(): void {
    if (this.isOver) return
    this.isOver = true
    this.traffic.opened('grpc', -1)
    this.gate.unsubscribe(this.queue, this)
  }

  event(line: Buffer): void {
    if (this.isOver) return
    if (this.unsentBytes + line.length > limits.subscriberBytesMax) {
      this.dropped++
      this.traffic.dropped('grpc')
      return
    }
    this.tellDropped()
    this.send(line.subarray(0, line.length - 1))
  }

  private tellDropped(): void {
    if (this.dropped === 0) return
    const { dropped } = this
    this.dropped = 0
    this.send(
      Buffer.from(`{"event":"dropped","queue":${JSON.stringify(this.queue)},"count":${dropped}}`),
    )
  }

  private send(line: Buffer): void {
    const message = replyMessage(Event, line)
    this.unsentBytes += message.length
    this.write(message, () => {
      this.unsentBytes -= message.length
      if (!this.isOver && this.unsentBytes <= limits.subscriberBytesMax / 2) this.tellDropped()
    })
  }
}
