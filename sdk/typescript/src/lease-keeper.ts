// Keeps the leases of the jobs that a worker holds, and finds out which are lost.
//
// 1. One beat covers all held jobs. Beats do not overlap; the next is due one interval after the last was answered.
// 2. A job is lost when the server says so, or when its lease ran out unanswered by this machine's clock: from then on
//    somebody else may have it.
// 3. A job whose ack or fail is under way still gets its beats, as it may have to be repeated, but no beat makes it
//    lost: the server may just have settled it.

import type { FlashQClient } from './flashq.ts'
import type { HeldJob } from './held-job.ts'

export class LeaseKeeper {
  readonly #client: FlashQClient
  readonly #leaseMs: number
  readonly #intervalMs: number
  readonly #lost: (held: HeldJob) => void
  readonly #failed: (error: unknown) => void
  readonly #held = new Map<number, HeldJob>()
  #timer: ReturnType<typeof setTimeout> | null = null
  #beating = false
  #running = false

  constructor(
    client: FlashQClient,
    leaseMs: number,
    intervalMs: number,
    lost: (held: HeldJob) => void,
    failed: (error: unknown) => void,
  ) {
    this.#client = client
    this.#leaseMs = leaseMs
    this.#intervalMs = intervalMs
    this.#lost = lost
    this.#failed = failed
  }

  start(): void {
    this.#running = true
    if (this.#held.size > 0) this.#arm()
  }

  stop(): void {
    this.#running = false
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  add(held: HeldJob): void {
    this.#held.set(held.id, held)
    if (this.#running && this.#timer === null && !this.#beating) this.#arm()
  }

  remove(held: HeldJob): void {
    if (this.#held.get(held.id) === held) this.#held.delete(held.id)
  }

  get(id: number): HeldJob | undefined {
    return this.#held.get(id)
  }

  all(): HeldJob[] {
    return [...this.#held.values()]
  }

  /** At once: after a reconnect, to learn what the server took back. */
  beatNow(): void {
    if (this.#running && !this.#beating && this.#held.size > 0) void this.#beat()
  }

  #arm(): void {
    this.#timer = setTimeout(() => void this.#beat(), this.#intervalMs)
  }

  async #beat(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#beating = true
    const beaten = this.all()
    const sentMs = performance.now()
    try {
      if (beaten.length > 0) await this.#ask(beaten, sentMs)
    } catch (error) {
      this.#failed(error)
    }
    this.#beating = false
    const nowMs = performance.now()
    for (const held of beaten) if (held.leaseUntilMs < nowMs) this.#lose(held)
    if (this.#running && this.#held.size > 0) this.#arm()
  }

  async #ask(beaten: readonly HeldJob[], sentMs: number): Promise<void> {
    const { errors } = await this.#client.heartbeat(
      beaten.map((held) => held.id),
      { lease: this.#leaseMs, tokens: beaten.map((held) => held.token) },
    )
    const refused = new Map(errors.map((item) => [item.index, item]))
    beaten.forEach((held, index) => {
      const refusal = refused.get(index)
      if (refusal === undefined) held.leaseUntilMs = sentMs + this.#leaseMs
      else if (LOST.has(refusal.code)) this.#lose(held)
    })
  }

  #lose(held: HeldJob): void {
    if (this.#held.get(held.id) !== held || held.phase === 'settling') return
    this.#held.delete(held.id)
    this.#lost(held)
  }
}

/** Codes that say: this delivery is over. */
export const LOST: ReadonlySet<string> = new Set(['stale_token', 'job_not_found', 'job_not_active'])
