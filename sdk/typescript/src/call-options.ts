// What the client's methods can be told, and the events it emits.

import type { EventName } from './job.ts'

export interface FlashQEvents {
  connect: []
  disconnect: []
  error: [fault: Error]
  reconnecting: [attempt: number, delayMs: number]
}

export interface TokenOption {
  /** Of the delivery that is meant; a later one makes the call end with `stale_token`. */
  token?: number | undefined
}

export type Tokens = readonly (number | null | undefined)[]

export interface AckBatchOptions {
  /** As long as the ids. */
  tokens?: Tokens | undefined
  /** As long as the ids. */
  results?: readonly unknown[] | undefined
}

export interface HeartbeatOptions extends TokenOption {
  /** ms from now; absent: as at the pull. */
  lease?: number | undefined
  /** For several ids: as long as these. */
  tokens?: Tokens | undefined
}

export interface EventOptions {
  /** Absent or empty: of all queues. */
  queues?: readonly string[] | undefined
  /** Absent or empty: of all types. */
  types?: readonly EventName[] | undefined
  /** Events that wait for the loop; beyond it they are dropped, and a `dropped` event says how many. Default 1000. */
  buffer?: number | undefined
}

/** What a consumer says of itself; the server shows it, and believes it. */
export interface ConsumerClaims {
  /** At most 100. */
  queues: readonly string[]
  /** Jobs that it runs at a time. */
  concurrency?: number | undefined
  host?: string | undefined
  version?: string | undefined
  /** Over HTTP only, as are the jobs that it holds (`active`): over TCP the server counts. */
  processed?: number | undefined
  active?: number | undefined
}

export interface CloseOptions {
  /** ms to wait for the answers to what was sent; pulls are given up at once. Default 1000. */
  timeoutMs?: number | undefined
}
