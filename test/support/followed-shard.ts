// A shard of the engine that runs through a history, and what PostgreSQL is told of it.

import { dumpState } from '../../src/engine/state-dump.ts'
import { EngineHarness, queueOfShard } from './engine-harness.ts'
import type { PostgresShard } from './postgres-shard.ts'
import { Player } from './shard-history.ts'

/** The one that has most of the made-up queues. */
export const FOLLOWED_SHARD = 3
export const FOLLOWED_QUEUE = queueOfShard(FOLLOWED_SHARD)

/** A shard of the engine, and what PostgreSQL is told of it. */
export class FollowedShard {
  readonly engine: EngineHarness
  readonly player = new Player()
  /** Whoever owns it now. */
  stored: PostgresShard
  private appended = 0

  constructor(stored: PostgresShard, retention = { count: 6, ageMs: 700, bytes: 150 }) {
    this.stored = stored
    this.engine = new EngineHarness({ records: true, retention })
  }

  /** What the engine has recorded since the last time, as one batch. */
  async append(): Promise<void> {
    const records = this.engine.records[FOLLOWED_SHARD] ?? []
    if (records.length === this.appended) return
    await this.stored.append(records.slice(this.appended))
    this.appended = records.length
  }

  dump(): string {
    const shard = this.engine.shards[FOLLOWED_SHARD]
    return shard === undefined ? '' : dumpState(shard.state)
  }
}
