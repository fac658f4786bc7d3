// What the shards of one worker come to, in numbers, for metrics and for the history.

import type { EventCounts } from '../engine/event-counts.ts'
import { EventKind, type Metrics, type QueueInfo, type Stats } from '../engine/ports.ts'
import type { TopQueues } from '../engine/queue-figures.ts'
import type { RateWindow } from '../engine/rate-window.ts'
import type { ShardState } from '../engine/shard-state.ts'
import { WEBHOOK_HOME, type Webhooks } from '../engine/webhooks.ts'

const RATE_SECONDS = 10
const LATENCY_SECONDS = 60

/** Sums over all shards of a worker: those of several workers can be added. */
export interface ShardSums {
  waiting: number
  delayed: number
  active: number
  dlq: number
  parked: number
  crons: number
  /** Events that webhooks are still to be told of. */
  webhookOutbox: number
  /** Webhooks, counted where they are decided about. */
  webhooksEnabled: number
  webhooksDisabled: number
  pushed: number
  completed: number
  failed: number
  retried: number
  timedOut: number
  leasesExpired: number
  expired: number
  cancelled: number
  /** Completions in the last full 10 s window, per second. */
  perSecond: number
  /** Of the last 60 s: completions, and the sum of what they took from push to ack. */
  recentCount: number
  recentSumMs: number
}

export interface RunnerFigures {
  readonly sums: ShardSums
  readonly queues: TopQueues
  /** Payloads and rows, and the most that they may take before pushes are refused. */
  readonly memoryBytes: number
  readonly memoryBytesMax: number
  /** Bit per shard: owned, and of those the ones whose records can't be kept at the moment. */
  readonly shards: number
  readonly halted: number
}

export function sumsOf(
  states: readonly ShardState[],
  counts: EventCounts,
  latency: RateWindow,
  nowMs: number,
): ShardSums {
  const recentCount = latency.count(nowMs, LATENCY_SECONDS)
  const sums: ShardSums = {
    waiting: 0,
    delayed: 0,
    active: 0,
    dlq: 0,
    parked: 0,
    crons: 0,
    webhookOutbox: 0,
    webhooksEnabled: 0,
    webhooksDisabled: 0,
    pushed: 0,
    completed: 0,
    failed: 0,
    retried: counts.of(EventKind.retrying),
    timedOut: counts.timedOut,
    leasesExpired: counts.leasesExpired,
    expired: counts.of(EventKind.expired),
    cancelled: counts.of(EventKind.cancelled),
    perSecond: latency.perSecond(nowMs, RATE_SECONDS),
    recentCount,
    recentSumMs: latency.mean(nowMs, LATENCY_SECONDS) * recentCount,
  }
  for (const state of states) {
    sums.waiting += state.waiting
    sums.delayed += state.delayed
    sums.active += state.active
    sums.dlq += state.dead
    sums.parked += state.parked
    sums.crons += state.crons.size
    sums.webhookOutbox += state.outbox.entries.size
    if (state.shard === WEBHOOK_HOME) countWebhooks(sums, state.webhooks)
    sums.pushed += state.totalPushed
    sums.completed += state.totalCompleted
    sums.failed += state.totalFailed
  }
  return sums
}

function countWebhooks(sums: ShardSums, { byNo }: Webhooks): void {
  for (const { enabled } of byNo.values()) {
    if (enabled) sums.webhooksEnabled++
    else sums.webhooksDisabled++
  }
}

export function statsOf({ waiting, active, delayed, dlq }: ShardSums): Stats {
  return { queued: waiting, processing: active, delayed, dlq }
}

export function metricsOf(sums: ShardSums, queues: QueueInfo[]): Metrics {
  const { recentCount, recentSumMs } = sums
  return {
    total_pushed: sums.pushed,
    total_completed: sums.completed,
    total_failed: sums.failed,
    jobs_per_second: sums.perSecond,
    avg_latency_ms: recentCount === 0 ? 0 : recentSumMs / recentCount,
    latency_count: recentCount,
    queues,
  }
}
