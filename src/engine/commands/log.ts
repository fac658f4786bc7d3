// LOG and GETLOGS: lines that are kept with a job for as long as it can be read.
//
// A completed job takes no more: what it has is counted then, for retention.

import type { Command } from '../command.ts'
import { seqOfId } from '../job-id.ts'
import { JobState } from '../job-store.ts'
import { limits } from '../limits.ts'
import type { Reply } from '../ports.ts'
import { type Refusal, refusals } from '../refusal.ts'
import type { ShardContext } from '../shard-context.ts'
import { findActive } from './active-job.ts'

export function log(ctx: ShardContext, command: Command, reply: Reply): void {
  const line = command.text ?? ''
  const refusal = refuse(ctx, command, line)
  if (refusal !== null) return reply.refused(refusal)
  ctx.record.logged(seqOfId(command.id), ctx.nowMs, line)
  reply.ok()
}

/** Never an error, whatever the id. */
export function getLogs(ctx: ShardContext, command: Command, reply: Reply): void {
  const seq = seqOfId(command.id)
  const page = ctx.state.jobs.find(seq)
  const rare = page === undefined ? undefined : ctx.state.jobs.rareOf(page, seq)
  reply.logs(command.id, rare?.logs ?? null)
}

function refuse(ctx: ShardContext, { id, token }: Command, line: string): Refusal | null {
  if (Number.isNaN(token)) {
    const state = ctx.state.jobs.stateOf(seqOfId(id))
    if (state === JobState.none || state === JobState.completed) return refusals.jobNotFound(id)
  } else {
    const page = findActive(ctx, id, token)
    if ('code' in page) return page
  }
  if (Buffer.byteLength(line) > limits.logLineBytesMax) {
    return refusals.limitExceeded('bytes of a log line', limits.logLineBytesMax)
  }
  return ctx.ports.memory.full ? refusals.memoryFull : null
}
