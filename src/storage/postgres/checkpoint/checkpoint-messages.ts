// What a worker and its checkpoint thread tell each other.

import type { CheckpointMade } from '../../../engine/storage-port.ts'
import type { Fence } from './fence.ts'

/** To the thread; null = end. One at a time. */
export type CheckpointOrder = { readonly fence: Fence; readonly covered: number } | null

/** A StorageFault, as far as it survives the way between threads. */
export interface FaultFields {
  readonly code: string
  readonly text: string
  readonly retryable: boolean
}

export type CheckpointAnswer =
  | { readonly made: CheckpointMade | 'fenced' }
  | { readonly fault: FaultFields }
