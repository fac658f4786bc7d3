// The package's face where there is no Node: `flashq/http`, and what bundlers for browsers take for `flashq`.

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
export {
  type AckBatchOptions,
  type CloseOptions,
  type EventOptions,
  FlashQClient,
  type FlashQEvents,
  type HeartbeatOptions,
  type TokenOption,
  type Tokens,
} from './flashq.ts'
export { FlashQ, FlashQ as default, Worker } from './http/http-flashq.ts'
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
  JobInFull,
  JobProgress,
  JobState,
  JobWithState,
  Metrics,
  NodeInfo,
  PushOptions,
  QueueInfo,
  QueueMetrics,
  QueueStats,
  WorkerInfo,
} from './job.ts'
export { JsonText } from './json-text.ts'
export type { ClientOptions } from './options.ts'
export type { PullOptions } from './pull-request.ts'
export {
  type JobContext,
  JobWorker,
  type Processor,
  type StopOptions,
  type WorkerEvents,
} from './worker.ts'
export type { WorkerOptions } from './worker-options.ts'
