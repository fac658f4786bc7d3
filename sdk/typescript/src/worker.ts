// A consumer: pulls jobs under lease, runs a processor on them, settles them.
//
//   JobSource ──jobs──▶ buffer ──▶ run (a slot each) ──▶ Settler ──▶ ack / fail
//                          └── LeaseKeeper beats for all of them ──▶ lost? abort, forget
//
// 1. One multiplexed connection carries all: a waiting pull holds up no ack, and acks of a tick travel together.
// 2. Jobs held are at most concurrency + prefetch; what comes beyond that goes back at once, uncounted.
// 3. A job ends in one of four ways: `completed` (the ack was answered), `failed` (the processor threw), `lost` (the
//    server gave this delivery up), or, when the worker stops first, handed back.
// 4. `error` is emitted only when somebody listens. After `stop()` nothing is left: no timer, no socket, no job.

import type { ConsumerClaims } from './call-options.ts'
import { Emitter } from './emitter.ts'
import type { FlashQClient } from './flashq.ts'
import { HeldJob } from './held-job.ts'
import { Introduction } from './introduction.ts'
import type { Job } from './job.ts'
import { JobSource } from './job-source.ts'
import { LeaseKeeper } from './lease-keeper.ts'
import { TIMER_MS_MAX } from './options.ts'
import { type Settlement, Settler } from './settler.ts'
import { resolveWorkerSettings, type WorkerOptions, type WorkerSettings } from './worker-options.ts'

export interface JobContext {
  /** Aborted when the job's time limit is over, its lease is lost, or the worker must stop. */
  readonly signal: AbortSignal
  /** Names this delivery. */
  readonly token: number | undefined
  progress(value: number, message?: string): Promise<void>
  /** Notes a line of at most 4 KiB with the job. */
  log(line: string): Promise<void>
}

export type Processor<T, R> = (job: Job<T>, context: JobContext) => R | Promise<R>

/** `slot` counts from 0 to concurrency − 1. */
export interface WorkerEvents<T, R> {
  ready: []
  active: [job: Job<T>, slot: number]
  completed: [job: Job<T>, result: R, slot: number]
  failed: [job: Job<T>, error: Error, slot: number]
  lost: [job: Job<T>]
  error: [error: Error]
  stopping: []
  stopped: []
}

export interface StopOptions {
  /** ms that running processors are given; then their signals are aborted and their jobs handed back. Default 30,000. */
  timeoutMs?: number | undefined
}

const PULL_WAIT_MS = 5000
const STOP_MS = 30_000
/** Acks and fails that may be under way; above it nothing more is pulled. */
const SETTLING_MAX = 1000
/** That the server takes of one consumer. */
const LISTED_QUEUES_MAX = 100

export class JobWorker<T = unknown, R = unknown> extends Emitter<WorkerEvents<T, R>> {
  readonly id: string
  readonly #settings: WorkerSettings
  readonly #queues: readonly string[]
  readonly #processor: Processor<T, R>
  readonly #client: FlashQClient
  readonly #keeper: LeaseKeeper
  readonly #introduction: Introduction
  #source: JobSource | null = null
  #settler: Settler
  #hardStop = new AbortController()
  #buffer: HeldJob<T>[] = []
  #freeSlots: number[] = []
  #running = 0
  #settling = 0
  #processed = 0
  #whenIdle: (() => void) | null = null
  #stopping: Promise<void> | null = null

