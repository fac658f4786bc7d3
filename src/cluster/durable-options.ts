// What a worker has besides where shards outlive it, as the exchange knows it: `shard-keeper.ts`, behind a port.

import type { ShardId } from '../engine/job-id.ts'
import type { ReplyHold } from './reply-hold.ts'

/** Where shards outlive their worker. */
export interface DurableOptions {
  /** Replies wait until what they depend on is durable. */
  readonly waits: boolean
  /** Nobody else can own what this worker owns. */
  mayAnswer(): boolean
  makeKeeper(hold: ReplyHold, hooks: KeeperHooks): Keeper
}

export interface KeeperHooks {
  isHolderAlive(holder: number): boolean
  changed(): void
  /** Somebody else has them: they are not taken again before they are granted anew. */
  gone(shards: readonly ShardId[]): void
}

/** `shard-keeper.ts`, as far as the exchange knows it. */
export interface Keeper {
  isServing(shard: ShardId): boolean
  /** At the end of a turn: whether more may be taken in. */
  look(): void
  take(shards: readonly ShardId[]): void
  wake(): void
  giveUp(shards: readonly ShardId[]): Promise<void>
  stop(): Promise<void>
}
