// PULL and PULLB: jobs at once when it is this pull's turn and there are any; else it waits, or not, as asked.

import type { Command } from '../command.ts'
import { awaitRateToken, deliver } from '../deliver.ts'
import { TimerKind, timerKey } from '../due-heap.ts'
import { limits } from '../limits.ts'
import { Op } from '../op.ts'
import type { Reply, SeqList } from '../ports.ts'
import { refusals } from '../refusal.ts'
import { isRefusal, type ShardContext } from '../shard-context.ts'
import type { WaitingPull } from '../waiting-pull.ts'

const NO_JOBS: SeqList = { seqs: new Float64Array(0), count: 0 }

export function pull(ctx: ShardContext, command: Command, reply: Reply, holder: number): void {
  const queue = ctx.openQueue(command.queue)
  if (isRefusal(queue)) return reply.refused(queue)
  const many = command.op === Op.PULLB
  const max = many ? Math.min(command.count, limits.pullCountMax) : 1
  if (max === 0) return answerNone(ctx, reply, many)
  const terms = {
    max,
    many,
    leaseMs: command.leaseMs,
    showToken: command.wantsToken || command.leaseMs > 0,
    releaseOnClose: command.releaseOnClose,
    holder,
  }
  if (queue.waits.size === 0) {
    const count = Math.min(max, queue.deliverable(ctx.nowMs))
    if (count > 0) return deliver(ctx, queue, count, terms, reply)
  }
  if (command.waitMs === 0) return answerNone(ctx, reply, many)
  if (ctx.draining) return reply.refused(refusals.draining)
  if (queue.waits.size >= limits.waitingPullsPerQueueMax)
    return reply.refused(refusals.tooManyWaiting)
  const untilMs = command.waitMs > 0 ? ctx.nowMs + command.waitMs : 0
  const waiting = ctx.waits.add(queue.waits, reply, terms, untilMs)
  if (untilMs > 0) ctx.state.due.add(untilMs, timerKey(TimerKind.wait, waiting.no))
  awaitRateToken(ctx, queue)
}

/** The wait of a pull is over: it gets nothing. */
export function endWait(ctx: ShardContext, waiting: WaitingPull): void {
  ctx.waits.end(waiting)
  answerNone(ctx, waiting.reply, waiting.many)
}

function answerNone(ctx: ShardContext, reply: Reply, many: boolean): void {
  if (many) reply.pulledBatch(ctx.state, NO_JOBS, null)
  else reply.pulled(ctx.state, NO_JOBS, null)
}
