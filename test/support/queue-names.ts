// Queue names that live where a test wants them.

import { shardOfQueue } from '../../src/cluster/shard-of-queue.ts'

/** The n-th name of a queue in that shard. */
export function queueInShard(shard: number, prefix = 'queue', n = 0): string {
  let found = -1
  for (let i = 0; ; i++) {
    const name = `${prefix}-${i}`
    if (shardOfQueue(name) === shard && ++found === n) return name
  }
}

/** With two workers, as the shards are assigned at first: shard i to worker i mod 2. */
export function queueOnWorker(worker: number, prefix = 'queue', n = 0): string {
  let found = -1
  for (let i = 0; ; i++) {
    const name = `${prefix}-${i}`
    if (shardOfQueue(name) % 2 === worker && ++found === n) return name
  }
}
