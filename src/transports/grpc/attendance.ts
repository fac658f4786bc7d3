// One consumer of this door in the list of consumers (`/workers`), from its call's beginning to its end.

import type { ConnectedConsumer, Consumers } from '../consumers/consumers.ts'
import type { Introduction } from './introduction.ts'

const DOOR = 'grpc'

export class Attendance {
  private readonly consumers: Consumers
  private readonly consumer: ConnectedConsumer

  /** `other`: the name of who has not said one. */
  constructor(consumers: Consumers, who: Introduction, other: string, queue: string) {
    const { name, host, version, concurrency, address } = who
    this.consumers = consumers
    this.consumer = {
      ...{ id: name ?? other, queues: new Set([queue]), concurrency, host, version, address },
      ...{ lastSeenMs: 0, processed: 0, given: 0, ended: 0, door: DOOR },
    }
    consumers.join(this.consumer)
    this.consumer.lastSeenMs = consumers.nowMs
  }

  given(count: number): void {
    this.consumer.given += count
  }

  /** A job has left its hands. */
  ended(isCompleted: boolean): void {
    this.consumer.ended++
    if (isCompleted) this.consumer.processed++
    this.consumer.lastSeenMs = this.consumers.nowMs
  }

  leave(): void {
    this.consumers.leave(this.consumer)
  }

  /** It pulls call by call: it is listed for a while more (`limits.consumerSilenceMsMax`), as if by a heartbeat. */
  leaveSlowly(): void {
    this.leave()
    const { id, queues, concurrency, host, version, address } = this.consumer
    const claims = {
      queues: [...queues],
      concurrency,
      host,
      version,
      processed: null,
      active: null,
    }
    // There may be too many of these to be listed, which is no reason to refuse a pull.
    this.consumers.heartbeat(id, claims, address, DOOR)
  }
}
