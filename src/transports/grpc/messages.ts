// The messages of `proto/flashq.proto`, each with its place in a line of the wire.

import { message, type Row } from './schema.ts'

const optional = { label: 'optional' } as const
const repeated = { label: 'repeated' } as const
const always = { always: true } as const

/** Of a request: the line has them also when they are empty. */
const queue: Row = [1, 'string', always]
const id: Row = [1, 'uint64', always]

const jobOptions = (from: number): Readonly<Record<string, Row>> => ({
  priority: [from, 'int32'],
  delay_ms: [from + 1, 'uint64', { key: 'delay' }],
  ttl_ms: [from + 2, 'uint64', { key: 'ttl' }],
  timeout_ms: [from + 3, 'uint64', { key: 'timeout' }],
  max_attempts: [from + 4, 'uint32'],
  backoff_ms: [from + 5, 'uint64', { key: 'backoff' }],
  unique_key: [from + 6, 'string', optional],
  depends_on: [from + 7, 'uint64', repeated],
  tags: [from + 8, 'string', repeated],
})

export const PushRequest = message('PushRequest', {
  queue,
  data: [2, 'json', { always: true, complaint: 'Invalid JSON data' }],
  ...jobOptions(3),
})
const JobInput = message('JobInput', { data: [1, 'json', always], ...jobOptions(2) })
export const PushBatchRequest = message('PushBatchRequest', {
  queue,
  jobs: [2, JobInput, { label: 'repeated', always: true }],
})

const pullOptions = (from: number): Readonly<Record<string, Row>> => ({
  wait_ms: [from, 'uint64', { label: 'optional', key: 'wait' }],
  lease_ms: [from + 1, 'uint64', { key: 'lease' }],
  token: [from + 2, 'bool'],
})
export const PullRequest = message('PullRequest', { queue, ...pullOptions(2) })
export const PullBatchRequest = message('PullBatchRequest', {
  queue,
  count: [2, 'uint32', always],
  ...pullOptions(3),
})

const result: Row = [
  2,
  'json',
  { label: 'optional', key: 'result', complaint: 'Invalid result JSON' },
]
const ids: Row = [1, 'uint64', { label: 'repeated', always: true }]
const tokens: Row = [2, 'uint64', { label: 'repeated', nullable: true }]

export const AckRequest = message('AckRequest', { id, result, token: [3, 'uint64', optional] })
export const AckBatchRequest = message('AckBatchRequest', {
  ids,
  tokens,
  results: [3, 'json', { label: 'repeated', nullable: true, complaint: 'Invalid result JSON' }],
})
export const FailRequest = message('FailRequest', {
  id,
  error: [2, 'string', optional],
  token: [3, 'uint64', optional],
})
export const ProgressRequest = message('ProgressRequest', {
  id,
  progress: [2, 'uint32', always],
  message: [3, 'string', optional],
  token: [4, 'uint64', optional],
})
export const LogRequest = message('LogRequest', {
  id,
  line: [2, 'string', always],
  token: [3, 'uint64', optional],
})
export const HeartbeatRequest = message('HeartbeatRequest', {
  ids,
  tokens,
  lease_ms: [3, 'uint64', { key: 'lease' }],
})
export const ReleaseRequest = message('ReleaseRequest', { ids, tokens })

export const StreamJobsRequest = message('StreamJobsRequest', {
  queue,
  batch_size: [2, 'uint32', always],
  prefetch: [3, 'uint32', always],
})
export const JobResult = message('JobResult', {
  id,
  success: [2, 'bool', always],
  result: [3, 'json', optional],
  error: [4, 'string', optional],
})

export const GetStateRequest = message('GetStateRequest', { id })
export const JobRequest = message('JobRequest', { id })
export const GetJobRequest = message('GetJobRequest', { id, full: [2, 'bool'] })
export const ListJobsRequest = message('ListJobsRequest', {
  queue: [1, 'string'],
  state: [2, 'state'],
  tag: [3, 'string'],
  since: [4, 'uint64'],
  until: [5, 'uint64'],
  text: [6, 'string'],
  limit: [7, 'uint32'],
  cursor: [8, 'string'],
  offset: [9, 'uint32'],
})
export const QueueRequest = message('QueueRequest', { queue })
export const DeleteQueueRequest = message('DeleteQueueRequest', { queue, force: [2, 'bool'] })
export const DlqRequest = message('DlqRequest', { queue, count: [2, 'uint32'] })
export const DeadJobsRequest = message('DeadJobsRequest', { queue, id: [2, 'uint64', optional] })
export const LimitRequest = message('LimitRequest', { queue, limit: [2, 'uint32', always] })
export const StatsRequest = message('StatsRequest', {})
export const MetricsRequest = message('MetricsRequest', {})
export const ListQueuesRequest = message('ListQueuesRequest', {})
export const ListCronsRequest = message('ListCronsRequest', {})
export const AddCronRequest = message('AddCronRequest', {
  name: [1, 'string', always],
  queue: [2, 'string', always],
  schedule: [3, 'string', always],
  data: [4, 'json', { always: true, complaint: 'Invalid JSON data' }],
  priority: [5, 'int32'],
})
export const CronRequest = message('CronRequest', { name: [1, 'string', always] })
export const SubscribeRequest = message('SubscribeRequest', {
  queue,
  events: [2, 'string', { label: 'repeated', always: true }],
})

