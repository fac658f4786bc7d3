// The figures of all rooms of one worker under their names: what it adds to a scrape, to the history and to health.
//
//   cluster, engine ── NodeView ─┐
//   doors ───────────── Traffic ─┼─▶ metricsPart ─▶ transports/metrics/scrapes.ts
//   storage ─── StoreFigures ────┘   healthPart ──▶ transports/metrics/node-health.ts

import type { ClusterFigures } from './cluster/cluster-figures.ts'
import type { NodeView } from './cluster/node-view.ts'
import type { RunnerFigures } from './cluster/shard-figures.ts'
import { cutReasons, type EventTraffic, eventDoors } from './engine/event-traffic.ts'
import { limits } from './engine/limits.ts'
import { doorNames, type Traffic } from './engine/traffic.ts'
import type { StoreFigures } from './storage/store-figures.ts'
import type { MetricsPart } from './transports/metrics/exposition.ts'
import type { LoopDelay } from './transports/metrics/loop-delay.ts'
import type { WorkerHealth } from './transports/metrics/node-health.ts'
import { Samples } from './transports/metrics/samples.ts'
import { version } from './version.ts'

/** Renewals come every 2 s, and each may take 1.5 s: with less than that left, one has failed. */
const LEASE_LEFT_MS_MIN = 1400
const MICROSECONDS = 1e6

export interface Measured {
  readonly view: NodeView
  readonly traffic: Traffic
  readonly loop: LoopDelay
  readonly startedAtMs: number
  readonly queuesMax: number
  /** Null where nothing is stored. */
  readonly store: (() => StoreFigures) | null
  readonly spans: SpanFigures | null
  /** Null where nobody delivers. */
  readonly webhooks: WebhookFigures | null
}

export interface SpanFigures {
  readonly exported: number
  readonly dropped: number
}

export interface WebhookFigures {
  /** Since the start of this worker. */
  readonly counts: Readonly<
    Record<'delivered' | 'retried' | 'givenUp' | 'gone' | 'dropped', number>
  >
  readonly underWay: number
}

export function metricsPart(measured: Measured): MetricsPart {
  const into = new Samples()
  const { view, traffic, store, spans, webhooks } = measured
  const shards = view.shards(measured.queuesMax)
  const cluster = view.cluster()
  const worker = String(view.survey.worker)
  putJobs(into, shards)
  putTraffic(into, traffic)
  putWebhooks(into, shards.sums, webhooks)
  putCluster(into, worker, shards, cluster)
  putProcess(into, worker, measured)
  if (store !== null) putStore(into, store(), view.leaseLeftMs() ?? 0)
  if (spans !== null) {
    into.put('flashq_spans_exported_total', spans.exported)
    into.put('flashq_spans_dropped_total', spans.dropped)
  }
  const { recentCount, recentSumMs } = shards.sums
  return { families: into.all(), queues: shards.queues, recentCount, recentSumMs }
}

export function healthPart(measured: Measured, isDraining: boolean): WorkerHealth {
  const { view, loop, store } = measured
  const shards = view.shards(0)
  const { incarnation, epochs } = view.cluster()
  const stored = store?.() ?? null
  const leaseLeftMs = view.leaseLeftMs()
  return {
    incarnation,
    pid: process.pid,
    version,
    started_at: measured.startedAtMs,
    draining: isDraining,
    shards: shards.shards,
    halted: shards.halted,
    epochs,
    memory_bytes: shards.memoryBytes,
    memory_limit_bytes: shards.memoryBytesMax,
    loop_delay_ms: loop.figures().p99Ms,
    lease_left_ms: leaseLeftMs,
    store_up: stored === null ? null : isStoreUp(stored, leaseLeftMs ?? 0),
    journal_backlog_bytes: stored?.backlogBytes ?? null,
    checkpoint_age_ms: stored?.checkpointAgeMs ?? null,
  }
}

function isStoreUp({ stalled }: StoreFigures, leaseLeftMs: number): boolean {
  return stalled === 0 && leaseLeftMs > LEASE_LEFT_MS_MIN
}

function putJobs(into: Samples, { sums, memoryBytes, memoryBytesMax }: RunnerFigures): void {
  into.put('flashq_jobs_pushed_total', sums.pushed)
  into.put('flashq_jobs_completed_total', sums.completed)
  into.put('flashq_jobs_failed_total', sums.failed)
  into.put('flashq_jobs_current', sums.waiting, { state: 'queued' })
  into.put('flashq_jobs_current', sums.active, { state: 'processing' })
  into.put('flashq_jobs_current', sums.delayed, { state: 'delayed' })
  into.put('flashq_jobs_current', sums.dlq, { state: 'dlq' })
  into.put('flashq_jobs', sums.waiting, { state: 'waiting' })
  into.put('flashq_jobs', sums.delayed, { state: 'delayed' })
  into.put('flashq_jobs', sums.active, { state: 'active' })
  into.put('flashq_jobs', sums.dlq, { state: 'dlq' })
  into.put('flashq_jobs', sums.parked, { state: 'waiting-children' })
  into.put('flashq_throughput_per_second', sums.perSecond)
  into.put('flashq_jobs_retried_total', sums.retried)
  into.put('flashq_jobs_timed_out_total', sums.timedOut)
  into.put('flashq_jobs_expired_total', sums.expired)
  into.put('flashq_jobs_cancelled_total', sums.cancelled)
  into.put('flashq_leases_expired_total', sums.leasesExpired)
  into.put('flashq_crons', sums.crons)
  into.put('flashq_job_memory_bytes', memoryBytes)
  into.put('flashq_job_memory_limit_bytes', memoryBytesMax)
}

