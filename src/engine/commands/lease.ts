// HEARTBEAT and RELEASE: a consumer keeps a job, or gives it back with no run counted.

import type { Command } from '../command.ts'
import { type JobId, type Seq, seqOfId, shardOfId } from '../job-id.ts'
import { type JobPage, JobState, RowFlag, rowOf } from '../job-store.ts'
import type { ItemRefusal, Unwritten } from '../ports.ts'
import { type Refusal, refusals } from '../refusal.ts'
import type { ShardContext } from '../shard-context.ts'
import { findActive } from './active-job.ts'
import { expireIfOverdue } from './fail.ts'

type OnJob = (ctx: ShardContext, id: JobId, token: number, command: Command) => Refusal | null

export function heartbeat(ctx: ShardContext, command: Command, refused: ItemRefusal[]): number {
  return eachId(ctx, command, refused, extend)
}

export function release(ctx: ShardContext, command: Command, refused: ItemRefusal[]): number {
  return eachId(ctx, command, refused, giveBackOne)
}

/** Undoes the delivery of jobs whose reply could not be written. */
export function giveBack(ctx: ShardContext, unwritten: Unwritten): void {
  const { seqs, firstToken } = unwritten
  for (let i = 0; i < seqs.length; i++) {
    const seq = seqs[i] as Seq
    const page = ctx.state.jobs.find(seq)
    if (page === undefined || page.state[rowOf(seq)] !== JobState.active) continue
    if (page.token?.[rowOf(seq)] === firstToken + i) returnToQueue(ctx, page, seq)
  }
}

/** Undoes a delivery that may have reached nobody, unless its consumer has been heard of since. */
export function giveBackUnconfirmed(ctx: ShardContext, seq: Seq, token: number): void {
  const page = ctx.state.jobs.find(seq)
  const row = rowOf(seq)
  if (page === undefined || page.state[row] !== JobState.active) return
  const isLeased = ((page.flags[row] as number) & RowFlag.leased) !== 0
  if (page.token?.[row] === token && !isLeased) returnToQueue(ctx, page, seq)
}

/** A session is gone: its waiting pulls are forgotten, what it held for its life returns. */
export function holderClosed(ctx: ShardContext, holder: number): void {
  ctx.state.due.noteStale(ctx.waits.forgetHolder(holder))
  for (const seq of ctx.state.holders.take(holder)) {
    returnToQueue(ctx, ctx.state.jobs.get(seq), seq)
  }
}

function eachId(ctx: ShardContext, command: Command, refused: ItemRefusal[], onJob: OnJob): number {
  if (command.hasId) {
    const refusal = onJob(ctx, command.id, command.token, command)
    if (refusal !== null) refused.push({ index: 0, refusal })
    return refusal === null ? 1 : 0
  }
  let count = 0
  for (let i = 0; i < command.idCount; i++) {
    const id = command.ids[i] as number
    if (shardOfId(id) !== ctx.state.shard) continue
    const token = command.hasTokens ? (command.tokens[i] as number) : Number.NaN
    const refusal = onJob(ctx, id, token, command)
    if (refusal === null) count++
    else refused.push({ index: i, refusal })
  }
  return count
}

function extend(ctx: ShardContext, id: JobId, token: number, command: Command): Refusal | null {
  const page = findActive(ctx, id, token, refusals.jobNotActive)
  if ('code' in page) return page
  const seq = seqOfId(id)
  const row = rowOf(seq)
  const leased = ((page.flags[row] as number) & RowFlag.leased) !== 0
  const asked = command.leaseMs
  const lengthMs = asked > 0 ? asked : leased ? (page.leases?.lengthMs[row] as number) : 0
  if (lengthMs > 0) ctx.record.leaseExtended(seq, lengthMs, ctx.nowMs + lengthMs)
  return null
}

function giveBackOne(ctx: ShardContext, id: JobId, token: number): Refusal | null {
  const page = findActive(ctx, id, token, refusals.jobNotActive)
  if ('code' in page) return page
  returnToQueue(ctx, page, seqOfId(id))
  return null
}

function returnToQueue(ctx: ShardContext, page: JobPage, seq: Seq): void {
  const queue = ctx.state.queueOf(page.queue[rowOf(seq)] as number)
  ctx.record.released(seq)
  expireIfOverdue(ctx, page, seq, null)
  ctx.slotsFreed(queue, 1)
}
