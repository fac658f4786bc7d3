// Jobs that came for a pull that was given up go back to their queue, no run counted. None is dropped.
//
// 1. A release that was lost is repeated: its token makes the repetition harmless.
// 2. Jobs that arrive while the connection is closing, too late to answer on it, are released over one of their own,
//    unless the server takes them back by itself (`release_on_close`).

import { idsCommand } from './command.ts'
import { FlashQError } from './errors.ts'
import type { BatchOutcome, Job } from './job.ts'
import type { PullRequest } from './pull-request.ts'
import { readOutcome } from './reply.ts'
import { CommandRequest } from './request.ts'
import type { Transport } from './transport.ts'

const GRACE_MS = 1000

export class HandBack {
  readonly #transport: Transport
  readonly #another: () => Transport
  #left: Job[] = []

  /** `another` is a way to the server of its own, for when `transport` is closed. */
  constructor(transport: Transport, another: () => Transport) {
    this.#transport = transport
    this.#another = another
  }

  release(jobs: Job[], pull: PullRequest): void {
    const request = releaseRequest(jobs)
    this.#transport.send(request)
    request.promise.catch((error: unknown) => {
      const refused = error instanceof FlashQError && !error.maybeExecuted && !error.retryable
      if (!this.#transport.isClosing) {
        if (!refused) this.release(jobs, pull)
      } else if (!pull.releaseOnClose) {
        this.#left.push(...jobs)
      }
    })
  }

  /** For when the connection is closed. */
  async finish(): Promise<void> {
    if (this.#left.length === 0) return
    const jobs = this.#left
    this.#left = []
    const transport = this.#another()
    const request = releaseRequest(jobs)
    transport.send(request)
    // Refused or not: there is nothing more that this client could do about them.
    await request.promise.catch(() => {})
    await transport.close(GRACE_MS)
  }
}

function releaseRequest(jobs: readonly Job[]): CommandRequest<BatchOutcome> {
  const ids = jobs.map((job) => job.id)
  const tokens = jobs.map((job) => job.token)
  return new CommandRequest(idsCommand('RELEASE', ids, tokens), readOutcome, true)
}
