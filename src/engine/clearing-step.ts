// Takes all jobs of a queue out, or those in some states: a bounded number in a turn, the rest in the turns behind it.
//
//   jobs by sequence   [ first …  at ─ step ─▶ …  end )  newer ones stay
//
// 1. A step is one record, `cleared`: of which queue, in which states, from where to where. What is stored is whole steps, so
//    a crash in between leaves the jobs behind the last one, and whoever asked learns that nobody knows.
// 2. It takes the jobs that are in these states when it comes to them. What is pushed after it began is not touched, and
//    what a consumer pulls before it gets there is that consumer's.
// 3. Jobs end as if each had been cancelled, or purged when it was in the dead letter queue.
//
// Neighbours: commands/clear-queue.ts begins it, timers.ts goes on with it, evolve/cleared.ts removes the jobs.

import type { Clearing } from './clearing.ts'
import { tellChildren } from './dependencies.ts'
import { clearedAs, stateBit } from './evolve/cleared.ts'
import type { Seq } from './job-id.ts'
import { type JobPage, JobState, PAGE_ROWS, rowOf } from './job-store.ts'
import { limits } from './limits.ts'
import { EventKind } from './ports.ts'
import type { Queue } from './queue.ts'
import type { ShardContext } from './shard-context.ts'

/** The part of a step that is known before it is recorded. */
interface Step {
  to: Seq
  count: number
  active: number
  /** Jobs that others wait for. */
  parents: [seq: Seq, state: JobState][]
}

/** Its first step is taken at once. */
export function beginClearing(
  ctx: ShardContext,
  terms: Pick<Clearing, 'queue' | 'states' | 'done' | 'failed'>,
): void {
  const { jobs, nextSeq } = ctx.state
  const clearing = { ...terms, at: jobs.firstPageSeq(), end: nextSeq, count: 0 }
  if (!step(ctx, clearing)) ctx.clearings.push(clearing)
}

/** One step of the one that began first. */
export function goOnClearing(ctx: ShardContext): void {
  const [first] = ctx.clearings
  if (first !== undefined && step(ctx, first)) ctx.clearings.shift()
}

/** To their end, at once: nothing will go on with them later. */
export function finishClearings(ctx: ShardContext): void {
  while (ctx.clearings.length > 0) goOnClearing(ctx)
}

export function failClearings(ctx: ShardContext): void {
  for (const clearing of ctx.clearings.splice(0)) clearing.failed()
}

/** True when it is through. */
function step(ctx: ShardContext, clearing: Clearing): boolean {
  const { queue, states, at } = clearing
  if (!isThrough(ctx, clearing)) {
    const found = look(ctx, clearing)
    if (found.count > 0) {
      ctx.record.cleared(queue, states, at, found.to)
      for (const [seq, state] of found.parents) tellChildren(ctx, seq, clearedAs(state))
      if (found.active > 0) ctx.slotsFreed(queue, found.active)
    }
    clearing.at = found.to
    clearing.count += found.count
  }
  if (!isThrough(ctx, clearing)) return false
  clearing.done(clearing.count)
  return true
}

/** Nothing of the queue is left in these states; or it was closed, which happens to empty ones. */
function isThrough(ctx: ShardContext, { queue, states, at, end }: Clearing): boolean {
  if (at >= end || ctx.state.findQueue(queue.no) !== queue) return true
  let left = 0
  if ((states & stateBit(JobState.waiting)) !== 0) left += queue.ready.live
  if ((states & stateBit(JobState.delayed)) !== 0) left += queue.delayed
  if ((states & stateBit(JobState.active)) !== 0) left += queue.active
  if ((states & stateBit(JobState.parked)) !== 0) left += queue.parked
  if ((states & stateBit(JobState.failed)) !== 0) left += queue.dead.size
  return left === 0
}

/** How far the step goes; events are sent while the jobs are there to be shown. */
function look(ctx: ShardContext, { queue, states, at, end }: Clearing): Step {
  const { events } = ctx.ports
  const isWatched = events.listening && events.wants(queue.name, EventKind.cancelled)
  const countMax = isWatched ? limits.clearedWatchedMax : limits.clearedPerTurnMax
  const found: Step = { to: at, count: 0, active: 0, parents: [] }
  const lookEnd = Math.min(end, at + limits.clearLooksMax)
  while (found.to < lookEnd && found.count < countMax) {
    const page = ctx.state.jobs.pageOf(found.to)
    const pageEnd = Math.min(lookEnd, found.to - rowOf(found.to) + PAGE_ROWS)
    if (page === undefined) found.to = pageEnd
    else lookInPage(ctx, page, queue, states, found, pageEnd, countMax)
  }
  return found
}

function lookInPage(
  ctx: ShardContext,
  page: JobPage,
  queue: Queue,
  states: number,
  found: Step,
  pageEnd: Seq,
  countMax: number,
): void {
  const { childrenOf } = ctx.state
  for (; found.to < pageEnd && found.count < countMax; found.to++) {
    const row = rowOf(found.to)
    const state = page.state[row] as JobState
    if ((states & stateBit(state)) === 0 || page.queue[row] !== queue.no) continue
    found.count++
    if (state === JobState.active) found.active++
    if (childrenOf.size > 0 && childrenOf.has(found.to)) found.parents.push([found.to, state])
    // Purged ones have had their event, `failed`.
    if (state !== JobState.failed) ctx.emit(EventKind.cancelled, queue, found.to)
  }
}
