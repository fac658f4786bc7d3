// A job that a worker holds, from its arrival until it is settled, lost or handed back.
//
//   buffered ──▶ running ──▶ settling ──▶ gone      settling: its ack or fail is under way
//       └───────────┴────────────┴───────▶ gone      lost, or handed back
//
// 1. Its signal is aborted when its time limit is over, its lease is lost, or the worker must stop.
// 2. Once it is gone nothing about it is sent any more: it may be somebody else's.

import type { Job } from './job.ts'

export type HeldPhase = 'buffered' | 'running' | 'settling' | 'gone'

export class HeldJob<T = unknown> {
  readonly job: Job<T>
  phase: HeldPhase = 'buffered'
  /** By `performance.now()`: until then the job is surely ours. */
  leaseUntilMs: number
  readonly #arrivedMs: number
  #controller: AbortController | null = null
  #aborted: Error | null = null
  #timer: ReturnType<typeof setTimeout> | null = null

  constructor(job: Job<T>, nowMs: number, leaseMs: number) {
    this.job = job
    this.#arrivedMs = nowMs
    this.leaseUntilMs = nowMs + leaseMs
  }

  get id(): number {
    return this.job.id
  }

  get token(): number | undefined {
    return this.job.token
  }

  /** Made when first asked for: most processors never do. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#aborted !== null) this.#controller.abort(this.#aborted)
    return this.#controller.signal
  }

  /** Starts its time limit, which counts from its arrival. */
  startTimeLimit(nowMs: number, timerMsMax: number): void {
    const { timeout } = this.job
    if (timeout <= 0 || timeout > timerMsMax) return
    const restMs = Math.max(0, this.#arrivedMs + timeout - nowMs)
    this.#timer = setTimeout(() => this.abort(new Error(`Job ${this.id} timed out`)), restMs)
  }

  abort(reason: Error): void {
    this.#aborted ??= reason
    this.#controller?.abort(this.#aborted)
  }

  /** The processor is done: no time limit any more. */
  stopTimeLimit(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }
}
