// What falls due by itself: delays, leases, timeouts, ttls, rate tokens, the end of waits, crons, retention.
//
// So does the rest of what takes several turns (clearing-step.ts).
//
// A timer is an entry (due, kind, sequence) that may have lost its reason; each handler looks before it acts.

import { goOnClearing } from './clearing-step.ts'
import { fireCron } from './commands/cron.ts'
import { endRunBadly, expire, runErrors } from './commands/fail.ts'
import { endWait } from './commands/pull.ts'
import { spreadLate } from './commands/webhook.ts'
import { kindOf, seqOf, TimerKind, timerKey } from './due-heap.ts'
import type { Seq } from './job-id.ts'
import { JobState, RowFlag, rowOf } from './job-store.ts'
import { limits } from './limits.ts'
import { EventKind } from './ports.ts'
import { evictAged } from './retention.ts'
import type { ShardContext } from './shard-context.ts'

/** Handles what is due at `ctx.nowMs`, up to a bound; the rest stays due. */
export function tick(ctx: ShardContext): void {
  const { due } = ctx.state
  let crons = 0
  for (let i = 0; i < limits.timersPerTickMax && due.topDueMs() <= ctx.nowMs; i++) {
    if (kindOf(due.topKey()) === TimerKind.cron && ++crons > limits.cronsPerTickMax) break
    const dueMs = due.topDueMs()
    const key = due.popKey()
    fire(ctx, dueMs, kindOf(key), seqOf(key))
  }
  goOnClearing(ctx)
  if (due.wantsSweep) due.sweep((dueMs, key) => isLive(ctx, dueMs, kindOf(key), seqOf(key)))
}

function fire(ctx: ShardContext, dueMs: number, kind: TimerKind, seq: Seq): void {
  switch (kind) {
    case TimerKind.delay:
      return promote(ctx, dueMs, seq)
    case TimerKind.lease:
      return endLease(ctx, dueMs, seq)
    case TimerKind.timeout:
      return timeOut(ctx, dueMs, seq)
    case TimerKind.ttl:
      return endTtl(ctx, seq)
    case TimerKind.rate:
      return refill(ctx, dueMs, seq)
    case TimerKind.wait: {
      const waiting = ctx.waits.timed(seq, dueMs)
      if (waiting !== null) endWait(ctx, waiting)
      return
    }
    case TimerKind.cron: {
      const cron = ctx.state.cronsByNo.get(seq)
      if (cron !== undefined && cron.timerMs === dueMs) fireCron(ctx, cron)
      return
    }
    case TimerKind.delivery:
      return ctx.outgoing.due(seq, dueMs, ctx.nowMs)
    case TimerKind.webhooks:
      if (dueMs === ctx.home.timerMs) spreadLate(ctx)
      return
    case TimerKind.retention:
      if (dueMs === ctx.retentionTimerMs) evictAged(ctx)
      return
  }
}

function promote(ctx: ShardContext, dueMs: number, seq: Seq): void {
  const page = ctx.state.jobs.find(seq)
  const row = rowOf(seq)
  if (page === undefined || page.state[row] !== JobState.delayed || page.runAt[row] !== dueMs)
    return
  ctx.record.promoted(seq)
  ctx.markDirty(ctx.state.queueOf(page.queue[row] as number))
}

function endLease(ctx: ShardContext, dueMs: number, seq: Seq): void {
  const page = ctx.state.jobs.find(seq)
  const row = rowOf(seq)
  const leases = page?.leases
  if (!page || !leases || page.state[row] !== JobState.active) return
  if (((page.flags[row] as number) & RowFlag.leased) === 0 || leases.timerMs[row] !== dueMs) return
  const until = leases.untilMs[row] as number
  if (until >= ctx.nowMs) {
    leases.timerMs[row] = until + 1
    ctx.state.due.add(until + 1, timerKey(TimerKind.lease, seq))
    return
  }
  const queue = ctx.state.queueOf(page.queue[row] as number)
  ctx.ports.counts.leasesExpired++
  ctx.emit(EventKind.timeout, queue, seq, runErrors.lease)
  endRunBadly(ctx, page, seq, runErrors.lease)
}

function timeOut(ctx: ShardContext, dueMs: number, seq: Seq): void {
  const page = ctx.state.jobs.find(seq)
  const row = rowOf(seq)
  if (!page || page.state[row] !== JobState.active || page.options === null) return
  const timeout = page.options.timeout[row] as number
  // An earlier run's timer finds a run that it does not belong to.
  if (timeout === 0 || (page.startedAt?.[row] ?? 0) + timeout + 1 !== dueMs) return
  const queue = ctx.state.queueOf(page.queue[row] as number)
  ctx.emit(EventKind.timeout, queue, seq, runErrors.timeout)
  endRunBadly(ctx, page, seq, runErrors.timeout)
}

/** A ttl ends a job that waits; one that runs is looked at when its run ends. */
function endTtl(ctx: ShardContext, seq: Seq): void {
  const page = ctx.state.jobs.find(seq)
  const row = rowOf(seq)
  if (!page || page.options === null || page.options.ttl[row] === 0) return
  const state = page.state[row]
  const waits =
    state === JobState.waiting || state === JobState.delayed || state === JobState.parked
  if (waits) expire(ctx, page, seq, null)
}

function refill(ctx: ShardContext, dueMs: number, queueNo: number): void {
  const queue = ctx.state.findQueue(queueNo)
  if (queue === undefined || queue.rateTimerMs !== dueMs) return
  queue.rateTimerMs = 0
  ctx.markDirty(queue)
}

/** Whether a timer still has its reason; only those that pile up are looked at closely. */
function isLive(ctx: ShardContext, dueMs: number, kind: TimerKind, seq: Seq): boolean {
  if (kind === TimerKind.wait) return ctx.waits.timed(seq, dueMs) !== null
  if (kind === TimerKind.cron) return ctx.state.cronsByNo.get(seq)?.timerMs === dueMs
  if (kind === TimerKind.delivery) return ctx.outgoing.isLive(seq, dueMs)
  if (kind === TimerKind.webhooks) return dueMs === ctx.home.timerMs
  if (kind === TimerKind.rate || kind === TimerKind.retention) return true
  const page = ctx.state.jobs.find(seq)
  if (page === undefined) return false
  const row = rowOf(seq)
  const state = page.state[row]
  switch (kind) {
    case TimerKind.delay:
      return state === JobState.delayed && page.runAt[row] === dueMs
    case TimerKind.ttl:
      return (
        page.options?.ttl[row] !== 0 && state !== JobState.completed && state !== JobState.failed
      )
    case TimerKind.lease:
      return state === JobState.active && page.leases?.timerMs[row] === dueMs
    case TimerKind.timeout: {
      const started = page.startedAt?.[row] ?? 0
      return state === JobState.active && started + (page.options?.timeout[row] ?? 0) + 1 === dueMs
    }
  }
}
