// A reply line: parsed, and read into what a method returns.
//
// The readers check what a wrong answer could turn into silent loss (ids, jobs); the rest is taken as the protocol says.

import { FlashQError, type ItemError } from './errors.ts'
import { parseJson } from './exact-json.ts'
import type {
  BatchOutcome,
  CronJob,
  Health,
  Job,
  JobInFull,
  JobLogs,
  JobPage,
  JobProgress,
  JobState,
  JobWithState,
  ListedJob,
  Metrics,
  NodeInfo,
  QueueInfo,
  QueueStats,
  WorkerInfo,
} from './job.ts'
import type { Webhook, WebhookAttempt } from './webhook.ts'

export interface Reply {
  readonly ok?: unknown
  readonly reqId?: unknown
  readonly error?: unknown
  readonly code?: unknown
  readonly errors?: unknown
  readonly id?: unknown
  readonly ids?: unknown
  readonly job?: unknown
  readonly jobs?: unknown
  readonly state?: unknown
  readonly result?: unknown
  readonly finished_at?: unknown
  readonly progress?: unknown
  readonly cursor?: unknown
  readonly logs?: unknown
  readonly dropped?: unknown
  readonly queues?: unknown
  readonly crons?: unknown
  readonly webhooks?: unknown
  readonly deliveries?: unknown
  readonly metrics?: unknown
  readonly workers?: unknown
  readonly nodes?: unknown
  readonly health?: unknown
  readonly event?: unknown
}

/** Throws when the line is not a JSON object. With `bigint`, integers beyond 2^53 stay exact. */
export function parseReply(line: string, bigint = false): Reply {
  const value = parseJson(line, bigint)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new SyntaxError('a reply that is not an object')
  }
  return value
}

export function refusalOf(reply: Reply): FlashQError {
  const text = typeof reply.error === 'string' ? reply.error : 'refused without a reason'
  return new FlashQError(typeof reply.code === 'string' ? reply.code : 'invalid', text)
}

export const readNothing = (): undefined => undefined

export function readPushedId(reply: Reply): number {
  if (typeof reply.id === 'number') return reply.id
  throw unexpected('PUSH', 'no id')
}

/** The job, or null when the wait is over. */
export function readJob(reply: Reply): Job | null {
  if (reply.job === null) return null
  if (isJob(reply.job)) return reply.job
  throw unexpected('PULL', 'no job')
}

export function readJobs(reply: Reply): Job[] {
  if (Array.isArray(reply.jobs) && reply.jobs.every(isJob)) return reply.jobs
  throw unexpected('PULLB', 'no jobs')
}

export function readIds(reply: Reply): number[] {
  if (Array.isArray(reply.ids) && reply.ids.every((id) => typeof id === 'number')) return reply.ids
  throw unexpected('a batch', 'no ids')
}

export function readItemErrors(reply: Reply): ItemError[] {
  if (reply.errors === undefined) return []
  if (Array.isArray(reply.errors) && reply.errors.every(isItemError)) return reply.errors
  throw unexpected('a batch', 'unreadable errors')
}

/** Replies whose `ids` holds one number, the count. */
export function readCount(reply: Reply): number {
  const count = readIds(reply)[0]
  if (count === undefined) throw unexpected('a batch', 'no count')
  return count
}

export function readOutcome(reply: Reply): BatchOutcome {
  return { count: readCount(reply), errors: readItemErrors(reply) }
}

export function readJobWithState(reply: Reply): JobWithState | null {
  if (reply.job === null || reply.job === undefined) return null
  if (isJob(reply.job)) return { job: reply.job, state: reply.state as JobState }
  throw unexpected('GETJOB', 'no job')
}

export function readJobInFull(reply: Reply): JobInFull {
  const { job, result, error, finished_at } = reply
  if (job !== null && !isJob(job)) throw unexpected('GETJOB', 'no job')
  return {
    job,
    state: reply.state as JobState,
    result: result ?? null,
    error: typeof error === 'string' ? error : null,
    finished_at: typeof finished_at === 'number' ? finished_at : null,
  }
}

export function readJobPage(reply: Reply): JobPage {
  const { jobs, cursor } = reply
  if (!Array.isArray(jobs) || !jobs.every(isJob)) throw unexpected('LISTJOBS', 'no jobs')
  return { jobs: jobs as ListedJob[], cursor: typeof cursor === 'string' ? cursor : null }
}

export const readState = (reply: Reply): JobState => reply.state as JobState

export const readResult = (reply: Reply): unknown => reply.result ?? null

export function readProgress(reply: Reply): JobProgress {
  const nested = reply.progress as { progress?: unknown; message?: unknown } | null | undefined
  if (typeof nested?.progress !== 'number') throw unexpected('GETPROGRESS', 'no progress')
  return {
    progress: nested.progress,
    message: typeof nested.message === 'string' ? nested.message : null,
  }
}

export function readLogs({ logs, dropped }: Reply): JobLogs {
  if (!Array.isArray(logs)) throw unexpected('GETLOGS', 'no logs')
  return { logs: logs as JobLogs['logs'], dropped: typeof dropped === 'number' ? dropped : 0 }
}

export const readQueues = (reply: Reply): QueueInfo[] => reply.queues as QueueInfo[]

export const readCrons = (reply: Reply): CronJob[] => reply.crons as CronJob[]
export const readWebhooks = (reply: Reply): Webhook[] => reply.webhooks as Webhook[]
export const readAttempts = (reply: Reply): WebhookAttempt[] => reply.deliveries as WebhookAttempt[]

export function readWebhookId(reply: Reply): string {
  if (typeof reply.id === 'string') return reply.id
  throw unexpected('WEBHOOK', 'no id')
}

export const readWorkers = (reply: Reply): WorkerInfo[] => reply.workers as WorkerInfo[]

export const readNodes = (reply: Reply): NodeInfo[] => reply.nodes as NodeInfo[]

export const readHealth = (reply: Reply): Health => reply.health as Health

export const readMetrics = (reply: Reply): Metrics => reply.metrics as Metrics

export function readStats(reply: Reply): QueueStats {
  const { queued, processing, delayed, dlq } = reply as unknown as QueueStats
  return { queued, processing, delayed, dlq }
}

export const readTrue = (): true => true

export function unexpected(to: string, detail: string): FlashQError {
  return new FlashQError('protocol', `Unexpected reply to ${to}: ${detail}`, {
    maybeExecuted: true,
  })
}

function isJob(value: unknown): value is Job {
  return (
    typeof value === 'object' && value !== null && 'id' in value && typeof value.id === 'number'
  )
}

function isItemError(value: unknown): value is ItemError {
  return (
    typeof value === 'object' &&
    value !== null &&
    'index' in value &&
    typeof value.index === 'number' &&
    'error' in value &&
    typeof value.error === 'string' &&
    'code' in value
  )
}
