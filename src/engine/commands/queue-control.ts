// PAUSE, RESUME, RATELIMIT, RATELIMITCLEAR, SETCONCURRENCY, CLEARCONCURRENCY: what may leave a queue.

import type { Command } from '../command.ts'
import { Op } from '../op.ts'
import type { Reply } from '../ports.ts'
import { isRefusal, type ShardContext } from '../shard-context.ts'

export function controlQueue(ctx: ShardContext, command: Command, reply: Reply): void {
  const queue = ctx.openQueue(command.queue)
  if (isRefusal(queue)) return reply.refused(queue)
  switch (command.op) {
    case Op.PAUSE:
      ctx.record.paused(queue, true)
      break
    case Op.RESUME:
      ctx.record.paused(queue, false)
      break
    case Op.RATELIMIT:
      ctx.record.rateLimited(queue, command.limit, ctx.nowMs)
      queue.rateTimerMs = 0
      break
    case Op.RATELIMITCLEAR:
      ctx.record.rateLimited(queue, null, ctx.nowMs)
      break
    case Op.SETCONCURRENCY:
      ctx.record.concurrencySet(queue, command.limit)
      break
    case Op.CLEARCONCURRENCY:
      ctx.record.concurrencySet(queue, null)
      break
  }
  ctx.markDirty(queue)
  reply.ok()
}
