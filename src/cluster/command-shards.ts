// Which of a worker's shards a command is for, and what is said of ids whose shard is not there.

import type { Command } from '../engine/command.ts'
import { type ShardId, shardOfId } from '../engine/job-id.ts'
import { opNames, type Route, routeOf } from '../engine/op.ts'
import type { ItemRefusal } from '../engine/ports.ts'
import { refusals } from '../engine/refusal.ts'
import { WEBHOOK_HOME } from '../engine/webhooks.ts'
import { shardOfQueue } from './shard-of-queue.ts'

export const routes: readonly Route[] = opNames.map((name) => routeOf[name])

export function shardFor(command: Command, route: Route | undefined): ShardId {
  if (route === 'id') return shardOfId(command.id)
  if (route === 'webhooks') return WEBHOOK_HOME
  return shardOfQueue(route === 'name' ? command.name : command.queue)
}

/** Bit per shard that an id of the command is in. */
export function shardMask(command: Command): number {
  if (command.hasId) return 1 << shardOfId(command.id)
  let mask = 0
  for (let i = 0; i < command.idCount; i++) mask |= 1 << shardOfId(command.ids[i] as number)
  return mask
}

export function refuseIdsOf(shard: ShardId, command: Command, refused: ItemRefusal[]): void {
  if (command.hasId) {
    refused.push({ index: 0, refusal: refusals.unavailable })
    return
  }
  for (let index = 0; index < command.idCount; index++) {
    if (shardOfId(command.ids[index] as number) === shard) {
      refused.push({ index, refusal: refusals.unavailable })
    }
  }
}
