// CRON and CRONDELETE, and what happens when one is due.
//
//   cron's shard ── cronTick(name, tick) ──▶ queue's shard, which takes a tick once and pushes the job

import type { Command } from '../command.ts'
import { nextRunMs, parseSchedule } from '../cron-schedule.ts'
import { limits } from '../limits.ts'
import type { CronInfo, CronTick, Reply } from '../ports.ts'
import { checkQueueName } from '../queue-name.ts'
import { refusals } from '../refusal.ts'
import { isRefusal, type ShardContext } from '../shard-context.ts'
import type { Cron } from '../shard-state.ts'
import { pushData } from './push.ts'

export function setCron(ctx: ShardContext, command: Command, reply: Reply): void {
  const { name, queue, schedule, priority } = command
  const nameBytes = Buffer.byteLength(name)
  if (nameBytes === 0 || nameBytes > limits.cronNameBytesMax) {
    return reply.refused(refusals.cronName(limits.cronNameBytesMax))
  }
  const badQueue = checkQueueName(queue)
  if (badQueue !== null) return reply.refused(badQueue)
  const size = command.dataTo - command.dataFrom
  if (size > limits.dataBytesMax) {
    return reply.refused(refusals.dataTooLarge(size, limits.dataBytesMax))
  }
  const parsed = parseSchedule(schedule)
  if (isRefusal(parsed)) return reply.refused(parsed)
  if (!ctx.state.crons.has(name) && ctx.state.crons.size >= limits.cronsPerShardMax) {
    return reply.refused(refusals.limitExceeded('crons in a shard', limits.cronsPerShardMax))
  }
  const data = command.bytes.toString('utf8', command.dataFrom, command.dataTo)
  const next = nextRunMs(parsed, ctx.nowMs)
  ctx.record.cronSet({ name, queue, data, schedule, priority, nextRunMs: next })
  reply.ok()
}

export function deleteCron(ctx: ShardContext, command: Command, reply: Reply): void {
  if (!ctx.state.crons.has(command.name)) return reply.refused(refusals.cronNotFound)
  ctx.record.cronRemoved(command.name)
  reply.ok()
}

/** A cron is due: its tick goes out, missed ones collapse into it, and the next run is set. */
export function fireCron(ctx: ShardContext, cron: Cron): void {
  const { name, queue, data, priority } = cron
  const tickMs = cron.nextRunMs
  const next = nextRunMs(cron.schedule, Math.max(tickMs, ctx.nowMs), tickMs)
  ctx.record.cronFired(name, next)
  ctx.ports.mail.cronTick({ name, tickMs, queue, data, priority })
}

/** A tick arrives at the shard of its queue. */
export function takeTick(ctx: ShardContext, tick: CronTick): void {
  const last = ctx.state.cronTicks.get(tick.name)
  if (last !== undefined && tick.tickMs <= last) return
  const queue = ctx.openQueue(tick.queue)
  if (isRefusal(queue) || ctx.refuseWork(1) !== null) return
  ctx.record.cronTicked(tick)
  pushData(ctx, queue, tick.data, tick.priority)
}

export function listCrons(ctx: ShardContext): CronInfo[] {
  return [...ctx.state.crons.values()].map((cron) => ({
    name: cron.name,
    queue: cron.queue,
    data: cron.data,
    schedule: cron.text,
    priority: cron.priority,
    next_run: cron.nextRunMs,
  }))
}
