// PROGRESS and GETPROGRESS of an active job.

import type { Command } from '../command.ts'
import { seqOfId } from '../job-id.ts'
import { rowOf } from '../job-store.ts'
import { limits } from '../limits.ts'
import { EventKind, type Reply } from '../ports.ts'
import { refusals } from '../refusal.ts'
import type { ShardContext } from '../shard-context.ts'
import { findActive } from './active-job.ts'

const PROGRESS_MAX = 100

export function progress(ctx: ShardContext, command: Command, reply: Reply): void {
  const page = findActive(ctx, command.id, command.token, refusals.jobNotActive)
  if ('code' in page) return reply.refused(page)
  const { text } = command
  if (text !== null && Buffer.byteLength(text) > limits.messageBytesMax) {
    return reply.refused(refusals.limitExceeded('message bytes', limits.messageBytesMax))
  }
  const seq = seqOfId(command.id)
  ctx.record.progressed(seq, Math.min(command.progress, PROGRESS_MAX), text)
  ctx.emit(EventKind.progress, ctx.state.queueOf(page.queue[rowOf(seq)] as number), seq)
  reply.ok()
}

export function getProgress(ctx: ShardContext, command: Command, reply: Reply): void {
  const page = findActive(ctx, command.id, Number.NaN)
  if ('code' in page) return reply.refused(page)
  const seq = seqOfId(command.id)
  const message = ctx.state.jobs.rareOf(page, seq)?.message ?? null
  reply.progress(command.id, page.progress?.[rowOf(seq)] ?? 0, message)
}
