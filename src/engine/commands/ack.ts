// ACK and ACKB: a run succeeded.

import type { Command } from '../command.ts'
import { tellChildren } from '../dependencies.ts'
import { type JobId, type Seq, seqOfId, shardOfId } from '../job-id.ts'
import { JobState, PAGE_ROWS, rowOf } from '../job-store.ts'
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
  const runsAllowed = !command.hasResults && ctx.state.childrenOf.size === 0
  for (let i = 0; i < command.idCount; i++) {
    const id = ids[i] as number
    if (shardOfId(id) !== ctx.state.shard) continue
    const run = runsAllowed ? plainRunFrom(ctx, command, i) : 0
    if (run > 1) {
      completeRun(ctx, seqOfId(id), run)
      count += run
      i += run - 1
      continue
    }
    const token = command.hasTokens ? (tokens[i] as number) : Number.NaN
    const from = command.hasResults ? (results[2 * i] as number) : -1
    const refusal = complete(ctx, id, token, bytes, from, results[2 * i + 1] as number)
    if (refusal === null) count++
    else refused.push({ index: i, refusal })
  }
  evictFinished(ctx)
  return count
}

/**
 * How many ids from position `first` on are consecutive plain jobs that can be acknowledged together: active, of one page
 * and queue, not leased, held, timed or rare, and with the right tokens if any are given.
 */
function plainRunFrom(ctx: ShardContext, command: Command, first: number): number {
  const { ids, tokens, idCount, hasTokens } = command
  const firstId = ids[first] as number
  const firstSeq = seqOfId(firstId)
  const page = ctx.state.jobs.find(firstSeq)
  if (page === undefined || page.token === null) return 0
  const { state, flags, queue, token, options } = page
  const firstRow = rowOf(firstSeq)
  const queueNo = queue[firstRow] as number
  const max = Math.min(idCount - first, PAGE_ROWS - firstRow)
  let length = 0
  for (; length < max; length++) {
    const row = firstRow + length
    if (ids[first + length] !== firstId + length * limits.shards) break
    if (state[row] !== JobState.active || flags[row] !== 0 || queue[row] !== queueNo) break
    if (options !== null && (options.ttl[row] !== 0 || options.timeout[row] !== 0)) break
    if (hasTokens && !isTokenGood(tokens[first + length] as number, token[row] as number)) break
  }
  return length
}

function isTokenGood(given: number, current: number): boolean {
  return Number.isNaN(given) || given === current
}

function completeRun(ctx: ShardContext, firstSeq: Seq, count: number): void {
  const { nowMs, state, ports } = ctx
  const page = state.jobs.get(firstSeq)
  const firstRow = rowOf(firstSeq)
  const queue = state.queueOf(page.queue[firstRow] as number)
  let latencyMs = 0
  for (let row = firstRow; row < firstRow + count; row++) {
    latencyMs += Math.max(0, nowMs - (page.createdAt[row] as number))
  }
  ports.latency.add(nowMs, count, latencyMs)
  ctx.record.completedRun(firstSeq, count, nowMs)
  ctx.slotsFreed(queue, count)
  // Before anything else is recorded: see record-order.ts.
  ctx.emitRun(EventKind.completed, queue, firstSeq, count)
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
  ctx.ports.watch?.runEnded(ctx.state, seq, nowMs, 'completed', null)
  ctx.record.completed(seq, nowMs, bytes, from, to)
  ctx.slotsFreed(queue, 1)
  // Before anything else is recorded: see record-order.ts.
  ctx.emit(EventKind.completed, queue, seq)
  tellChildren(ctx, seq, 'completed')
  return null
}
