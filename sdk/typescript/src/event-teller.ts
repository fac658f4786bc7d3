// Tells the listener of `subscribe` what a feed brings, as the line protocol has it: with the whole job.
//
// HTTP's events name the job only. It is then asked for, one question after another, so that the order stays; of a job
// that is gone by then its id, queue and data are told, and the rest is as it was when a job is new.

import type { FeedEvent, QueueEvent } from './event.ts'
import type { EventListener, Job, JobEvent, JobWithState } from './job.ts'
import { acceptedJob } from './job-text.ts'

export class EventTeller {
  readonly #listener: EventListener
  readonly #find: (jobId: number) => Promise<JobWithState | null>
  #last: Promise<void> | null = null

  constructor(listener: EventListener, find: (jobId: number) => Promise<JobWithState | null>) {
    this.#listener = listener
    this.#find = find
  }

  tell(event: FeedEvent): void {
    if (this.#last === null && (event.event === 'dropped' || event.job !== undefined)) {
      this.#tellNow(event, null)
      return
    }
    const told = (this.#last ?? Promise.resolve()).then(async () => {
      this.#tellNow(event, event.event === 'dropped' ? null : await this.#jobOf(event))
    })
    this.#last = told.catch((error: unknown) => {
      // A listener that throws is a bug of its owner: it surfaces as one, and the others are told.
      queueMicrotask(() => {
        throw error
      })
    })
  }

  #tellNow(event: FeedEvent, found: Job | null): void {
    if (event.event === 'dropped') {
      if (event.count > 0) this.#listener({ event: 'dropped', count: event.count })
      return
    }
    const job = event.job ?? found
    if (job !== null) this.#listener(jobEventOf(event, job))
  }

  async #jobOf(event: QueueEvent): Promise<Job> {
    const found = event.job ?? (await this.#find(event.job_id).catch(() => null))?.job
    if (found !== undefined) return found
    const data = event.event === 'pushed' ? event.data : null
    return acceptedJob(event.job_id, event.queue, data, undefined, event.timestamp)
  }
}

function jobEventOf(event: QueueEvent, job: Job): JobEvent {
  const told: JobEvent = { event: event.event, queue: event.queue, job, timestamp: event.timestamp }
  if (event.event === 'completed' && event.data !== undefined) told.result = event.data
  if (event.error !== undefined) told.error = event.error
  return told
}
