// A queue that is being cleared, over as many turns as it takes (clearing-step.ts). Not state: what is left of it ends with its owner.

import type { Seq } from './job-id.ts'
import type { Queue } from './queue.ts'

export interface Clearing {
  readonly queue: Queue
  /** Bits, `stateBit`. */
  readonly states: number
  /** The next job to look at, and the one where it ends. */
  at: Seq
  readonly end: Seq
  count: number
  /** All are out. */
  done(count: number): void
  /** It can't go on. */
  failed(): void
}