function putTraffic(into: Samples, traffic: Traffic): void {
  for (const { door, op, count } of traffic.eachCommand()) {
    into.put('flashq_commands_total', count, { door, op: op === '' ? 'none' : op })
  }
  for (const { door, code, count } of traffic.eachError()) {
    into.put('flashq_command_errors_total', count, { door, code })
  }
  for (const { door, op, cells } of traffic.eachLatency()) {
    into.putLatency('flashq_command_duration_seconds', cells, { door, op })
  }
  for (const [at, door] of doorNames.entries()) {
    into.put('flashq_connections', traffic.connections[at] as number, { door })
    into.put('flashq_connections_refused_total', traffic.connectionsRefused[at] as number, { door })
    into.put('flashq_auth_failures_total', traffic.authFailures[at] as number, { door })
  }
  putEvents(into, traffic.events)
}

function putEvents(into: Samples, events: EventTraffic): void {
  for (const door of eventDoors) {
    into.put('flashq_events_dropped_total', events.droppedOf(door), { door })
    if (door === 'tcp' || door === 'unix') continue
    into.put('flashq_event_streams', events.openOf(door), { door })
    for (const reason of cutReasons) {
      into.put('flashq_event_streams_cut_total', events.cutOf(door, reason), { door, reason })
    }
  }
}

function putWebhooks(
  into: Samples,
  { webhookOutbox, webhooksEnabled, webhooksDisabled }: RunnerFigures['sums'],
  figures: WebhookFigures | null,
): void {
  into.put('flashq_webhooks', webhooksEnabled, { state: 'enabled' })
  into.put('flashq_webhooks', webhooksDisabled, { state: 'disabled' })
  into.put('flashq_webhook_outbox', webhookOutbox)
  if (figures === null) return
  const { delivered, retried, givenUp, gone, dropped } = figures.counts
  const outcomes = { delivered, retried, given_up: givenUp, gone }
  for (const [outcome, count] of Object.entries(outcomes)) {
    into.put('flashq_webhook_attempts_total', count, { outcome })
  }
  into.put('flashq_webhook_attempts_in_flight', figures.underWay)
  into.put('flashq_webhook_events_dropped_total', dropped)
}

function putCluster(
  into: Samples,
  worker: string,
  { shards, halted }: RunnerFigures,
  { workers, epochs, links }: ClusterFigures,
): void {
  into.put('flashq_workers', workers)
  into.put('flashq_worker_shards', bitCount(shards), { worker })
  into.put('flashq_shards_halted', bitCount(halted))
  for (const [shard, epoch] of epochs.entries()) into.put('flashq_shard_epoch', epoch, { shard })
  into.put('flashq_link_sent_bytes_total', links.sentBytes, { worker })
  into.put('flashq_link_received_bytes_total', links.receivedBytes, { worker })
  into.put('flashq_link_backlog_bytes', links.backlogBytes, { worker })
  into.put('flashq_link_requests', links.openRequests, { worker })
}

function putProcess(into: Samples, worker: string, { loop, startedAtMs }: Measured): void {
  const { p50Ms, p99Ms, maxMs } = loop.figures()
  into.put('flashq_event_loop_delay_seconds', p50Ms / 1000, { worker, quantile: '0.5' })
  into.put('flashq_event_loop_delay_seconds', p99Ms / 1000, { worker, quantile: '0.99' })
  into.put('flashq_event_loop_delay_seconds', maxMs / 1000, { worker, quantile: '1' })
  const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage()
  into.put('flashq_process_resident_memory_bytes', rss, { worker })
  into.put('flashq_process_heap_used_bytes', heapUsed, { worker })
  into.put('flashq_process_external_bytes', external, { worker })
  into.put('flashq_process_array_buffers_bytes', arrayBuffers, { worker })
  const { user, system } = process.cpuUsage()
  into.put('flashq_process_cpu_seconds_total', (user + system) / MICROSECONDS, { worker })
  into.put('flashq_worker_start_time_seconds', startedAtMs / 1000, { worker })
  into.put('flashq_build_info', 1, { version, node: process.version })
}

function putStore(into: Samples, store: StoreFigures, leaseLeftMs: number): void {
  into.put('flashq_store_up', isStoreUp(store, leaseLeftMs) ? 1 : 0)
  into.putLatency('flashq_journal_append_duration_seconds', store.appendLatency)
  into.put('flashq_journal_appended_bytes_total', store.appendedBytes)
  into.put('flashq_journal_backlog_bytes', store.backlogBytes)
  into.put('flashq_journal_unknown_commits_total', store.unknownCommits)
  into.put('flashq_fenced_writes_total', store.fencedWrites)
  into.put('flashq_journal_behind_checkpoint_bytes', store.behindCheckpointBytes)
  into.put('flashq_checkpoint_age_seconds', store.checkpointAgeMs / 1000)
  into.put('flashq_checkpoints_total', store.checkpoints)
  into.put('flashq_checkpoint_failures_total', store.checkpointFailures)
  into.put('flashq_node_lease_seconds', Math.max(0, leaseLeftMs) / 1000)
}

function bitCount(mask: number): number {
  let count = 0
  for (let shard = 0; shard < limits.shards; shard++) count += (mask >>> shard) & 1
  return count
}
