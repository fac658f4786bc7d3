// The package's public face: what is not here may change without notice.

export {
  BatchError,
  type ClientCode,
  type ErrorCode,
  FlashQError,
  type ItemError,
  type ServerCode,
} from './errors.ts'
export {
  type AckBatchOptions,
  type CloseOptions,
  FlashQ,
  FlashQ as default,
  type FlashQEvents,
  type HeartbeatOptions,
  type TokenOption,
  type Tokens,
} from './flashq.ts'
export type {
  BatchJob,
  BatchOutcome,
  CronJob,
  CronOptions,
  DroppedEvents,
  EventListener,
  EventName,
  Job,
  JobEvent,
  JobFilter,
  JobInFull,
  JobPage,
  JobProgress,
  JobState,
  JobWithState,
  ListedJob,
  ListOptions,
  Metrics,
  PushOptions,
  QueueInfo,
  QueueMetrics,
  QueueStats,
} from './job.ts'
export type { ClientOptions } from './options.ts'
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
  type Processor,
  type StopOptions,
  Worker,
  type WorkerEvents,
} from './worker.ts'
export type { WorkerOptions } from './worker-options.ts'
