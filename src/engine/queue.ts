// One queue of a shard: what is ready, what gates delivery, who waits, and its counters.
//
//              ┌────────── paused? ── rate? ── concurrency? ──────────┐
//   ready ─────┤                                                      ├──▶ first waiting pull
//   (priority, └── deliverable = min(ready, tokens, free slots) ──────┘    (FIFO, one job to one pull)
//    run_at, id)
//
// 1. Counters are kept by evolve, never counted.
// 2. `active` is the number of active jobs, so a concurrency limit set later is right at once.

import type { Seq } from './job-id.ts'
import type { JobStore } from './job-store.ts'
import type { RateLimiter } from './rate-limiter.ts'
import { ReadyQueue } from './ready-queue.ts'
import { WaitingLine } from './waiting-pull.ts'

export class Queue {
  readonly no: number
  readonly name: string
  readonly ready: ReadyQueue
  delayed = 0
  active = 0
  parked = 0
  /** Completed jobs that are still readable: their rows name this queue. */
  finished = 0
  /** The dead letter queue, oldest failure first. */
  readonly dead = new Set<Seq>()
  /** Unique keys of jobs that are not finished: the key's job. */
  readonly keys = new Map<string, Seq>()

  paused = false
  rate: RateLimiter | null = null
  concurrency: number | null = null
  /** How many are deleting it: until they are through, nothing leaves it. Not state. */
  deletions = 0
  /** Slots that are free, but not given on yet; see held-slots.ts. */
  heldSlots = 0

  readonly waits = new WaitingLine()
  /** When the rate limit's timer for this queue is due; 0 when none is set. */
  rateTimerMs = 0
  /** In the context's list of queues whose waiting pulls may be served. */
  dirty = false
  /** It held a job once: it is listed even when it is empty now. */
  used = false

  constructor(no: number, name: string, jobs: JobStore) {
    this.no = no
    this.name = name
    this.ready = new ReadyQueue(jobs)
  }

  /** Nothing depends on this object: it may be forgotten. */
  isIdle(): boolean {
    return (
      this.ready.live === 0 &&
      this.delayed === 0 &&
      this.active === 0 &&
      this.parked === 0 &&
      this.dead.size === 0 &&
      this.finished === 0 &&
      !this.paused &&
      this.rate === null &&
      this.concurrency === null &&
      this.waits.size === 0 &&
      this.heldSlots === 0
    )
  }

  /** How many ready jobs may be handed out now. */
  deliverable(nowMs: number): number {
    if (this.paused || this.deletions > 0) return 0
    let count = this.ready.live
    if (count === 0) return 0
    if (this.concurrency !== null)
      count = Math.min(count, this.concurrency - this.active - this.heldSlots)
    if (this.rate !== null) count = Math.min(count, this.rate.available(nowMs))
    return Math.max(0, count)
  }
}
