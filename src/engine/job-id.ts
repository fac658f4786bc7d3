// Ids carry their shard: id = sequence * 32 + shard. Any worker finds the owner of an id without a look-up.

import { limits } from './limits.ts'

export type JobId = number
export type ShardId = number
/** Position of a job within its shard; never goes back, never re-used. */
export type Seq = number

export function jobIdOf(seq: Seq, shard: ShardId): JobId {
  return seq * limits.shards + shard
}

/** The low bits of any safe integer survive the conversion to 32 bits, which is much quicker than a remainder. */
export function shardOfId(id: JobId): ShardId {
  return id & (limits.shards - 1)
}

export function seqOfId(id: JobId): Seq {
  return Math.floor(id / limits.shards)
}
