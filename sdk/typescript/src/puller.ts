// Pulls, and what becomes of them when they are aborted.
//
// 1. A pull that has a signal waits in slices, so that an abort need not be told to the server.
// 2. A job that comes after the abort is handed back, no run counted.

import type { HandBack } from './hand-back.ts'
import type { Job } from './job.ts'
import { type PullOptions, PullRequest } from './pull-request.ts'
import type { Request } from './request.ts'
import type { Transport } from './transport.ts'

/** A pull that can be aborted asks again so often, lest the server keep it waiting long after the abort. */
const ABORTABLE_WAIT_MS = 5000

export class Puller {
  readonly #transport: Transport
  readonly #handBack: HandBack
  readonly #send: (request: Request) => void

  constructor(transport: Transport, handBack: HandBack, send: (request: Request) => void) {
    this.#transport = transport
    this.#handBack = handBack
    this.#send = send
  }

  /** `count` null: one job. None when the wait is over. */
  async pull(queue: string, count: number | null, options: PullOptions): Promise<Job[]> {
    if (options.signal === undefined) return this.#once(queue, count, options)
    const endless = options.wait === undefined && count !== 0
    const wait = endless ? ABORTABLE_WAIT_MS : options.wait
    let jobs: Job[] = []
    do {
      jobs = await this.#untilAborted(queue, count, { ...options, wait, token: true })
    } while (endless && jobs.length === 0)
    return jobs
  }

  async #untilAborted(queue: string, count: number | null, options: PullOptions): Promise<Job[]> {
    const { signal } = options
    signal?.throwIfAborted()
    const request = this.#request(queue, count, options)
    const abort = (): void => this.#transport.abandon(request, signal?.reason)
    signal?.addEventListener('abort', abort, { once: true })
    try {
      this.#send(request)
      return await request.promise
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  #once(queue: string, count: number | null, options: PullOptions): Promise<Job[]> {
    const request = this.#request(queue, count, options)
    this.#send(request)
    return request.promise
  }

  #request(queue: string, count: number | null, options: PullOptions): PullRequest {
    return new PullRequest(queue, count, options, (jobs, pull) =>
      this.#handBack.release(jobs, pull),
    )
  }
}
