// The shard of a queue (or a cron) is a function of its name alone, so every worker knows it; SQL can compute the same.

import { createHash } from 'node:crypto'
import type { ShardId } from '../engine/job-id.ts'
import { limits } from '../engine/limits.ts'

const CACHED_NAMES_MAX = 10_000
const cache = new Map<string, ShardId>()

/** sha256(utf8(name))[0] & 31 */
export function shardOfQueue(name: string): ShardId {
  const cached = cache.get(name)
  if (cached !== undefined) return cached
  const digest = createHash('sha256').update(name, 'utf8').digest()
  const shard = (digest[0] as number) & (limits.shards - 1)
  if (cache.size >= CACHED_NAMES_MAX) cache.clear()
  cache.set(name, shard)
  return shard
}
