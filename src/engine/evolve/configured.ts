// Records that are not about one job: queues opened, closed and configured; crons.

import { parseSchedule } from '../cron-schedule.ts'
import { TimerKind, timerKey } from '../due-heap.ts'
import { limits } from '../limits.ts'
import type { Queue } from '../queue.ts'
import { RateLimiter } from '../rate-limiter.ts'
import type { ShardState } from '../shard-state.ts'

/** Record `queueOpened`. */
export function evolveQueueOpened(state: ShardState, no: number, name: string): Queue {
  return state.openQueue(no, name)
}

/** Record `queueClosed`: an idle queue is forgotten. */
export function evolveQueueClosed(state: ShardState, no: number): void {
  state.closeQueue(state.queueOf(no))
}

/** Record `queueReset`: it has no settings any more; without jobs it is as if it had never been. */
export function evolveQueueReset(state: ShardState, no: number): void {
  const queue = state.queueOf(no)
  queue.paused = false
  queue.rate = null
  queue.concurrency = null
  const { ready, delayed, active, parked, dead } = queue
  queue.used = ready.live + delayed + active + parked + dead.size > 0
}

/** Record `paused`. */
export function evolvePaused(state: ShardState, no: number, paused: boolean): void {
  state.queueOf(no).paused = paused
}

/** Record `rateLimited`; null clears. A new limit starts with a full bucket. */
export function evolveRateLimited(
  state: ShardState,
  no: number,
  limit: number | null,
  nowMs: number,
): void {
  const queue = state.queueOf(no)
  queue.rate = limit === null ? null : new RateLimiter(limit, nowMs)
}

/** Record `concurrencySet`; null clears. */
export function evolveConcurrencySet(state: ShardState, no: number, limit: number | null): void {
  state.queueOf(no).concurrency = limit
}

/** What a cron is, as it is recorded. */
export interface CronTerms {
  readonly name: string
  readonly queue: string
  readonly data: string
  readonly schedule: string
  readonly priority: number
  readonly nextRunMs: number
}

/** Record `cronSet`; replaces a cron of the same name. The schedule was checked before it was recorded. */
export function evolveCronSet(state: ShardState, terms: CronTerms): void {
  const schedule = parseSchedule(terms.schedule)
  if ('code' in schedule) throw new Error(`recorded cron has a bad schedule: ${schedule.text}`)
  const known = state.crons.get(terms.name)
  if (known !== undefined) {
    state.cronsByNo.delete(known.no)
    state.due.noteStale()
  }
  const no = state.nextCronNo++
  const cron = {
    no,
    name: terms.name,
    queue: terms.queue,
    data: terms.data,
    text: terms.schedule,
    schedule,
    priority: terms.priority,
    nextRunMs: terms.nextRunMs,
    sentMs: 0,
    timerMs: terms.nextRunMs,
  }
  state.crons.set(terms.name, cron)
  state.cronsByNo.set(no, cron)
  state.due.add(cron.nextRunMs, timerKey(TimerKind.cron, no))
}

/** Record `cronRemoved`. */
export function evolveCronRemoved(state: ShardState, name: string): void {
  const cron = state.crons.get(name)
  if (cron === undefined) return
  state.crons.delete(name)
  state.cronsByNo.delete(cron.no)
  state.due.noteStale()
}

/** Record `cronFired`: its tick is taken; the next one is `nextRunMs`. */
export function evolveCronFired(state: ShardState, name: string, nextRunMs: number): void {
  const cron = state.crons.get(name)
  if (cron === undefined) return
  cron.nextRunMs = nextRunMs
  cron.sentMs = 0
  cron.timerMs = nextRunMs
  state.due.add(nextRunMs, timerKey(TimerKind.cron, cron.no))
}

/** Record `cronTicked`: the tick arrived at its queue's shard and will not be taken again. */
export function evolveCronTicked(state: ShardState, name: string, tickMs: number): void {
  const { cronTicks } = state
  cronTicks.delete(name)
  cronTicks.set(name, tickMs)
  if (cronTicks.size > CRON_TICKS_MAX) cronTicks.delete(cronTicks.keys().next().value as string)
}

/** Names whose last tick is remembered, the latest ones: as many as there can be crons. */
const CRON_TICKS_MAX = limits.shards * limits.cronsPerShardMax
