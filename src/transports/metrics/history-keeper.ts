// Keeps the history of the node, in each of its workers: one may die, and any may be asked.
//
//   every 5 s   ask all workers for their sums ─▶ one point of the whole node ─▶ history.ts
//   a reader    ask all workers for their history ─▶ of each moment the point of the first worker that has it
//
// 1. A point is made only when every shard is in exactly one of the answers, or none can be durable: a shard between two
//    owners would look like jobs that went away.
// 2. A worker that starts takes over what the others remember, so it outlives a rolling restart.

import { limits } from '../../engine/limits.ts'
import type { Clock } from '../../engine/ports.ts'
import type { Survey } from '../../engine/survey-port.ts'
import {
  History,
  type HistoryPoint,
  type HistoryRange,
  type HistoryTiers,
  mergeHistory,
  round2,
  SLOT_MS,
  shownHistory,
} from './history.ts'

/** What one worker adds to a point. */
export interface HistorySums {
  /** Bit per shard. */
  readonly shards: number
  readonly waiting: number
  readonly active: number
  readonly delayed: number
  readonly dlq: number
  readonly completed: number
  readonly failed: number
  readonly recentCount: number
  readonly recentSumMs: number
}

const SUMS = 'history-sums'
const TIERS = 'history'
const ALL_SHARDS = 2 ** limits.shards - 1

export interface HistoryKeeperOptions {
  readonly survey: Survey
  readonly clock: Clock
  readonly isDurable: boolean
  sums(): HistorySums
}

export class HistoryKeeper {
  private readonly options: HistoryKeeperOptions
  private readonly history = new History()
  private timer: NodeJS.Timeout | null = null
  private isStopped = false

  constructor(options: HistoryKeeperOptions) {
    this.options = options
    options.survey.answer(SUMS, () => options.sums())
    options.survey.answer(TIERS, () => this.history.all())
  }

  async start(): Promise<void> {
    this.wait()
    this.history.adopt(await this.ofAll())
  }

  stop(): void {
    this.isStopped = true
    if (this.timer !== null) clearTimeout(this.timer)
  }

  async shown(range: HistoryRange | null): Promise<HistoryPoint[]> {
    return shownHistory(await this.ofAll(), range, this.options.clock.nowMs())
  }

  /** Adds the point of the slot that has just ended. */
  async sample(): Promise<void> {
    const { survey, clock, isDurable } = this.options
    const timestamp = Math.floor(clock.nowMs() / SLOT_MS) * SLOT_MS
    const { answers, silent } = await survey.ask(SUMS)
    const parts = answers
      .map(({ value }) => value as HistorySums | null)
      .filter((part) => part !== null)
    if (silent.length > 0 || (isDurable && !isWhole(parts))) return
    const { last } = this.history
    if (last === undefined || timestamp > last.timestamp) {
      this.history.add(pointOf(parts, timestamp, last))
    }
  }

  private async ofAll(): Promise<HistoryTiers> {
    const { answers } = await this.options.survey.ask(TIERS)
    return mergeHistory(answers.map(({ value }) => (value ?? []) as HistoryTiers))
  }

  private wait(): void {
    const nowMs = this.options.clock.nowMs()
    const untilMs = (Math.floor(nowMs / SLOT_MS) + 1) * SLOT_MS
    this.timer = setTimeout(() => {
      // A survey never fails.
      void this.sample().then(() => {
        if (!this.isStopped) this.wait()
      })
    }, untilMs - nowMs).unref()
  }
}

function isWhole(parts: readonly HistorySums[]): boolean {
  let sum = 0
  let union = 0
  for (const { shards } of parts) {
    sum += shards
    union |= shards
  }
  return sum === ALL_SHARDS && union >>> 0 === ALL_SHARDS
}

function pointOf(
  parts: readonly HistorySums[],
  timestamp: number,
  last: HistoryPoint | undefined,
): HistoryPoint {
  const sum = (of: (part: HistorySums) => number): number =>
    parts.reduce((total, part) => total + of(part), 0)
  const completed = sum((part) => part.completed)
  const recent = sum((part) => part.recentCount)
  const seconds = last === undefined ? 0 : (timestamp - last.timestamp) / 1000
  const done = Math.max(0, completed - (last?.completed ?? 0))
  return {
    timestamp,
    queued: sum((part) => part.waiting),
    processing: sum((part) => part.active),
    delayed: sum((part) => part.delayed),
    dlq: sum((part) => part.dlq),
    completed,
    failed: sum((part) => part.failed),
    throughput: seconds === 0 ? 0 : round2(done / seconds),
    latency_ms: recent === 0 ? 0 : round2(sum((part) => part.recentSumMs) / recent),
  }
}
