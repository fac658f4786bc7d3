// What survives a worker, for as long as the process lives: the tables of PostgreSQL, as far as the port can tell.
//
// Neighbours: `memory-storage.ts` is one worker's way to it; any number of them share a store.

import { limits } from '../../engine/limits.ts'
import type { JobRow } from '../../engine/storage-port.ts'

const SIDES = 2

export interface StoredBatch {
  readonly position: number
  readonly epoch: number
  readonly bytes: Buffer
}

export interface StoredCheckpoint {
  readonly covered: number
  readonly meta: Buffer
  readonly rows: readonly JobRow[]
  readonly bytes: number
}

export interface StoredShard {
  /** Of the newest owner; it stays after a release. */
  node: string | null
  owner: string | null
  epoch: number
  reservedTo: number
  /** 0 = none was made. */
  generation: number
  checkpoint: StoredCheckpoint | null
  /** By position, in the order in which they were stored. */
  readonly sides: readonly Map<number, StoredBatch>[]
}

export class MemoryStore {
  readonly shards: readonly StoredShard[]
  /** Nodes whose lease is over: anybody may take what they own. */
  readonly endedNodes = new Set<string>()

  constructor() {
    this.shards = Array.from({ length: limits.shards }, () => ({
      node: null,
      owner: null,
      epoch: 0,
      reservedTo: 1,
      generation: 0,
      checkpoint: null,
      sides: Array.from({ length: SIDES }, () => new Map<number, StoredBatch>()),
    }))
  }

  shard(shard: number): StoredShard {
    const stored = this.shards[shard]
    if (stored === undefined) throw new RangeError(`there is no shard ${shard}`)
    return stored
  }
}

/** 0 when it is empty. */
export function newestPosition(side: ReadonlyMap<number, StoredBatch> | undefined): number {
  let newest = 0
  for (const position of side?.keys() ?? []) newest = Math.max(newest, position)
  return newest
}

/** Both sides behind a position, in order. */
export function batchesBehind(stored: StoredShard, position: number): StoredBatch[] {
  return stored.sides
    .flatMap((side) => [...side.values()])
    .filter((batch) => batch.position > position)
    .sort((a, b) => a.position - b.position)
}
