// Every option of a worker, with its default and its bounds.

import { type ClientOptions, TIMER_MS_MAX, within } from './options.ts'
import { VERSION } from './version.ts'

export interface WorkerOptions extends ClientOptions {
  /** The name that the server lists it by. Default `worker-<ms>-<random>`. */
  id?: string | undefined
  /** Processors that run at a time. Default 1. */
  concurrency?: number | undefined
  /** Jobs held beyond these, so that the next one is at hand. Default 0. */
  prefetch?: number | undefined
  /** ms of the lease of every job. Default 30,000. */
  lease?: number | undefined
  /** Extend the leases while processors run. Default true. */
  heartbeat?: boolean | undefined
  /** ms between these extensions. Default a third of the lease. */
  heartbeatInterval?: number | undefined
  /** Ack with the processor's result, fail with its error. Default true. */
  autoAck?: boolean | undefined
  /** Of the machine, as the server lists it. Default: its own; in a browser none. */
  hostname?: string | undefined
  /** Of the program, as the server lists it. Default: `flashq` and the version of this package. */
  version?: string | undefined
}

export interface WorkerSettings {
  readonly id: string
  readonly concurrency: number
  readonly prefetch: number
  readonly leaseMs: number
  readonly heartbeat: boolean
  readonly heartbeatMs: number
  readonly autoAck: boolean
  readonly hostname: string | undefined
  readonly version: string
}

export function resolveWorkerSettings(options: WorkerOptions): WorkerSettings {
  const leaseMs = within('lease', options.lease ?? 30_000, 1, 24 * 60 * 60 * 1000)
  const heartbeatMs = options.heartbeatInterval ?? Math.max(1, Math.floor(leaseMs / 3))
  return {
    id: options.id ?? `worker-${Date.now()}-${Math.random().toString(36).slice(2, 8)}`,
    concurrency: within('concurrency', options.concurrency ?? 1, 1, 100_000),
    prefetch: within('prefetch', options.prefetch ?? 0, 0, 100_000),
    leaseMs,
    heartbeat: options.heartbeat ?? true,
    heartbeatMs: within('heartbeatInterval', heartbeatMs, 1, TIMER_MS_MAX),
    autoAck: options.autoAck ?? true,
    hostname: options.hostname,
    version: options.version ?? `flashq ${VERSION}`,
  }
}
