// FAIL, and every other way a run ends badly (timeout, lost lease): another run later, or the dead letter queue.

import type { Command } from '../command.ts'
import { tellChildren } from '../dependencies.ts'
import { type Seq, seqOfId } from '../job-id.ts'
import { type JobPage, rowOf } from '../job-store.ts'
import { limits } from '../limits.ts'
import { EventKind, type Reply } from '../ports.ts'
import type { ShardContext } from '../shard-context.ts'
import { findActive } from './active-job.ts'

export function fail(ctx: ShardContext, command: Command, reply: Reply): void {
  const page = findActive(ctx, command.id, command.token)
  if ('code' in page) return reply.refused(page)
  endRunBadly(ctx, page, seqOfId(command.id), cutError(command.text))
  reply.ok()
}

/** A long error is cut, not refused: with a refusal the job would stay active. */
function cutError(text: string | null): string | null {
  if (text === null || Buffer.byteLength(text) <= limits.errorBytesMax) return text
  // A character that the cut has split decodes to U+FFFD.
  const kept = Buffer.from(text).subarray(0, limits.errorBytesMax).toString('utf8')
  return kept.replace(/\ufffd+$/, '')
}

/** The active job's run is counted; then it is retried, expired, or dead-lettered. */
export function endRunBadly(
  ctx: ShardContext,
  page: JobPage,
  seq: Seq,
  error: string | null,
): void {
  const row = rowOf(seq)
  const queue = ctx.state.queueOf(page.queue[row] as number)
  const attempts = (page.attempts[row] as number) + 1
  const max = page.maxAttempts[row] as number
  const isLast = max > 0 && attempts >= max
  const { watch } = ctx.ports
  watch?.runEnded(ctx.state, seq, ctx.nowMs, isLast ? 'failed' : 'retrying', error)
  if (isLast) {
    ctx.record.deadLettered(seq, ctx.nowMs, error)
    ctx.emit(EventKind.failed, queue, seq, error)
    tellChildren(ctx, seq, 'failed')
  } else {
    const runAtMs = ctx.nowMs + pauseBeforeRetry(page, row, attempts)
    ctx.record.retried(seq, ctx.nowMs, runAtMs, error)
    if (!expireIfOverdue(ctx, page, seq, error)) ctx.emit(EventKind.retrying, queue, seq, error)
  }
  ctx.slotsFreed(queue, 1)
}

/** A job that came back after its ttl is not run again. */
export function expireIfOverdue(
  ctx: ShardContext,
  page: JobPage,
  seq: Seq,
  error: string | null,
): boolean {
  const row = rowOf(seq)
  const ttl = page.options === null ? 0 : (page.options.ttl[row] as number)
  if (ttl === 0 || ctx.nowMs <= (page.createdAt[row] as number) + ttl) return false
  expire(ctx, page, seq, error)
  return true
}

export function expire(ctx: ShardContext, page: JobPage, seq: Seq, error: string | null): void {
  const queue = ctx.state.queueOf(page.queue[rowOf(seq)] as number)
  ctx.emit(EventKind.expired, queue, seq, error)
  ctx.record.removed(seq, 'expired')
  tellChildren(ctx, seq, 'expired')
}

/**
 * base × 2^(attempts − 1), the first retry after `base`. Without a base the first few retries come at once and
 * later ones after a pause, so that a job that always fails does not spin.
 */
function pauseBeforeRetry(page: JobPage, row: number, attempts: number): number {
  const base = page.options === null ? 0 : (page.options.backoff[row] as number)
  if (base === 0) return attempts <= limits.quickRetriesMax ? 0 : limits.retryPauseMs
  const exponent = Math.min(attempts - 1, limits.backoffExponentMax)
  return Math.min(base * 2 ** exponent, limits.backoffMsMax)
}

/** The timeout's or the lease's text, as the job's error. */
export const runErrors = { timeout: 'Job timed out', lease: 'Lease expired' } as const
