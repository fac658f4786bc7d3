// Who consumes, as far as this worker knows: connections that pull, streams of jobs over gRPC, and programs that send
// heartbeats over HTTP or pull with a name over gRPC.
//
// 1. A connection is here from its first pull or HELLO until it closes or goes to another worker; a stream, and a pull
//    with a name over gRPC, from its beginning to its end.
// 2. What came by heartbeat is forgotten `consumerSilenceMsMax` after the last one.
// 3. There are at most `consumersPerWorkerMax` of the second kind; the first kind is bounded by connections and calls.
// 4. "Last seen" is read from a clock that is looked at once a second: a frame costs no look at the time.
//
// Neighbours: `tcp/account.ts` and `grpc/attendance.ts` keep the first kind; `consumer.ts` says how the parts of all workers are one.

import { limits } from '../../engine/limits.ts'
import type { Clock } from '../../engine/ports.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import { type ConsumerClaims, type ConsumerInfo, checkConsumerName } from './consumer.ts'

const LOOK_EVERY_MS = 1000

/** A consumer that is a connection, or a call; that changes it. */
export interface ConnectedConsumer {
  id: string
  readonly queues: Set<string>
  concurrency: number
  lastSeenMs: number
  processed: number
  /** Jobs that it was given, and runs of them that it ended in any way. */
  given: number
  ended: number
  host: string | null
  version: string | null
  address: string | null
  door: string
}

interface Heartbeat {
  readonly claims: ConsumerClaims
  readonly atMs: number
  readonly address: string | null
  readonly door: string
}

export class Consumers {
  /** At most a second ago. */
  nowMs: number
  private readonly clock: Clock
  private readonly connected = new Set<ConnectedConsumer>()
  /** In the order of their last heartbeat. */
  private readonly heartbeats = new Map<string, Heartbeat>()
  private timer: NodeJS.Timeout | null = null

  constructor(clock: Clock) {
    this.clock = clock
    this.nowMs = clock.nowMs()
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer)
    this.timer = null
  }

  join(consumer: ConnectedConsumer): void {
    this.connected.add(consumer)
    this.look()
    this.timer ??= setInterval(() => this.look(), LOOK_EVERY_MS).unref()
  }

  leave(consumer: ConnectedConsumer): void {
    this.connected.delete(consumer)
    if (this.connected.size === 0) this.stop()
  }

  heartbeat(
    id: string,
    claims: ConsumerClaims,
    address: string | null,
    door = 'http',
  ): Refusal | null {
    const refusal = checkConsumerName(id)
    if (refusal !== null) return refusal
    this.forgetSilent()
    const { heartbeats } = this
    const max = limits.consumersPerWorkerMax
    if (!heartbeats.has(id) && heartbeats.size >= max) {
      return refusals.limitExceeded('consumers', max)
    }
    heartbeats.delete(id)
    heartbeats.set(id, { claims, address, door, atMs: this.clock.nowMs() })
    return null
  }

  list(): ConsumerInfo[] {
    this.forgetSilent()
    const infos: ConsumerInfo[] = []
    for (const consumer of this.connected) infos.push(infoOf(consumer))
    for (const [id, heartbeat] of this.heartbeats) infos.push(infoOfHeartbeat(id, heartbeat))
    return infos
  }

  private look(): void {
    this.nowMs = this.clock.nowMs()
  }

  private forgetSilent(): void {
    const sinceMs = this.clock.nowMs() - limits.consumerSilenceMsMax
    for (const [id, { atMs }] of this.heartbeats) {
      if (atMs > sinceMs) return
      this.heartbeats.delete(id)
    }
  }
}

function infoOf(consumer: ConnectedConsumer): ConsumerInfo {
  const { id, concurrency, processed, given, ended, host, address, version, door } = consumer
  return {
    id,
    queues: [...consumer.queues],
    concurrency,
    last_heartbeat: consumer.lastSeenMs,
    jobs_processed: processed,
    active: Math.max(0, given - ended),
    connections: 1,
    host,
    address,
    version,
    door,
  }
}

function infoOfHeartbeat(id: string, { claims, atMs, address, door }: Heartbeat): ConsumerInfo {
  const { queues, concurrency, processed, active, host, version } = claims
  return {
    id,
    queues: queues ?? [],
    concurrency: concurrency ?? 0,
    last_heartbeat: atMs,
    jobs_processed: processed ?? 0,
    active: active ?? 0,
    connections: 0,
    host,
    address,
    version,
    door,
  }
}