const ok: Row = [1, 'bool']
const ItemError = message('ItemError', {
  index: [1, 'uint32'],
  error: [2, 'string'],
  code: [3, 'string'],
})
const jobFields: Readonly<Record<string, Row>> = {
  id: [1, 'uint64'],
  queue: [2, 'string'],
  data: [3, 'json'],
  priority: [4, 'int32'],
  created_at: [5, 'uint64'],
  run_at: [6, 'uint64'],
  started_at: [7, 'uint64'],
  attempts: [8, 'uint32'],
  max_attempts: [9, 'uint32'],
  backoff: [10, 'uint64'],
  ttl: [11, 'uint64'],
  timeout: [12, 'uint64'],
  unique_key: [13, 'string', optional],
  depends_on: [14, 'uint64', repeated],
  progress: [15, 'uint32'],
  progress_msg: [16, 'string', optional],
  tags: [17, 'string', repeated],
  token: [18, 'uint64', optional],
  state: [19, 'state'],
  result: [20, 'json', optional],
  error: [21, 'string', optional],
  finished_at: [22, 'uint64'],
}
export const Job = message('Job', jobFields)
/** The reply to a PULL. */
export const PulledJob = message('Job', jobFields, 'job')

export const PushResponse = message('PushResponse', { ok, id: [2, 'uint64'] })
export const PushBatchResponse = message('PushBatchResponse', {
  ok,
  ids: [2, 'uint64', repeated],
  errors: [3, ItemError, repeated],
})
export const PullBatchResponse = message('PullBatchResponse', { jobs: [1, Job, repeated] })
export const AckResponse = message('AckResponse', { ok })
export const AckBatchResponse = message('AckBatchResponse', {
  ok,
  acked: [2, 'uint32', { key: 'ids', counted: true }],
  errors: [3, ItemError, repeated],
})
export const FailResponse = message('FailResponse', { ok })
export const OkResponse = message('OkResponse', { ok })
export const CountResponse = message('CountResponse', {
  count: [1, 'uint64', { key: 'ids', counted: true }],
})
export const HeldResponse = message('HeldResponse', {
  count: [1, 'uint32', { key: 'ids', counted: true }],
  errors: [2, ItemError, repeated],
})

export const GetStateResponse = message('GetStateResponse', {
  id: [1, 'uint64'],
  state: [2, 'state'],
})
export const GetJobResponse = message('GetJobResponse', {
  job: [1, Job],
  state: [2, 'state'],
  result: [3, 'json', optional],
  error: [4, 'string', optional],
  finished_at: [5, 'uint64'],
})
export const ListJobsResponse = message('ListJobsResponse', {
  jobs: [1, Job, repeated],
  cursor: [2, 'string', optional],
})
export const GetResultResponse = message('GetResultResponse', {
  id: [1, 'uint64'],
  result: [2, 'json', optional],
})
export const GetProgressResponse = message(
  'GetProgressResponse',
  { id: [1, 'uint64'], progress: [2, 'uint32'], message: [3, 'string', optional] },
  'progress',
)
const LogLine = message('LogLine', { at: [1, 'uint64'], line: [2, 'string'] })
export const GetLogsResponse = message('GetLogsResponse', {
  id: [1, 'uint64'],
  logs: [2, LogLine, repeated],
  dropped: [3, 'uint64'],
})
export const DlqResponse = message('DlqResponse', { jobs: [1, Job, repeated] })
export const StatsResponse = message('StatsResponse', {
  queued: [1, 'uint64'],
  processing: [2, 'uint64'],
  delayed: [3, 'uint64'],
  dlq: [4, 'uint64'],
})
const QueueInfo = message('QueueInfo', {
  name: [1, 'string'],
  pending: [2, 'uint64'],
  processing: [3, 'uint64'],
  dlq: [4, 'uint64'],
  paused: [5, 'bool'],
  rate_limit: [6, 'uint32', optional],
  concurrency_limit: [7, 'uint32', optional],
  worker: [8, 'uint32', optional],
})
export const MetricsResponse = message(
  'MetricsResponse',
  {
    total_pushed: [1, 'uint64'],
    total_completed: [2, 'uint64'],
    total_failed: [3, 'uint64'],
    jobs_per_second: [4, 'double'],
    avg_latency_ms: [5, 'double'],
    queues: [6, QueueInfo, repeated],
    worker: [7, 'uint32'],
  },
  'metrics',
)
export const ListQueuesResponse = message('ListQueuesResponse', {
  queues: [1, QueueInfo, repeated],
})
const Cron = message('Cron', {
  name: [1, 'string'],
  queue: [2, 'string'],
  data: [3, 'json'],
  schedule: [4, 'string'],
  priority: [5, 'int32'],
  next_run: [6, 'uint64'],
})
export const ListCronsResponse = message('ListCronsResponse', { crons: [1, Cron, repeated] })
export const Event = message('Event', {
  event: [1, 'string'],
  queue: [2, 'string'],
  job: [3, Job],
  timestamp: [4, 'uint64'],
  result: [5, 'json', optional],
  error: [6, 'string', optional],
  dropped: [7, 'uint64', { key: 'count' }],
})
