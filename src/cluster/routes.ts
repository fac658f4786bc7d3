// A worker's view of the node: which worker owns which shard, and which shard a command is for.

import type { Command } from '../engine/command.ts'
import { type ShardId, shardOfId } from '../engine/job-id.ts'
import { limits } from '../engine/limits.ts'
import { opNames, type Route, routeOf } from '../engine/op.ts'
import { WEBHOOK_HOME } from '../engine/webhooks.ts'
import { NOBODY } from './assignment.ts'
import { shardOfQueue } from './shard-of-queue.ts'

/** `ownerOfIds`: the ids belong to more than one worker. */
export const SEVERAL = -2

export class Routes {
  /** Index of this worker. */
  readonly me: number
  version = 0
  /** Every shard is owned here: no command needs a look at its key before it runs. */
  allMine = false
  /** Every shard has an owner that serves it. */
  allOwned = false
  private owners: readonly number[] = new Array<number>(limits.shards).fill(NOBODY)
  private incarnations: readonly number[] = []

  constructor(me: number) {
    this.me = me
  }

  update(version: number, owners: readonly number[], incarnations: readonly number[]): void {
    this.version = version
    this.owners = owners
    this.incarnations = incarnations
    this.allOwned = owners.every((owner) => owner !== NOBODY)
    this.allMine = owners.every((owner) => owner === this.me)
  }

  /** Shards that have an owner that serves them. */
  served(): number {
    return this.owners.filter((owner) => owner !== NOBODY).length
  }

  ownerOf(shard: ShardId): number {
    return this.owners[shard] ?? NOBODY
  }

  isMine(shard: ShardId): boolean {
    return this.owners[shard] === this.me
  }

  /** 0 = that worker is not alive. */
  incarnationOf(worker: number): number {
    return this.incarnations[worker] ?? 0
  }

  incarnationsNow(): readonly number[] {
    return this.incarnations
  }

  /** Every live worker but this one. */
  others(): number[] {
    const others: number[] = []
    this.incarnations.forEach((incarnation, worker) => {
      if (incarnation !== 0 && worker !== this.me) others.push(worker)
    })
    return others
  }

  /** Of a command of route `queue`, `id` or `name`; of `ids` that of `id`. */
  shardOf(command: Command): ShardId {
    switch (routeOfCommand(command)) {
      case 'id':
      case 'ids':
        return shardOfId(command.id)
      case 'name':
        return shardOfQueue(command.name)
      case 'webhooks':
        return WEBHOOK_HOME
      default:
        return shardOfQueue(command.queue)
    }
  }

  /** The one worker that owns all these ids; SEVERAL; or NOBODY when some have no owner now. */
  ownerOfIds(ids: Float64Array, count: number): number {
    if (count === 0 || this.allMine) return this.me
    const first = this.ownerOf(shardOfId(ids[0] as number))
    for (let i = 1; i < count; i++) {
      if (this.ownerOf(shardOfId(ids[i] as number)) !== first) return SEVERAL
    }
    return first
  }
}

const routes: readonly Route[] = opNames.map((name) => routeOf[name])

export function routeOfCommand(command: Command): Route {
  return routes[command.op] ?? 'connection'
}
