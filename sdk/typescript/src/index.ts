// The package's public face: what is not here may change without notice.

export type {
  AckBatchOptions,
  CloseOptions,
  ConsumerClaims,
  EventOptions,
  FlashQEvents,
  HeartbeatOptions,
  TokenOption,
  Tokens,
} from './call-options.ts'
export {
  BatchError,
  type ClientCode,
  type ErrorCode,
  FlashQError,
  type ItemError,
  type ServerCode,
} from './errors.ts'
export type { FeedEvent, MissedEvents, QueueEvent } from './event.ts'
export type { EventStream } from './event-stream.ts'
export { FlashQClient } from './flashq.ts'
export type {
  BatchJob,
  BatchOutcome,
  CronJob,
  CronOptions,
  DroppedEvents,
  EventListener,
  EventName,
  Health,
  Job,
  JobEvent,
  JobFilter,
  JobInFull,
  JobLogs,
  JobPage,
  JobProgress,
  JobState,
  JobWithState,
  ListedJob,
  ListOptions,
  Metrics,
  NodeInfo,
  PushOptions,
  QueueInfo,
  QueueMetrics,
  QueueStats,
  WorkerInfo,
} from './job.ts'
export { JsonText } from './json-text.ts'
export { FlashQ, FlashQ as default } from './node-flashq.ts'
export { Worker } from './node-worker.ts'
export type { ClientOptions, TlsOptions } from './options.ts'
export type { PullOptions } from './pull-request.ts'
export type {
  Webhook,
  WebhookAttempt,
  WebhookChanges,
  WebhookEvent,
  WebhookOptions,
} from './webhook.ts'
export {
  type JobContext,
  JobWorker,
  type Processor,
  type StopOptions,
  type WorkerEvents,
} from './worker.ts'
export type { WorkerOptions } from './worker-options.ts'
