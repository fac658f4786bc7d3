// Every metric: its name, its type, what it means. The names are a promise; docs/metrics.md lists them, and a test
// compares the two both ways.
//
// `over` says what becomes of one and the same sample of several workers; without it they are added.

interface Row {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly over?: 'min' | 'max' | 'first'
}

const counter = (help: string): Row => ({ type: 'counter', help })
const gauge = (help: string, over?: Row['over']): Row =>
  over === undefined ? { type: 'gauge', help } : { type: 'gauge', help, over }
const histogram = (help: string): Row => ({ type: 'histogram', help })

/** In the order in which they are written. */
const catalogue = {
  flashq_jobs_pushed_total: counter('Jobs pushed.'),
  flashq_jobs_completed_total: counter('Jobs acknowledged.'),
  flashq_jobs_failed_total: counter('Jobs moved to the dead letter queue.'),
  flashq_jobs_current: gauge('Jobs by state, as STATS counts them.'),
  flashq_throughput_per_second: gauge('Completed jobs per second, over the last full 10 seconds.'),
  flashq_latency_ms: gauge('Mean time from push to ack over the last minute, in ms.'),
  flashq_queue_jobs: gauge('Jobs of a queue by state, as LISTQUEUES counts them.'),
  flashq_workers_active: gauge('Consumers that were heard of in the last 30 seconds.'),

  flashq_jobs: gauge('Jobs by state.'),
  flashq_jobs_retried_total: counter('Runs that failed and are followed by another one.'),
  flashq_jobs_timed_out_total: counter('Runs ended by the timeout of the job.'),
  flashq_jobs_expired_total: counter('Jobs that their ttl ended.'),
  flashq_jobs_cancelled_total: counter('Jobs cancelled.'),
  flashq_leases_expired_total: counter('Runs ended because the lease was not renewed.'),
  flashq_crons: gauge('Crons.'),
  flashq_queue_depth: gauge('Jobs of a queue by state.'),
  flashq_queue_oldest_waiting_seconds: gauge('How long the job that is next has been ready.'),
  flashq_queues_in_other: gauge('Queues that are not named but counted as other.'),

  flashq_commands_total: counter('Commands by door and name.'),
  flashq_command_errors_total: counter('Refused commands by door and error code.'),
  flashq_command_duration_seconds: histogram(
    'From a command to its reply; a sample at tcp and unix.',
  ),
  flashq_connections: gauge('Open connections.'),
  flashq_connections_refused_total: counter('Connections that were closed at once.'),
  flashq_auth_failures_total: counter('Wrong tokens, and attempts that were throttled.'),
  flashq_events_dropped_total: counter('Events not sent to a subscriber or stream: too slow.'),
  flashq_event_streams: gauge('Open event streams.'),
  flashq_event_streams_cut_total: counter('Event streams that the server has ended.'),

  flashq_webhooks: gauge('Webhooks by state.'),
  flashq_webhook_outbox: gauge('Events that webhooks are still to be told of.'),
  flashq_webhook_attempts_total: counter('Attempts to deliver to a webhook, by outcome.'),
  flashq_webhook_attempts_in_flight: gauge('Attempts to deliver that are not answered yet.'),
  flashq_webhook_events_dropped_total: counter('Events not kept for a webhook: full outbox.'),

  flashq_job_memory_bytes: gauge('Memory of jobs.'),
  flashq_job_memory_limit_bytes: gauge('Memory of jobs above which pushes are refused.'),
  flashq_workers: gauge('Worker processes that live.', 'max'),
  flashq_workers_silent: gauge('Workers whose figures are those of an earlier scrape, or missing.'),
  flashq_worker_shards: gauge('Shards that a worker owns.'),
  flashq_worker_start_time_seconds: gauge('When a worker started, in Unix time.'),
  flashq_shards_halted: gauge('Shards that stand still because their records can not be stored.'),
  flashq_shard_epoch: gauge('Rises when a shard gets another owner.', 'max'),
  flashq_link_sent_bytes_total: counter('Bytes sent to other workers.'),
  flashq_link_received_bytes_total: counter('Bytes received as answers of other workers.'),
  flashq_link_backlog_bytes: gauge('Bytes for other workers that the kernel has not taken.'),
  flashq_link_requests: gauge(
    'Requests to other workers without an answer, waiting pulls among them.',
  ),

  flashq_event_loop_delay_seconds: gauge('Delay of the event loop, over the last 10 seconds.'),
  flashq_process_resident_memory_bytes: gauge('Resident memory of a worker.'),
  flashq_process_heap_used_bytes: gauge('JavaScript heap in use of a worker.'),
  flashq_process_external_bytes: gauge('Memory of a worker outside of the heap.'),
  flashq_process_array_buffers_bytes: gauge('Buffers of a worker, a part of its external memory.'),
  flashq_process_cpu_seconds_total: counter('Processor time of a worker.'),

  flashq_store_up: gauge('1 while the database takes records, else 0.', 'min'),
  flashq_journal_append_duration_seconds: histogram(
    'From sending a batch of records to its answer.',
  ),
  flashq_journal_appended_bytes_total: counter('Bytes of batches that are stored, packed.'),
  flashq_journal_backlog_bytes: gauge('Records that are not stored yet, not packed.'),
  flashq_journal_unknown_commits_total: counter('Appends without an answer, which are repeated.'),
  flashq_fenced_writes_total: counter('Appends refused because another owner has the shard.'),
  flashq_journal_behind_checkpoint_bytes: gauge('Journal that a recovery has to read.'),
  flashq_checkpoint_age_seconds: gauge(
    'Age of the oldest checkpoint with journal behind it.',
    'max',
  ),
  flashq_checkpoints_total: counter('Checkpoints made.'),
  flashq_checkpoint_failures_total: counter('Checkpoints that failed and are tried again.'),
  flashq_node_lease_seconds: gauge(
    'How long the lease of this node lasts without a renewal.',
    'min',
  ),

  flashq_spans_exported_total: counter('Spans that the OTLP endpoint has taken.'),
  flashq_spans_dropped_total: counter('Spans dropped: no room, or the endpoint did not take them.'),
  flashq_build_info: gauge('1; the labels say which version runs.', 'first'),
} as const satisfies Readonly<Record<string, Row>>

export type MetricName = keyof typeof catalogue

export const metricNames = Object.keys(catalogue) as readonly MetricName[]

export function rowOfMetric(name: MetricName): Row {
  return catalogue[name]
}
