// A shard goes on with a state that was restored: what falls due by itself is derived from the state alone.
//
// 1. No timer fires earlier than it would have with the owner before: each is at the moment that the state names. What
//    fell due meanwhile is due at once.
// 2. Waiting pulls died with their connections, and so have their timers and those of rate limits.

import { TimerKind, timerKey } from './due-heap.ts'
import { type JobPage, JobState, PAGE_ROWS, RowFlag } from './job-store.ts'
import { armAgeTimer } from './retention.ts'
import type { ShardContext } from './shard-context.ts'

export function deriveTimers(ctx: ShardContext): void {
  const { jobs, due, cronsByNo, finished } = ctx.state
  due.reset()
  for (const page of jobs.pagesInOrder()) {
    for (let at = 0; at < PAGE_ROWS; at++) deriveOfJob(ctx, page, at)
  }
  for (const cron of cronsByNo.values()) {
    cron.sentMs = 0
    cron.timerMs = cron.nextRunMs
    due.add(cron.timerMs, timerKey(TimerKind.cron, cron.no))
  }
  if (finished.count > 0) armAgeTimer(ctx)
  ctx.outgoing.armAll()
}

function deriveOfJob(ctx: ShardContext, page: JobPage, at: number): void {
  const { due } = ctx.state
  const state = page.state[at]
  if (state === JobState.none || state === JobState.completed || state === JobState.failed) return
  const seq = page.firstSeq + at
  const { options, leases } = page
  if (state === JobState.delayed) due.add(page.runAt[at] as number, timerKey(TimerKind.delay, seq))
  if (options !== null) {
    const ttl = options.ttl[at] as number
    if (ttl > 0) due.add((page.createdAt[at] as number) + ttl + 1, timerKey(TimerKind.ttl, seq))
  }
  if (state !== JobState.active) return
  const timeout = options === null ? 0 : (options.timeout[at] as number)
  if (timeout > 0) {
    const started = page.startedAt?.[at] ?? 0
    due.add(started + timeout + 1, timerKey(TimerKind.timeout, seq))
  }
  if (leases !== null && ((page.flags[at] as number) & RowFlag.leased) !== 0) {
    const dueMs = (leases.untilMs[at] as number) + 1
    leases.timerMs[at] = dueMs
    due.add(dueMs, timerKey(TimerKind.lease, seq))
  }
}
