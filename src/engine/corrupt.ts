// The fault of what was stored and does not fit together: nobody can repair that by asking again.

import type { ShardState } from './shard-state.ts'
import { StorageFault } from './storage-port.ts'

export function corrupt(state: ShardState, text: string, cause?: unknown): StorageFault {
  return new StorageFault('corrupt', `shard ${state.shard}: ${text}`, false, cause)
}

/** What `action` throws is a fault of what was stored. */
export function guarded<T>(what: string, state: ShardState, action: () => T): T {
  try {
    return action()
  } catch (error) {
    if (error instanceof StorageFault) throw error
    throw corrupt(state, `${what} can't be read`, error)
  }
}