  constructor(
    queues: string | readonly string[],
    processor: Processor<T, R>,
    options: WorkerOptions,
    client: FlashQClient,
  ) {
    super()
    this.#queues = typeof queues === 'string' ? [queues] : [...new Set(queues)]
    this.#processor = processor
    this.#settings = resolveWorkerSettings(options)
    this.id = this.#settings.id
    this.#client = client
    this.#introduction = new Introduction(
      client,
      this.id,
      () => this.#claims(),
      (error) => this.#report(error),
    )
    this.#client.on('connect', () => {
      this.#introduction.say()
      this.#keeper.beatNow()
    })
    this.#client.on('error', (fault) => this.#report(fault))
    this.#settler = this.#newSettler()
    this.#keeper = new LeaseKeeper(
      this.#client,
      this.#settings.leaseMs,
      this.#settings.heartbeatMs,
      (held) => this.#lose(held),
      (error) => this.#report(error),
    )
  }

  /** Resolves when connected; rejects when the first connection fails, unless `retryConnect` is set. */
  async start(): Promise<void> {
    if (this.#stopping !== null) await this.#stopping
    if (this.#source !== null) return
    const source = this.#newSource()
    this.#source = source
    this.#stopping = null
    this.#hardStop = new AbortController()
    this.#settler = this.#newSettler()
    this.#freeSlots = Array.from(
      { length: this.#settings.concurrency },
      (_, slot) => slot,
    ).reverse()
    try {
      await this.#client.connect()
    } catch (error) {
      if (this.#source === source) this.#source = null
      throw error
    }
    if (this.#source !== source) return
    if (this.#settings.heartbeat) this.#keeper.start()
    this.#emit('ready')
    source.wake()
  }

  /** Waits for running processors, then hands back what is not finished. Resolves when nothing is left. */
  stop(options: StopOptions = {}): Promise<void> {
    if (this.#source === null && this.#stopping === null) return Promise.resolve()
    this.#stopping ??= this.#stop(options.timeoutMs ?? STOP_MS)
    return this.#stopping
  }

  isRunning(): boolean {
    return this.#source !== null && this.#stopping === null
  }

  /** Processors that run now. */
  getProcessingCount(): number {
    return this.#running
  }

  async updateProgress(jobId: number, value: number, message?: string): Promise<void> {
    await this.#client.progress(jobId, value, message, { token: this.#keeper.get(jobId)?.token })
  }

  async #stop(timeoutMs: number): Promise<void> {
    this.#emit('stopping')
    this.#source?.stop()
    const buffered = this.#buffer
    this.#buffer = []
    this.#giveUp(buffered)
    await this.#idleWithin(timeoutMs)
    const unfinished = this.#keeper.all() as HeldJob<T>[]
    for (const held of unfinished) held.abort(new Error('The worker stops'))
    this.#giveUp(unfinished)
    this.#hardStop.abort()
    this.#keeper.stop()
    this.#introduction.stop()
    await this.#client.close()
    this.#source = null
    this.#emit('stopped')
  }

  #idleWithin(timeoutMs: number): Promise<void> {
    if (this.#running + this.#settling === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.min(timeoutMs, TIMER_MS_MAX))
      this.#whenIdle = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** How many more jobs may be held. */
  #room(): number {
    const { concurrency, prefetch } = this.#settings
    return concurrency + prefetch - this.#running - this.#buffer.length
  }

  #arrived(jobs: Job[]): void {
    const nowMs = performance.now()
    const surplus: HeldJob<T>[] = []
    for (const job of jobs) {
      this.#forgetEarlier(job.id)
      const held = new HeldJob<T>(job as Job<T>, nowMs, this.#settings.leaseMs)
      if (this.#stopping !== null || this.#room() <= 0) {
        surplus.push(held)
        continue
      }
      this.#keeper.add(held)
      this.#buffer.push(held)
    }
    this.#giveUp(surplus)
    this.#dispatch()
  }

  /** A job that comes again is not ours any more as it was. */
  #forgetEarlier(id: number): void {
    const earlier = this.#keeper.get(id)
    if (earlier === undefined) return
    this.#keeper.remove(earlier)
    if (earlier.phase !== 'settling') this.#lose(earlier)
  }

  #dispatch(): void {
    while (this.#buffer.length > 0 && this.#freeSlots.length > 0 && this.#stopping === null) {
      const held = this.#buffer.shift()
      const slot = this.#freeSlots.pop()
      if (held === undefined || slot === undefined) return
      void this.#run(held, slot)
    }
  }

  async #run(held: HeldJob<T>, slot: number): Promise<void> {
    const slots = this.#freeSlots
    this.#running += 1
    held.phase = 'running'
    held.startTimeLimit(performance.now(), TIMER_MS_MAX)
    this.#emit('active', held.job, slot)
    let ending: { result: R } | { error: Error }
    try {
      ending = { result: await this.#processor(held.job, this.#context(held)) }
    } catch (thrown) {
      ending = { error: thrown instanceof Error ? thrown : new Error(String(thrown)) }
    }
    held.stopTimeLimit()
    this.#running -= 1
    slots.push(slot)
    if (isGone(held)) this.#checkIdle()
    else void this.#settle(held, slot, ending)
    this.#dispatch()
    this.#source?.wake()
  }

  async #settle(
    held: HeldJob<T>,
    slot: number,
    ending: { result: R } | { error: Error },
  ): Promise<void> {
    this.#settling += 1
    held.phase = 'settling'
    if ('error' in ending) this.#emit('failed', held.job, ending.error, slot)
    let settlement: Settlement = 'done'
    if (this.#settings.autoAck) {
      settlement = await ('error' in ending
        ? this.#settler.fail(held, ending.error.message)
        : this.#settler.ack(held, ending.result))
    }
    this.#settling -= 1
    const handedBack = isGone(held)
    held.phase = 'gone'
    this.#keeper.remove(held)
    if (settlement === 'done' && 'result' in ending) {
      this.#processed += 1
      this.#emit('completed', held.job, ending.result, slot)
    } else if (settlement === 'lost' && !handedBack) {
      this.#emit('lost', held.job)
    }
    this.#checkIdle()
    this.#source?.wake()
  }

  #lose(held: HeldJob): void {
    const buffered = this.#buffer.indexOf(held as HeldJob<T>)
    if (buffered >= 0) this.#buffer.splice(buffered, 1)
    held.phase = 'gone'
    held.abort(new Error(`The lease of job ${held.id} is lost`))
    this.#emit('lost', held.job as Job<T>)
    this.#source?.wake()
  }

  /** Hands jobs back to their queues, uncounted. */
  #giveUp(jobs: readonly HeldJob<T>[]): void {
    if (jobs.length === 0) return
    for (const held of jobs) {
      held.phase = 'gone'
      held.stopTimeLimit()
      this.#keeper.remove(held)
    }
    const ids = jobs.map((held) => held.id)
    const tokens = jobs.map((held) => held.token)
    this.#client.release(ids, tokens).catch((error: unknown) => this.#report(error))
  }

  #checkIdle(): void {
    if (this.#running + this.#settling > 0) return
    this.#whenIdle?.()
    this.#whenIdle = null
  }

  #context(held: HeldJob<T>): JobContext {
    const client = this.#client
    return {
      get signal() {
        return held.signal
      },
      token: held.token,
      progress: (value, message) => client.progress(held.id, value, message, { token: held.token }),
      log: (line) => client.log(held.id, line, { token: held.token }),
    }
  }

  #claims(): ConsumerClaims {
    const { concurrency, hostname, version } = this.#settings
    return {
      queues: this.#queues.slice(0, LISTED_QUEUES_MAX),
      concurrency,
      host: hostname,
      version,
      processed: this.#processed,
      active: this.#running + this.#settling + this.#buffer.length,
    }
  }

  #newSource(): JobSource {
    return new JobSource(
      this.#client,
      { queues: this.#queues, leaseMs: this.#settings.leaseMs, waitMs: PULL_WAIT_MS },
      {
        room: () => (this.#settling < SETTLING_MAX ? this.#room() : 0),
        arrived: (jobs) => this.#arrived(jobs),
        failed: (error) => this.#report(error),
      },
    )
  }

  #newSettler(): Settler {
    return new Settler(this.#client, this.#hardStop.signal, (error) => this.#report(error))
  }

  #report(error: unknown): void {
    if (this.listenerCount('error') === 0) return
    this.#emit('error', error instanceof Error ? error : new Error(String(error)))
  }

  /** A listener that throws is a bug of its owner: it surfaces as one, and the worker goes on. */
  #emit<K extends keyof WorkerEvents<T, R>>(name: K, ...args: WorkerEvents<T, R>[K]): void {
    try {
      this.emit(name, ...args)
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }
}

/** As a call, because the phase may have changed during an await. */
function isGone(held: HeldJob): boolean {
  return held.phase === 'gone'
}
