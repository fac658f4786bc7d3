// From ready to a consumer: the one place where jobs are handed out.

import { TimerKind, timerKey } from './due-heap.ts'
import type { Reply } from './ports.ts'
import type { Queue } from './queue.ts'
import type { ShardContext } from './shard-context.ts'
import type { PullTerms } from './waiting-pull.ts'

/** Hands up to `count` jobs (≥ 1; fewer when they are large) to the consumer behind `reply`. */
export function deliver(
  ctx: ShardContext,
  queue: Queue,
  count: number,
  terms: PullTerms,
  reply: Reply,
): void {
  const { state, taken } = ctx
  const firstToken = state.nextToken
  const holder = terms.releaseOnClose ? terms.holder : 0
  const { nowMs } = ctx
  ctx.record.pulled({ queue, count, nowMs, firstToken, leaseMs: terms.leaseMs, holder }, taken)
  const delivery = { firstToken, showToken: terms.showToken }
  if (terms.many) reply.pulledBatch(state, taken, delivery)
  else reply.pulled(state, taken, delivery)
}

/** Serves the waiting pulls of all queues that changed in this turn, first come first served. */
export function serveWaiting(ctx: ShardContext): void {
  if (ctx.dirty.length === 0) return
  const dirty = ctx.dirty
  ctx.dirty = []
  for (const queue of dirty) {
    queue.dirty = false
    serveQueue(ctx, queue)
  }
}

function serveQueue(ctx: ShardContext, queue: Queue): void {
  for (;;) {
    const pull = queue.waits.first
    if (pull === null) return
    const count = Math.min(pull.max, queue.deliverable(ctx.nowMs))
    if (count === 0) {
      awaitRateToken(ctx, queue)
      return
    }
    ctx.waits.end(pull)
    ctx.state.due.noteStale(pull.untilMs > 0 ? 1 : 0)
    deliver(ctx, queue, count, pull, pull.reply)
  }
}

/** When nothing but the rate limit holds ready jobs back, a timer looks again when the next token is there. */
export function awaitRateToken(ctx: ShardContext, queue: Queue): void {
  if (queue.rate === null || queue.paused || queue.ready.live === 0) return
  const tokenMs = queue.rate.nextTokenMs(ctx.nowMs)
  // With a token there, something else holds the jobs back, and its end will serve the pulls.
  if (tokenMs <= ctx.nowMs || !Number.isFinite(tokenMs) || queue.rateTimerMs > ctx.nowMs) return
  queue.rateTimerMs = tokenMs
  ctx.state.due.add(queue.rateTimerMs, timerKey(TimerKind.rate, queue.no))
}
