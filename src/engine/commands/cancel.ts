// CANCEL: a job that is not finished is taken out, wherever it is; whoever still works on it will be told at its ack.

import type { Command } from '../command.ts'
import { tellChildren } from '../dependencies.ts'
import { seqOfId } from '../job-id.ts'
import { JobState, rowOf } from '../job-store.ts'
import { EventKind, type Reply } from '../ports.ts'
import { refusals } from '../refusal.ts'
import type { ShardContext } from '../shard-context.ts'

export function cancel(ctx: ShardContext, command: Command, reply: Reply): void {
  const seq = seqOfId(command.id)
  const state = ctx.state.jobs.stateOf(seq)
  if (state === JobState.completed || state === JobState.failed) {
    return reply.refused(refusals.jobNotCancellable(command.id))
  }
  if (state === JobState.none) {
    const finished = ctx.state.stateName(seq) === 'completed'
    const refusal = finished ? refusals.jobNotCancellable : refusals.jobNotFound
    return reply.refused(refusal(command.id))
  }
  const page = ctx.state.jobs.get(seq)
  const queue = ctx.state.queueOf(page.queue[rowOf(seq)] as number)
  ctx.emit(EventKind.cancelled, queue, seq)
  ctx.record.removed(seq, 'cancelled')
  tellChildren(ctx, seq, 'cancelled')
  if (state === JobState.active) ctx.slotsFreed(queue, 1)
  reply.ok()
}
