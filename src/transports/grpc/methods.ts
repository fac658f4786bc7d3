// The calls of `QueueService`: which command each one is, and its messages.

import type { OpName } from '../../engine/op.ts'
import * as m from './messages.ts'
import type { Message } from './schema.ts'
import * as w from './webhook-messages.ts'

export const SERVICE = 'flashq.QueueService'

export interface Method {
  readonly name: string
  readonly op: OpName
  readonly request: Message
  readonly response: Message
  /** `unary`: one answer at once. `pull`: one answer, jobs that may have to be waited for. */
  readonly kind: 'unary' | 'pull'
}

export interface StreamMethod {
  readonly name: string
  readonly op: OpName
  readonly request: Message
  readonly response: Message
  readonly kind: 'serverStream' | 'bidi'
}

const unary = (name: string, op: OpName, request: Message, response: Message): Method => ({
  name,
  op,
  request,
  response,
  kind: 'unary',
})
const pull = (name: string, op: OpName, request: Message, response: Message): Method => ({
  name,
  op,
  request,
  response,
  kind: 'pull',
})

export const methods: readonly Method[] = [
  unary('Push', 'PUSH', m.PushRequest, m.PushResponse),
  unary('PushBatch', 'PUSHB', m.PushBatchRequest, m.PushBatchResponse),
  unary('Cancel', 'CANCEL', m.JobRequest, m.OkResponse),
  unary('Promote', 'PROMOTE', m.JobRequest, m.OkResponse),
  pull('Pull', 'PULL', m.PullRequest, m.PulledJob),
  pull('PullBatch', 'PULLB', m.PullBatchRequest, m.PullBatchResponse),
  unary('Ack', 'ACK', m.AckRequest, m.AckResponse),
  unary('AckBatch', 'ACKB', m.AckBatchRequest, m.AckBatchResponse),
  unary('Fail', 'FAIL', m.FailRequest, m.FailResponse),
  unary('Progress', 'PROGRESS', m.ProgressRequest, m.OkResponse),
  unary('Log', 'LOG', m.LogRequest, m.OkResponse),
  unary('Heartbeat', 'HEARTBEAT', m.HeartbeatRequest, m.HeldResponse),
  unary('Release', 'RELEASE', m.ReleaseRequest, m.HeldResponse),
  unary('GetState', 'GETSTATE', m.GetStateRequest, m.GetStateResponse),
  unary('GetJob', 'GETJOB', m.GetJobRequest, m.GetJobResponse),
  unary('ListJobs', 'LISTJOBS', m.ListJobsRequest, m.ListJobsResponse),
  unary('GetResult', 'GETRESULT', m.JobRequest, m.GetResultResponse),
  unary('GetProgress', 'GETPROGRESS', m.JobRequest, m.GetProgressResponse),
  unary('GetLogs', 'GETLOGS', m.JobRequest, m.GetLogsResponse),
  unary('Dlq', 'DLQ', m.DlqRequest, m.DlqResponse),
  unary('Stats', 'STATS', m.StatsRequest, m.StatsResponse),
  unary('Metrics', 'METRICS', m.MetricsRequest, m.MetricsResponse),
  unary('ListQueues', 'LISTQUEUES', m.ListQueuesRequest, m.ListQueuesResponse),
  unary('ListCrons', 'CRONLIST', m.ListCronsRequest, m.ListCronsResponse),
  unary('RetryDlq', 'RETRYDLQ', m.DeadJobsRequest, m.CountResponse),
  unary('PurgeDlq', 'PURGEDLQ', m.DeadJobsRequest, m.CountResponse),
  unary('Drain', 'DRAIN', m.QueueRequest, m.CountResponse),
  unary('DeleteQueue', 'DELETEQUEUE', m.DeleteQueueRequest, m.CountResponse),
  unary('Pause', 'PAUSE', m.QueueRequest, m.OkResponse),
  unary('Resume', 'RESUME', m.QueueRequest, m.OkResponse),
  unary('SetRateLimit', 'RATELIMIT', m.LimitRequest, m.OkResponse),
  unary('ClearRateLimit', 'RATELIMITCLEAR', m.QueueRequest, m.OkResponse),
  unary('SetConcurrency', 'SETCONCURRENCY', m.LimitRequest, m.OkResponse),
  unary('ClearConcurrency', 'CLEARCONCURRENCY', m.QueueRequest, m.OkResponse),
  unary('AddCron', 'CRON', m.AddCronRequest, m.OkResponse),
  unary('DeleteCron', 'CRONDELETE', m.CronRequest, m.OkResponse),
  unary('AddWebhook', 'WEBHOOK', w.AddWebhookRequest, w.AddWebhookResponse),
  unary('ChangeWebhook', 'WEBHOOK', w.ChangeWebhookRequest, m.OkResponse),
  unary('DeleteWebhook', 'WEBHOOKDELETE', w.WebhookRequest, m.OkResponse),
  unary('ListWebhooks', 'WEBHOOKLIST', w.ListWebhooksRequest, w.ListWebhooksResponse),
  unary('PingWebhook', 'WEBHOOKPING', w.WebhookRequest, w.PingWebhookResponse),
  unary('ListAttempts', 'WEBHOOKLOG', w.WebhookRequest, w.ListAttemptsResponse),
]

export const streamJobs: StreamMethod = {
  name: 'StreamJobs',
  op: 'PULLB',
  request: m.StreamJobsRequest,
  response: m.Job,
  kind: 'serverStream',
}

export const processJobs: StreamMethod = {
  name: 'ProcessJobs',
  op: 'PULLB',
  request: m.JobResult,
  response: m.Job,
  kind: 'bidi',
}

export const subscribe: StreamMethod = {
  name: 'Subscribe',
  op: 'SUBSCRIBE',
  request: m.SubscribeRequest,
  response: m.Event,
  kind: 'serverStream',
}

export function pathOf(method: { readonly name: string }): string {
  return `/${SERVICE}/${method.name}`
}
