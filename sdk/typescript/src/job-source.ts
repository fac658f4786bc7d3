// Where a worker's jobs come from: the pulls over its queues, never more than it has room for.
//
// 1. A queue has at most one pull under way, and none is abandoned while the worker runs.
// 2. One queue: the pull waits at the server for as many jobs as there is room.
// 3. Several queues take turns: one after another is asked for all the free room, without waiting, one question at a
//    time. A queue that has nothing then gets a waiting pull for one job, and is not asked again until that one ends.
//    So busy queues share the room, idle ones cost nothing, and the only surplus there can be is one job of each
//    queue that was idle when the room filled: the worker hands it back, uncounted.
// 4. After a refusal a queue rests for a while.

import { backoffMs } from './backoff.ts'
import type { FlashQClient } from './flashq.ts'
import type { Job } from './job.ts'
import { atTickEnd } from './tick.ts'

export interface JobSourceSettings {
  readonly queues: readonly string[]
  readonly leaseMs: number
  /** How long a pull waits at the server. */
  readonly waitMs: number
}

export interface JobSourceHooks {
  /** How many jobs may be taken now. */
  room(): number
  arrived(jobs: Job[]): void
  failed(error: unknown): void
}

interface Source {
  readonly queue: string
  phase: 'free' | 'asking' | 'waiting' | 'resting'
  failures: number
  timer: ReturnType<typeof setTimeout> | null
}

const PULL_COUNT_MAX = 1000
const REST_MS = 100
const REST_MS_MAX = 5000

export class JobSource {
  readonly #client: FlashQClient
  readonly #settings: JobSourceSettings
  readonly #hooks: JobSourceHooks
  readonly #sources: Source[]
  readonly #abort = new AbortController()
  #turn = 0
  #wakeScheduled = false

  constructor(client: FlashQClient, settings: JobSourceSettings, hooks: JobSourceHooks) {
    this.#client = client
    this.#settings = settings
    this.#hooks = hooks
    this.#sources = settings.queues.map((queue) => ({
      queue,
      phase: 'free',
      failures: 0,
      timer: null,
    }))
  }

  /** There may be room. Looks at the end of this tick, so that all the room made in it counts. */
  wake(): void {
    if (this.#wakeScheduled) return
    this.#wakeScheduled = true
    atTickEnd(() => {
      this.#wakeScheduled = false
      this.#fill()
    })
  }

  /** Jobs that come later are handed back by the client. */
  stop(): void {
    this.#abort.abort(new Error('The worker stops'))
    for (const source of this.#sources) {
      if (source.timer !== null) clearTimeout(source.timer)
      source.timer = null
    }
  }

  #fill(): void {
    if (this.#abort.signal.aborted) return
    const room = Math.min(PULL_COUNT_MAX, this.#hooks.room())
    if (room <= 0 || this.#sources.some((source) => source.phase === 'asking')) return
    const only = this.#sources.length === 1 ? this.#sources[0] : undefined
    if (only !== undefined) {
      if (only.phase === 'free') void this.#pull(only, 'waiting', room)
      return
    }
    const next = this.#nextFree()
    if (next !== undefined) void this.#pull(next, 'asking', room)
  }

  #nextFree(): Source | undefined {
    for (let step = 0; step < this.#sources.length; step += 1) {
      const place = (this.#turn + step) % this.#sources.length
      const source = this.#sources[place]
      if (source?.phase !== 'free') continue
      this.#turn = place + 1
      return source
    }
    return undefined
  }

  async #pull(source: Source, phase: 'asking' | 'waiting', count: number): Promise<void> {
    source.phase = phase
    try {
      const jobs = await this.#client.pullBatch(source.queue, count, {
        wait: phase === 'asking' ? 0 : this.#settings.waitMs,
        lease: this.#settings.leaseMs,
        token: true,
        releaseOnClose: true,
        signal: this.#abort.signal,
      })
      source.failures = 0
      source.phase = 'free'
      if (jobs.length > 0) this.#hooks.arrived(jobs)
      else if (phase === 'asking' && !this.#abort.signal.aborted) {
        void this.#pull(source, 'waiting', 1)
      }
      this.wake()
    } catch (error) {
      if (this.#abort.signal.aborted) return
      this.#rest(source)
      this.#hooks.failed(error)
      this.wake()
    }
  }

  #rest(source: Source): void {
    source.phase = 'resting'
    source.timer = setTimeout(
      () => {
        source.timer = null
        source.phase = 'free'
        this.wake()
      },
      backoffMs(source.failures, REST_MS, REST_MS_MAX),
    )
    source.failures += 1
  }
}
