// Events as `events()` gives them: the same over TCP and HTTP, whichever shape they had on the wire.

import type { EventName, Job } from './job.ts'

export interface EventWish {
  /** Empty: of all queues. */
  readonly queues: readonly string[]
  /** Empty: of all types. */
  readonly types: readonly EventName[]
}

export interface QueueEvent {
  event: EventName
  queue: string
  job_id: number
  /** Unix ms. */
  timestamp: number
  /** With `pushed`: the job's data. With `completed`: its result, when there is one. */
  data?: unknown
  /** With `failed`, `timeout`, `retrying` and `expired`, when there is one. */
  error?: string
  /** 0–100; with `progress`. */
  progress?: number
  /** The whole job; over TCP only. */
  job?: Job
  /** Over HTTP: where a later listener may go on. */
  event_id?: string
}

/** `count` events are missing here: this listener, or the connection before it, was too slow or interrupted. */
export interface MissedEvents {
  event: 'dropped'
  count: number
}

export type FeedEvent = QueueEvent | MissedEvents
