// PROMOTE: a job that waits for its time, or for its next run, is ready now.

import type { Command } from '../command.ts'
import { seqOfId } from '../job-id.ts'
import { JobState, rowOf } from '../job-store.ts'
import type { Reply } from '../ports.ts'
import { refusals } from '../refusal.ts'
import type { ShardContext } from '../shard-context.ts'

export function promote(ctx: ShardContext, command: Command, reply: Reply): void {
  const seq = seqOfId(command.id)
  const state = ctx.state.stateName(seq)
  if (state === 'unknown') return reply.refused(refusals.jobNotFound(command.id))
  if (ctx.state.jobs.stateOf(seq) !== JobState.delayed) {
    return reply.refused(refusals.jobNotDelayed(command.id))
  }
  const page = ctx.state.jobs.get(seq)
  ctx.record.promotedNow(seq, ctx.nowMs)
  ctx.markDirty(ctx.state.queueOf(page.queue[rowOf(seq)] as number))
  reply.ok()
}
