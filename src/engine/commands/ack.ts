// ACK and ACKB: a run succeeded.

import type { Command } from '../command.ts'
import { tellChildren } from '../dependencies.ts'
import { type JobId, seqOfId, shardOfId } from '../job-id.ts'
import { rowOf } from '../job-store.ts'
import { limits } from '../limits.ts'
import { EventKind, type ItemRefusal, type Reply } from '../ports.ts'
import { type Refusal, refusals } from '../refusal.ts'
import { evictFinished } from '../retention.ts'
import type { ShardContext } from '../shard-context.ts'
import { findActive } from './active-job.ts'

export function ack(ctx: ShardContext, command: Command, reply: Reply): void {
  const { id, token, bytes, resultFrom, resultTo } = command
  const refusal = complete(ctx, id, token, bytes, resultFrom, resultTo)
  evictFinished(ctx)
  if (refusal !== null) reply.refused(refusal)
  else reply.ok()
}

/** Acknowledges those ids of the batch that are this shard's; returns how many. */
export function ackBatch(ctx: ShardContext, command: Command, refused: ItemRefusal[]): number {
  const { ids, tokens, results, bytes } = command
  let count = 0
  for (let i = 0; i < command.idCount; i++) {
    const id = ids[i] as number
    if (shardOfId(id) !== ctx.state.shard) continue
    const token = command.hasTokens ? (tokens[i] as number) : Number.NaN
    const from = command.hasResults ? (results[2 * i] as number) : -1
    const refusal = complete(ctx, id, token, bytes, from, results[2 * i + 1] as number)
    if (refusal === null) count++
    else refused.push({ index: i, refusal })
  }
  evictFinished(ctx)
  return count
}

function complete(
  ctx: ShardContext,
  id: JobId,
  token: number,
  bytes: Buffer,
  from: number,
  to: number,
): Refusal | null {
  const page = findActive(ctx, id, token)
  if ('code' in page) return page
  if (from >= 0 && to - from > limits.resultBytesMax) {
    return refusals.resultTooLarge(to - from, limits.resultBytesMax)
  }
  const seq = seqOfId(id)
  const row = rowOf(seq)
  const queue = ctx.state.queueOf(page.queue[row] as number)
  const { nowMs } = ctx
  ctx.ports.latency.add(nowMs, 1, Math.max(0, nowMs - (page.createdAt[row] as number)))
  ctx.record.completed(seq, nowMs, bytes, from, to)
  if (queue.concurrency !== null) ctx.markDirty(queue)
  tellChildren(ctx, seq, 'completed')
  ctx.emit(EventKind.completed, queue, seq)
  return null
}
