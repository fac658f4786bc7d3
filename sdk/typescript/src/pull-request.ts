// A pull: it waits at the server, without a time limit of the client's.
//
// 1. It may be sent again when its connection ended: the server forgets the pulls of a closed connection.
// 2. Sent again, it waits for what is left of `wait`, not for all of it.
// 3. Jobs that come after the pull was given up are handed to `giveBack`, never dropped.

import { Deferred } from './deferred.ts'
import type { Job } from './job.ts'
import { numberText, optionalNumber, valueText } from './json-text.ts'
import { type Reply, readJob, readJobs } from './reply.ts'
import { Request } from './request.ts'

export interface PullOptions {
  /** ms to wait for a job; 0 = answer at once. Absent: wait without limit. */
  wait?: number | undefined
  /** ms within which the job must be acked, failed or kept by `heartbeat`. Absent: no lease. */
  lease?: number | undefined
  /** Give every job a `token` that names this delivery. A lease implies it. */
  token?: boolean | undefined
  /** The server takes back the jobs that this connection still holds when it closes. */
  releaseOnClose?: boolean | undefined
  /** Gives up the pull. A job that comes too late for it is handed back, no run counted. */
  signal?: AbortSignal | undefined
}

export class PullRequest extends Request {
  readonly name: string
  readonly calls = 1
  readonly resendable = true
  override readonly timed = false
  /** Null is PULL: one job. */
  readonly count: number | null
  readonly releaseOnClose: boolean
  override readonly disposable: boolean
  readonly #fields: string
  readonly #waitMs: number | undefined
  readonly #giveBack: (jobs: Job[], request: PullRequest) => void
  readonly #deferred = new Deferred<Job[]>()
  #waitUntilMs = 0

  /** `count` null is PULL: at most one job. The promise resolves to no job when the wait is over. */
  constructor(
    queue: string,
    count: number | null,
    options: PullOptions,
    giveBack: (jobs: Job[], request: PullRequest) => void,
  ) {
    super()
    this.name = count === null ? 'PULL' : 'PULLB'
    this.count = count
    this.releaseOnClose = options.releaseOnClose ?? false
    // The lease brings back what was on its way.
    this.disposable = options.lease !== undefined
    this.#waitMs = options.wait
    this.#giveBack = giveBack
    this.#fields =
      `,"queue":${valueText(queue)}` +
      (count === null ? '' : `,"count":${numberText(count)}`) +
      optionalNumber('lease', options.lease) +
      (options.token === true ? ',"token":true' : '') +
      (options.releaseOnClose === true ? ',"release_on_close":true' : '')
  }

  get promise(): Promise<Job[]> {
    return this.#deferred.promise
  }

  fieldsText(nowMs: number): string {
    if (this.#waitMs === undefined) return this.#fields
    return `${this.#fields},"wait":${numberText(this.restMs(nowMs))}`
  }

  /** Of its wait, which begins with the first question; without a limit, infinite. */
  restMs(nowMs: number): number {
    if (this.#waitMs === undefined) return Number.POSITIVE_INFINITY
    if (this.#waitUntilMs === 0) {
      this.#waitUntilMs = nowMs + this.#waitMs
      return this.#waitMs
    }
    return Math.max(0, Math.ceil(this.#waitUntilMs - nowMs))
  }

  accept(reply: Reply): void {
    this.#deferred.resolve(this.#jobs(reply))
  }

  reject(reason: unknown): void {
    this.#deferred.reject(reason)
  }

  override late(reply: Reply): void {
    const jobs = this.#jobs(reply)
    if (jobs.length > 0) this.#giveBack(jobs, this)
  }

  #jobs(reply: Reply): Job[] {
    if (this.name === 'PULLB') return readJobs(reply)
    const job = readJob(reply)
    return job === null ? [] : [job]
  }
}
