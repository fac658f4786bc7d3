// What each token uses at this worker: connections, streams, and how fast it goes. One for all doors.
//
// 1. A token is known by its principal: when its rights change, it is another one, whose connections are new.
// 2. Streams are counted by owner (owner.ts): two tokens of the same name share theirs.
// 3. AUTH_TOKENS, and servers without tokens, have no limits but those of streams, by address.
//
// Next: tcp/standing.ts for connections that authenticate once; admission.ts for requests that each bring their token

import { limits } from '../../engine/limits.ts'
import type { Clock } from '../../engine/ports.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import { anybody, type Principal } from './principal.ts'
import { TokenRate } from './token-rate.ts'

/** Of events: SSE, WebSocket, gRPC Subscribe. Of jobs: gRPC StreamJobs, ProcessJobs. */
export type StreamKind = 'event' | 'job'

const streamsMax: Readonly<Record<StreamKind, number>> = {
  event: limits.streamsPerOwnerMax,
  job: limits.jobStreamsPerOwnerMax,
}

export class Usage {
  private readonly clock: Clock
  private readonly connections = new WeakMap<Principal, number>()
  private readonly rates = new WeakMap<Principal, TokenRate>()
  private readonly streams = new Map<string, number>()

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** Why one more connection may not use this token; null: it may. */
  connectionRefused(principal: Principal): Refusal | null {
    if (principal === anybody) return null
    const max = principal.quota?.connections ?? limits.connectionsPerTokenMax
    if ((this.connections.get(principal) ?? 0) < max) return null
    return refusals.quotaExceeded('connections of this token', max)
  }

  connected(principal: Principal, count: 1 | -1): void {
    this.connections.set(principal, (this.connections.get(principal) ?? 0) + count)
  }

  /** The same of a stream and its owner. */
  streamRefused(kind: StreamKind, owner: string): Refusal | null {
    const max = streamsMax[kind]
    if ((this.streams.get(`${kind} ${owner}`) ?? 0) < max) return null
    return refusals.quotaExceeded(`${kind} streams of one client`, max)
  }

  streamed(kind: StreamKind, owner: string, count: 1 | -1): void {
    const key = `${kind} ${owner}`
    const left = (this.streams.get(key) ?? 0) + count
    if (left === 0) this.streams.delete(key)
    else this.streams.set(key, left)
  }

  /** Null: it may go as fast as it can. */
  rateOf(principal: Principal): TokenRate | null {
    if (principal.quota === undefined) return null
    const known = this.rates.get(principal)
    if (known !== undefined) return known
    const { commandsPerSecond, bytesPerSecond } = principal.quota
    if (Math.min(commandsPerSecond, bytesPerSecond) === Number.POSITIVE_INFINITY) return null
    const rate = new TokenRate(principal.quota, this.clock)
    this.rates.set(principal, rate)
    return rate
  }
}
