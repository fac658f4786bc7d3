// Finished jobs stay readable for a while: so many, so many bytes, so long. The oldest go first.

import { TimerKind, timerKey } from './due-heap.ts'
import type { ShardContext } from './shard-context.ts'

const EVICT_BATCH = 64

/** After completions, and when the age timer is due. */
export function evictFinished(ctx: ShardContext): void {
  const { finished } = ctx.state
  const { retention } = ctx.ports
  if (finished.count > retention.count) ctx.record.evicted(finished.count - retention.count)
  while (ctx.state.finishedBytes > retention.bytes && finished.count > 0) ctx.record.evicted(1)
  if (ctx.retentionTimerMs === 0 && finished.count > 0) armAgeTimer(ctx)
}

/** The age timer is due: everything too old goes, a batch at a time. */
export function evictAged(ctx: ShardContext): void {
  const { finished } = ctx.state
  ctx.retentionTimerMs = 0
  const oldEnoughMs = ctx.nowMs - ctx.ports.retention.ageMs
  for (let i = 0; i < EVICT_BATCH && finished.count > 0; i++) {
    if (finished.oldestAtMs() > oldEnoughMs) break
    ctx.record.evicted(1)
  }
  if (finished.count > 0) armAgeTimer(ctx)
}

/** The timer of the oldest finished job, of which there is one. */
export function armAgeTimer(ctx: ShardContext): void {
  const dueMs = Math.max(ctx.nowMs, ctx.state.finished.oldestAtMs() + ctx.ports.retention.ageMs)
  ctx.retentionTimerMs = Math.max(1, dueMs)
  ctx.state.due.add(ctx.retentionTimerMs, timerKey(TimerKind.retention, 0))
}
