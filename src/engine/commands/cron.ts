// CRON and CRONDELETE, and what happens when one is due.
//
//   cron's shard ── cronTick(name, tick) ──▶ queue's shard, which takes a tick once and pushes the job
//   cron's shard ◀── cronTaken(name, tick) ── queue's shard
//
// 1. A tick counts as fired when its queue's shard has confirmed it: then the next run is recorded. Until then it is sent
//    again, every second and after each change of owner. So it is neither lost nor doubled, whoever crashes and when.
// 2. Ticks of a cron go one after the other. While one is on its way the next ones wait.
// 3. Which tick is on its way is not recorded: a new owner sends the first one that is not known to have fired, and
//    the queue's shard knows whether it has it.

import type { Command } from '../command.ts'
import { newestRunMs, nextRunMs, parseSchedule } from '../cron-schedule.ts'
import { TimerKind, timerKey } from '../due-heap.ts'
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

/** A cron's timer is due: its tick goes out, or once more. */
export function fireCron(ctx: ShardContext, cron: Cron): void {
  if (cron.sentMs === 0) cron.sentMs = tickToSend(ctx, cron)
  cron.timerMs = ctx.nowMs + limits.cronResendMs
  ctx.state.due.add(cron.timerMs, timerKey(TimerKind.cron, cron.no))
  sendTick(ctx, cron)
}

/** After a change of owner: ticks that are not confirmed go out once more. */
export function sendTicksAgain(ctx: ShardContext): void {
  for (const cron of ctx.state.crons.values()) if (cron.sentMs > 0) sendTick(ctx, cron)
}

/** A tick arrives at the shard of its queue. One that can't be taken now is not confirmed, and comes again. */
export function takeTick(ctx: ShardContext, tick: CronTick): void {
  const last = ctx.state.cronTicks.get(tick.name)
  if (last === undefined || tick.tickMs > last) {
    const queue = ctx.openQueue(tick.queue)
    if (isRefusal(queue) || ctx.refuseWork(1) !== null) return
    ctx.record.cronTicked(tick)
    pushData(ctx, queue, tick.data, tick.priority)
  }
  ctx.ports.mail.cronTaken(tick.name, tick.tickMs)
}

/** The shard of the queue has the tick. Of a cron that was set anew meanwhile it is none. */
export function tickTaken(ctx: ShardContext, name: string, tickMs: number): void {
  const cron = ctx.state.crons.get(name)
  if (cron === undefined || cron.sentMs !== tickMs) return
  ctx.state.due.noteStale()
  ctx.record.cronFired(name, nextRunMs(cron.schedule, tickMs))
}

/** The oldest tick that is not too old, or else the newest one that is: those before it are left out. */
function tickToSend(ctx: ShardContext, cron: Cron): number {
  // In memory mode crons end with their owner, so that only a stall leaves a gap: its ticks collapse into one.
  const catchUpMs = ctx.ports.log === null ? 0 : limits.cronCatchUpMs
  const oldestMs = ctx.nowMs - catchUpMs
  if (cron.nextRunMs >= oldestMs) return cron.nextRunMs
  return newestRunMs(cron.schedule, cron.nextRunMs, oldestMs)
}

function sendTick(ctx: ShardContext, cron: Cron): void {
  const { name, queue, data, priority, sentMs } = cron
  ctx.ports.mail.cronTick({ name, tickMs: sentMs, queue, data, priority })
}

export function listCrons(ctx: ShardContext): CronInfo[] {
  return [...ctx.state.crons.values()].map((cron) => ({
    name: cron.name,
    queue: cron.queue,
    data: cron.data,
    schedule: cron.text,
    priority: cron.priority,
    next_run: cron.sentMs === 0 ? cron.nextRunMs : nextRunMs(cron.schedule, cron.sentMs),
  }))
}
