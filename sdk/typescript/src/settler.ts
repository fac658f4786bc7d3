// Tells the server how a run ended, and keeps at it as long as that is safe.
//
// 1. An ack or fail that provably did not run is repeated with back-off. One that may have run is not: it is reported,
//    and the job's lease decides.
// 2. A failed ack is no failed job: it never turns into a FAIL.
// 3. A result that cannot be stored (no JSON, too large) is reported and left out: the work is done all the same.

import { backoffMs } from './backoff.ts'
import { FlashQError } from './errors.ts'
import type { FlashQClient } from './flashq.ts'
import type { HeldJob } from './held-job.ts'
import { LOST } from './lease-keeper.ts'
import { pause } from './pause.ts'

/** `lost`: this delivery was over before. `unsure`: reported as an error, and given up. */
export type Settlement = 'done' | 'lost' | 'unsure'

const RETRY_MS = 50
const RETRY_MS_MAX = 5000
const UNSTORABLE: ReadonlySet<string> = new Set(['data_too_large', 'invalid'])

export class Settler {
  readonly #client: FlashQClient
  readonly #stopped: AbortSignal
  readonly #failed: (error: unknown) => void

  constructor(client: FlashQClient, stopped: AbortSignal, failed: (error: unknown) => void) {
    this.#client = client
    this.#stopped = stopped
    this.#failed = failed
  }

  async ack(held: HeldJob, result: unknown): Promise<Settlement> {
    const options = { token: held.token }
    try {
      return await this.#settle(held, () => this.#client.ack(held.id, result, options))
    } catch (error) {
      if (result === undefined || !isUnstorable(error)) return 'unsure'
      return this.#settle(held, () => this.#client.ack(held.id, undefined, options)).catch(
        (): Settlement => 'unsure',
      )
    }
  }

  async fail(held: HeldJob, message: string): Promise<Settlement> {
    const options = { token: held.token }
    try {
      return await this.#settle(held, () => this.#client.fail(held.id, message, options))
    } catch {
      return 'unsure'
    }
  }

  /** Throws the error, already reported, that forbids another try. */
  async #settle(held: HeldJob, send: () => Promise<void>): Promise<Settlement> {
    for (let attempt = 0; held.phase !== 'gone'; attempt += 1) {
      try {
        await send()
        return 'done'
      } catch (error) {
        if (error instanceof FlashQError && LOST.has(error.code)) return 'lost'
        this.#failed(error)
        if (!(error instanceof FlashQError) || !error.retryable) throw error
      }
      await pause(backoffMs(attempt, RETRY_MS, RETRY_MS_MAX), this.#stopped)
    }
    return 'lost'
  }
}

function isUnstorable(error: unknown): boolean {
  return error instanceof FlashQError ? UNSTORABLE.has(error.code) : error instanceof TypeError
}
