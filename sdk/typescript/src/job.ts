// The objects of the wire, as a client sees them (`proto/protocol.md`, Objects). Names are the wire's, in snake_case.

export type JobState =
  | 'waiting'
  | 'delayed'
  | 'active'
  | 'completed'
  | 'failed'
  | 'waiting-children'
  | 'unknown'

export interface Job<T = unknown> {
  id: number
  queue: string
  data: T
  priority: number
  /** Unix ms, server's clock; in the answer of `push` this client's estimate. */
  created_at: number
  /** Unix ms: not delivered before. */
  run_at: number
  /** Unix ms; 0 until pulled. */
  started_at: number
  attempts: number
  /** 0 = unlimited. */
  max_attempts: number
  /** ms; 0 = none. */
  backoff: number
  /** ms; 0 = none. */
  ttl: number
  /** ms; 0 = none. */
  timeout: number
  unique_key: string | null
  depends_on: number[]
  /** 0–100. */
  progress: number
  /** After a failed run: its error. */
  progress_msg: string | null
  tags: string[]
  /** Of the trace that the push was a part of (W3C Trace Context): hand it on to what the job calls. */
  traceparent?: string
  /** Beside it, when there is one. */
  tracestate?: string
  /** Names this delivery; only on a pull that asked for it (`token` or `lease`). */
  token?: number
}

export interface PushOptions {
  /** Higher first; a signed 32-bit integer. */
  priority?: number | undefined
  /** ms before the job may be delivered. */
  delay?: number | undefined
  /** ms after which the job expires if nobody has pulled it. */
  ttl?: number | undefined
  /** ms that one run may take. */
  timeout?: number | undefined
  /** Runs before the dead-letter queue; 0 = unlimited. */
  max_attempts?: number | undefined
  /** ms before the first retry; doubles with every further one. */
  backoff?: number | undefined
  /** At most one live job of the queue has this key. */
  unique_key?: string | undefined
  /** Ids of the jobs that must be completed first. */
  depends_on?: readonly number[] | undefined
  tags?: readonly string[] | undefined
  /** The trace that the job belongs to, as W3C Trace Context has it; it takes one of the tags. One that is not valid is left out. */
  traceparent?: string | undefined
  /** Beside it; takes another tag, and is cut to 53 characters, member by member. */
  tracestate?: string | undefined
}

export interface BatchJob<T = unknown> extends PushOptions {
  data: T
}

export interface JobWithState<T = unknown> {
  job: Job<T>
  state: JobState
}

/** A job, and how it ended. */
export interface JobInFull<T = unknown, R = unknown> {
  /** Null when the server does not know the job, or no longer. */
  job: Job<T> | null
  state: JobState
  result: R | null
  /** Of its last failed run. */
  error: string | null
  /** Unix ms; null until it is completed or in the dead-letter queue. */
  finished_at: number | null
}

/** A job in a list; the last three when it is completed or failed. */
export interface ListedJob<T = unknown, R = unknown> extends Job<T> {
  state: JobState
  result?: R | null
  error?: string | null
  /** Unix ms. */
  finished_at?: number | null
}

/** Which jobs a list shows: those that everything given here is true of. */
export interface JobFilter {
  queue?: string | undefined
  state?: Exclude<JobState, 'unknown'> | undefined
  tag?: string | undefined
  /** Created then or later, in Unix ms. */
  since?: number | undefined
  /** Created then or earlier, in Unix ms. */
  until?: number | undefined
  /** What the JSON of `data` holds. */
  text?: string | undefined
}

export interface ListOptions extends JobFilter {
  /** 1 to 1,000; default 100. */
  limit?: number | undefined
  /** Of the page before; the filter must be the same. */
  cursor?: string | null | undefined
  /** Leaves out so many, of 100,000 at most; ignored with a cursor. */
  offset?: number | undefined
}

export interface JobPage<T = unknown, R = unknown> {
  /** The newest first. There may be fewer than `limit`, or none, and yet a cursor. */
  jobs: ListedJob<T, R>[]
  /** Where the next page begins; null: there is none. */
  cursor: string | null
}

export interface JobLogs {
  /** The newest 100, oldest first; `at` in Unix ms. */
  logs: { at: number; line: string }[]
  /** How many lines were before these. */
  dropped: number
}

export interface JobProgress {
  /** 0–100. */
  progress: number
  message: string | null
}

export interface QueueInfo {
  name: string
  /** Ready and delayed. */
  pending: number
  processing: number
  dlq: number
  paused: boolean
  rate_limit: number | null
  concurrency_limit: number | null
}

export interface QueueStats {
  queued: number
  processing: number
  delayed: number
  dlq: number
}

export interface QueueMetrics {
  name: string
  pending: number
  processing: number
  dlq: number
  rate_limit: number | null
}

export interface Metrics {
  total_pushed: number
  total_completed: number
  total_failed: number
  jobs_per_second: number
  avg_latency_ms: number
  queues: QueueMetrics[]
}

export interface CronOptions {
  queue: string
  data: unknown
  /** Five or six fields, or an interval in seconds such as a star, a slash and 60. */
  schedule: string
  priority?: number | undefined
}

export interface CronJob {
  name: string
  queue: string
  data: unknown
  schedule: string
  priority: number
  /** Unix ms. */
  next_run: number
}

export type EventName =
  | 'pushed'
  | 'completed'
  | 'failed'
  | 'progress'
  | 'timeout'
  | 'retrying'
  | 'cancelled'
  | 'expired'

export interface JobEvent<T = unknown> {
  event: EventName
  queue: string
  job: Job<T>
  /** Unix ms. */
  timestamp: number
  /** With `completed`, when there is one. */
  result?: unknown
  /** With `failed`, `timeout`, `retrying` and `expired`, when there is one. */
  error?: string
}

/** This subscriber read too slowly and missed `count` events. */
export interface DroppedEvents {
  event: 'dropped'
  count: number
}

export type EventListener = (event: JobEvent | DroppedEvents) => void

/** What a call over many ids did: how many it was done for, and why not for the others. */
export interface BatchOutcome {
  count: number
  errors: { index: number; error: string; code: string }[]
}

/** A consumer that has told the server of itself. */
export interface WorkerInfo {
  id: string
  queues: string[]
  /** Jobs that it runs at a time, as it says; 0: it has not said. */
  concurrency: number
  /** Unix ms. */
  last_heartbeat: number
  /** Runs that it has ended with success. */
  jobs_processed: number
  /** Jobs that it holds. */
  active: number
  /** 0: it speaks HTTP. */
  connections: number
  host: string | null
  address: string | null
  version: string | null
  /** `tcp`, `unix`, `http` or `grpc`. */
  door: string
}

/** A node of the cluster; a server that stands alone is one. */
export interface NodeInfo {
  node_id: string
  host: string
  port: number
  is_leader: boolean
  /** Unix ms. */
  last_heartbeat: number
  /** Unix ms. */
  started_at: number
}

export interface Health {
  status: string
  node_id: string | null
  is_leader: boolean
  cluster_enabled: boolean
  postgres_connected: boolean
}
