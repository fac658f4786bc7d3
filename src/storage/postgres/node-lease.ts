// This node's right to serve what it owns: a row that says until when, kept young.
//
//   renew ─── 2 s ──▶ renew ─── 2 s ──▶ …      each with a time limit of 1.5 s, tried again at once when it failed
//   granted until (the moment before it was sent) + 6 s − 1 s; after that, the node must not answer from memory
//
// 1. PostgreSQL's clock decides when others may take over, this machine's monotonic clock when this node stops. The
//    second begins to count earlier and ends a second earlier, so no clock has to be right.
// 2. A machine that slept has not noticed the time: its lease is lost when it wakes up.
// 3. It has a session of its own: neither data nor a pool that is used up keeps it waiting.
//
// Neighbours: `membership.ts` starts it. Fencing (ADR 7) is what makes takeovers safe; this only makes them rare.

import { uptime } from 'node:os'
import type { StorageFault } from '../../engine/storage-port.ts'
import type { Log } from '../log.ts'
import { Connection, type SessionSettings, type Statement } from './connection.ts'
import { faultOf } from './fault.ts'
import type { ProcessIdentity } from './process-identity.ts'
import { quoteIdentifier } from './schema/identifier.ts'

export interface LeaseTiming {
  readonly ttlMs: number
  /** We stop so long before others may begin. */
  readonly marginMs: number
  readonly renewMs: number
  /** After a renewal that failed. */
  readonly retryMs: number
  readonly answerTimeoutMs: number
}

export const LEASE_TIMING: LeaseTiming = {
  ttlMs: 6000,
  marginMs: 1000,
  renewMs: 2000,
  retryMs: 250,
  answerTimeoutMs: 1500,
}

export interface LeaseListener {
  /** Granted until that moment of `process.hrtime`, in ms: the same clock in every process of this machine. */
  onLease(untilHrtimeMs: number): void
  /** That moment has passed without a renewal. `onLease` may come again. */
  onLeaseLost(): void
}

/** Both run on when the wall clock is set; only the second runs while the machine sleeps. */
export interface MonotonicClocks {
  hrtimeMs(): number
  uptimeMs(): number
}

export const systemClocks: MonotonicClocks = {
  hrtimeMs: () => Number(process.hrtime.bigint() / 1000n) / 1000,
  uptimeMs: () => uptime() * 1000,
}

export interface NodeLeaseOptions {
  readonly settings: SessionSettings
  readonly node: string
  readonly version: string
  readonly identity: ProcessIdentity
  readonly log: Log
  readonly listener: LeaseListener
  readonly timing: LeaseTiming
  readonly clocks?: MonotonicClocks
}

export class NodeLease {
  private readonly options: NodeLeaseOptions
  private readonly clocks: MonotonicClocks
  private readonly connection: Connection
  private readonly renewal: Statement
  private readonly values: readonly unknown[]
  private untilMs = 0
  /** Uptime minus hrtime when the lease was granted. */
  private sleptMs = 0
  private isHeld = false
  /** Whether there may be a row. */
  private isKnown = false
  private isStopped = false
  private isFailing = false
  private renewTimer: NodeJS.Timeout | null = null
  private lossTimer: NodeJS.Timeout | null = null

  constructor(options: NodeLeaseOptions) {
    this.options = options
    this.clocks = options.clocks ?? systemClocks
    const { timing, identity, node, version } = options
    this.connection = new Connection({
      ...options.settings,
      statementTimeoutMs: timing.answerTimeoutMs,
      answerTimeoutMs: timing.answerTimeoutMs,
      connectTimeoutMs: timing.answerTimeoutMs,
      lockTimeoutMs: 0,
    })
    // A row that was removed as expired comes back; what was taken meanwhile stays taken.
    this.renewal = {
      name: 'renew',
      text: `insert into ${quoteIdentifier(options.settings.schema)}.node as n
  (node, expires_at, host, pid, process, version)
values ($1, clock_timestamp() + make_interval(secs => $2), $3, $4, $5, $6)
on conflict (node) do update set expires_at = greatest(n.expires_at, excluded.expires_at)`,
    }
    this.values = [
      node,
      timing.ttlMs / 1000,
      identity.host,
      identity.pid,
      identity.process,
      version,
    ]
  }

  /** Resolves when the lease is held, or rejects: then it is not renewed either. */
  async start(): Promise<void> {
    await this.renew()
    this.renewLater(this.options.timing.renewMs)
  }

  /** Gives the lease back, so that a successor need not wait for its end. Owners must have stopped. */
  async stop(): Promise<void> {
    this.isStopped = true
    for (const timer of [this.renewTimer, this.lossTimer]) if (timer !== null) clearTimeout(timer)
    if (this.isKnown) {
      this.isKnown = false
      const text = `delete from ${quoteIdentifier(this.options.settings.schema)}.node where node = $1`
      // When PostgreSQL is away, the lease ends by itself.
      await this.connection.query({ name: '', text }, [this.options.node]).catch(() => undefined)
    }
    await this.connection.close()
  }

  private renewLater(afterMs: number): void {
    if (this.isStopped) return
    this.renewTimer = setTimeout(() => {
      this.loseIfSlept()
      const { renewMs, retryMs } = this.options.timing
      this.renew().then(
        () => this.renewLater(renewMs),
        (error: unknown) => {
          this.failed(faultOf(error))
          this.renewLater(retryMs)
        },
      )
    }, afterMs)
  }

  private async renew(): Promise<void> {
    const { ttlMs, marginMs } = this.options.timing
    const sentMs = this.clocks.hrtimeMs()
    const sleptMs = this.clocks.uptimeMs() - sentMs
    this.isKnown = true
    await this.connection.query(this.renewal, this.values)
    const untilMs = sentMs + ttlMs - marginMs
    if (this.isStopped || untilMs <= this.clocks.hrtimeMs()) return
    this.untilMs = untilMs
    this.sleptMs = sleptMs
    this.isHeld = true
    if (this.isFailing) this.options.log.info({}, 'the lease of this node is renewed again')
    this.isFailing = false
    this.watch()
    this.options.listener.onLease(untilMs)
  }

  /** Timers may fire early by a fraction; the clock decides. */
  private watch(): void {
    if (this.lossTimer !== null) clearTimeout(this.lossTimer)
    const leftMs = Math.ceil(this.untilMs - this.clocks.hrtimeMs())
    this.lossTimer = setTimeout(
      () => {
        if (this.clocks.hrtimeMs() >= this.untilMs) this.lose()
        else this.watch()
      },
      Math.max(1, leftMs),
    )
  }

  private loseIfSlept(): void {
    const sleptMs = this.clocks.uptimeMs() - this.clocks.hrtimeMs()
    if (sleptMs - this.sleptMs > this.options.timing.marginMs) this.lose()
  }

  private lose(): void {
    if (!this.isHeld || this.isStopped) return
    this.isHeld = false
    if (this.lossTimer !== null) clearTimeout(this.lossTimer)
    this.options.log.warn({}, 'the lease of this node is over: others may take its shards')
    this.options.listener.onLeaseLost()
  }

  /** One line for each outage. */
  private failed(fault: StorageFault): void {
    if (this.isFailing || this.isStopped) return
    this.isFailing = true
    const { log, timing } = this.options
    log.warn(
      { code: fault.code },
      `the lease of this node was not renewed, trying every ${timing.retryMs} ms: ${fault.message}`,
    )
  }
}
