// DLQ, RETRYDLQ, PURGEDLQ: look at the dead letter queue of a queue, run its jobs anew, or delete them.

import type { Command } from '../command.ts'
import { askParents, tellChildren } from '../dependencies.ts'
import { type Seq, seqOfId, shardOfId } from '../job-id.ts'
import { limits } from '../limits.ts'
import { EventKind, type Reply, type SeqList } from '../ports.ts'
import type { Queue } from '../queue.ts'
import { isRefusal, type ShardContext } from '../shard-context.ts'

const NONE_REFUSED: readonly never[] = []

export function listDead(ctx: ShardContext, command: Command, reply: Reply): void {
  const queue = ctx.openQueue(command.queue)
  if (isRefusal(queue)) return reply.refused(queue)
  const max = Math.min(command.count, limits.pullCountMax)
  const list: SeqList = { seqs: new Float64Array(Math.min(max, queue.dead.size)), count: 0 }
  for (const seq of queue.dead) {
    if (list.count >= list.seqs.length) break
    list.seqs[list.count++] = seq
  }
  reply.pulledBatch(ctx.state, list, null)
}

export function retryDead(ctx: ShardContext, command: Command, reply: Reply): void {
  const queue = ctx.openQueue(command.queue)
  if (isRefusal(queue)) return reply.refused(queue)
  const seqs = chosen(ctx, queue, command)
  for (const seq of seqs) {
    ctx.record.dlqRetried(seq, ctx.nowMs)
    askParents(ctx, seq)
    ctx.emit(EventKind.retrying, queue, seq)
  }
  ctx.markDirty(queue)
  reply.counted(seqs.length, NONE_REFUSED)
}

export function purgeDead(ctx: ShardContext, command: Command, reply: Reply): void {
  const queue = ctx.openQueue(command.queue)
  if (isRefusal(queue)) return reply.refused(queue)
  const seqs = chosen(ctx, queue, command)
  for (const seq of seqs) {
    ctx.record.removed(seq, 'failed')
    tellChildren(ctx, seq, 'failed')
  }
  reply.counted(seqs.length, NONE_REFUSED)
}

function chosen(ctx: ShardContext, queue: Queue, command: Command): Seq[] {
  if (!command.hasId) return [...queue.dead]
  const seq = seqOfId(command.id)
  return shardOfId(command.id) === ctx.state.shard && queue.dead.has(seq) ? [seq] : []
}
