// Slots of a concurrency limit that are free, but not given on yet.
//
// A client must see the answer to its ack before another one sees the job that the freed slot lets go; else it
// counts one job too many. Within a worker the order of writing sees to that. A command that came over a link is
// answered by another process: its slots are held until that one has written the answer.

import type { ShardId } from './job-id.ts'
import type { Queue } from './queue.ts'

export interface HeldSlots {
  readonly shard: ShardId
  readonly queue: Queue
  readonly count: number
}

/** Shared by the shards of a worker. */
export class SlotHold {
  /** The command that runs came over a link. */
  away = false
  private held: HeldSlots[] = []

  add(held: HeldSlots): void {
    this.held.push(held)
  }

  /** What the last command has freed, or null. */
  take(): readonly HeldSlots[] | null {
    if (this.held.length === 0) return null
    const { held } = this
    this.held = []
    return held
  }
}
