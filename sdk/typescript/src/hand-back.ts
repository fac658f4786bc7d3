// Jobs that came for a pull that was given up go back to their queue, no run counted. None is dropped.
//
// 1. A release that was lost is repeated: its token makes the repetition harmless.
// 2. Jobs that arrive while the connection is closing, too late to answer on it, are released over one of their own,
//    unless the server takes them back by itself (`release_on_close`).

import { idsCommand } from './command.ts'
import { Connection, type ConnectionHooks } from './connection.ts'
import { FlashQError } from './errors.ts'
import type { BatchOutcome, Job } from './job.ts'
import type { Settings } from './options.ts'
import type { PullRequest } from './pull-request.ts'
import { readOutcome } from './reply.ts'
import { CommandRequest } from './request.ts'

const NO_HOOKS: ConnectionHooks = {
  opened() {},
  lost() {},
  reconnecting() {},
  failed() {},
  event() {},
}
const GRACE_MS = 1000

export class HandBack {
  readonly #settings: Settings
  readonly #connection: Connection
  #left: Job[] = []

  constructor(settings: Settings, connection: Connection) {
    this.#settings = settings
    this.#connection = connection
  }

  release(jobs: Job[], pull: PullRequest): void {
    const request = releaseRequest(jobs)
    this.#connection.send(request)
    request.promise.catch((error: unknown) => {
      const refused = error instanceof FlashQError && !error.maybeExecuted && !error.retryable
      if (!this.#connection.isClosing) {
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
    const connection = new Connection({ ...this.#settings, retryConnect: false }, NO_HOOKS)
    const request = releaseRequest(jobs)
    connection.send(request)
    // Refused or not: there is nothing more that this client could do about them.
    await request.promise.catch(() => {})
    await connection.close(GRACE_MS)
  }
}

function releaseRequest(jobs: readonly Job[]): CommandRequest<BatchOutcome> {
  const ids = jobs.map((job) => job.id)
  const tokens = jobs.map((job) => job.token)
  return new CommandRequest(idsCommand('RELEASE', ids, tokens), readOutcome, true)
}
