// The primary's part in PostgreSQL: the schema is right, this node is known and alive, and others can wake it up.
//
//   start:  connect (back-off) ─▶ migrate ─▶ end the leases of predecessors that are gone ─▶ lease ─▶ LISTEN
//
// 1. Until `start` has resolved nobody may claim a shard for this node. When PostgreSQL does not come within the time
//    given, it rejects, and the caller exits: there is no falling back to memory.
// 2. It writes its own row. Of others it removes those that are over for good: expired a minute ago, or of a process
//    of this machine that is certainly gone, so that a restart after a crash need not wait for a lease.
// 3. A NOTIFY is a transaction of its own, on a session that carries no data: one inside a data transaction would
//    make all commits of the database wait for one another.
//
// Neighbours: `node-lease.ts`, `listener.ts`, `migrate.ts`; `src/server.ts` gives the lease on to the workers.

import { setTimeout as delay } from 'node:timers/promises'
import { StorageFault } from '../../engine/storage-port.ts'
import type { Log } from '../log.ts'
import { applicationName } from './claiming.ts'
import { Connection, type SessionSettings } from './connection.ts'
import { faultOf } from './fault.ts'
import { channelOf, Listener, type ListenerTiming } from './listener.ts'
import { migrate } from './migrate.ts'
import { LEASE_TIMING, type LeaseListener, type LeaseTiming, NodeLease } from './node-lease.ts'
import { isGone, ownIdentity, type ProcessIdentity } from './process-identity.ts'
import { quoteIdentifier } from './schema/identifier.ts'

export interface MembershipOptions extends LeaseListener {
  readonly url: string
  readonly schema: string
  /** A uuid, new at each start of the primary. */
  readonly node: string
  /** Of this server, for who looks at the table. */
  readonly version: string
  readonly startTimeoutMs: number
  readonly log: Log
  readonly leaseTiming?: LeaseTiming
  readonly listenerTiming?: ListenerTiming
  readonly pollMs?: number
  readonly identity?: ProcessIdentity
}

const BACK_OFF_MS_MIN = 250
const BACK_OFF_MS_MAX = 5000
const POLL_MS = 2000
/** At most 20 a second, whatever happens. */
const WAKE_PAUSE_MS = 50
const CLEAN_MS = 30_000

export class Membership {
  private readonly options: MembershipOptions
  private readonly schema: string
  private readonly control: Connection
  private readonly lease: NodeLease
  private readonly listener: Listener
  private readonly wakeListeners: (() => void)[] = []
  private readonly stopping = new AbortController()
  private readonly timers: NodeJS.Timeout[] = []
  private wakeTimer: NodeJS.Timeout | null = null
  private isWakeWanted = false

  constructor(options: MembershipOptions) {
    this.options = options
    const { node, version, log } = options
    const settings = this.settings()
    this.schema = quoteIdentifier(options.schema)
    this.control = new Connection(settings)
    this.lease = new NodeLease({
      settings,
      node,
      version,
      log,
      identity: this.identity(),
      listener: options,
      timing: options.leaseTiming ?? LEASE_TIMING,
    })
    this.listener = new Listener({
      settings,
      channel: channelOf(options.schema),
      log,
      ...(options.listenerTiming === undefined ? {} : { timing: options.listenerTiming }),
      // What this node has done itself it knows.
      notified: (payload) => {
        if (payload !== node) this.woken()
      },
      caughtUp: () => this.woken(),
    })
  }

  /** Rejects with the last fault when it has taken too long, or at once when waiting would not help. */
  async start(): Promise<void> {
    try {
      await this.joinWithinTime()
    } catch (error) {
      await this.stop()
      throw error
    }
    if (this.stopping.signal.aborted) throw stoppedFault()
    this.listener.start()
    this.timers.push(setInterval(() => this.woken(), this.options.pollMs ?? POLL_MS))
    this.timers.push(setInterval(() => this.removeExpiredLater(), CLEAN_MS))
  }

  /** After the workers have stopped. The node's row goes, and with it its claim to what they owned: others are told. */
  async stop(): Promise<void> {
    this.stopping.abort()
    for (const timer of this.timers) clearInterval(timer)
    if (this.wakeTimer !== null) clearTimeout(this.wakeTimer)
    await Promise.all([this.listener.stop(), this.lease.stop()])
    await this.notify().catch(() => undefined)
    await this.control.close()
  }

  /** Called when another node has said that something changed, after any gap in hearing it, and every 2 s anyway. */
  onWake(listener: () => void): void {
    this.wakeListeners.push(listener)
  }

  /** Tells the other nodes that something has changed. Calls shortly after one another are one. */
  wake(): void {
    this.isWakeWanted = true
    if (this.wakeTimer === null) this.sendWake()
  }

  private sendWake(): void {
    this.isWakeWanted = false
    const { log } = this.options
    this.wakeTimer = setTimeout(() => {
      this.wakeTimer = null
      if (this.isWakeWanted) this.sendWake()
    }, WAKE_PAUSE_MS)
    this.notify().catch((error: unknown) => {
      // They poll.
      log.debug({ code: faultOf(error).code }, 'the other nodes were not notified')
    })
  }

  private async notify(): Promise<void> {
    const { schema, node } = this.options
    const wake = { name: 'wake', text: 'select pg_notify($1, $2)' }
    await this.control.query(wake, [channelOf(schema), node])
  }

  private woken(): void {
    for (const listener of this.wakeListeners) listener()
  }

  private async joinWithinTime(): Promise<void> {
    const { startTimeoutMs, log } = this.options
    const startedMs = performance.now()
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.join()
      } catch (error) {
        if (!(error instanceof StorageFault)) throw error
        const waitMs = Math.min(BACK_OFF_MS_MAX, BACK_OFF_MS_MIN * 2 ** (attempt - 1))
        const spentMs = Math.round(performance.now() - startedMs)
        if (!error.retryable || spentMs + waitMs > startTimeoutMs) throw gaveUp(error, spentMs)
        log.warn(
          { code: error.code, attempt },
          `${error.message}: attempt ${attempt} in ${waitMs} ms`,
        )
        await this.pause(waitMs)
      }
    }
  }

  private async join(): Promise<void> {
    const { schema, log } = this.options
    const { applied, version } = await migrate(this.control, schema)
    const names = applied.map((step) => `${step.version} (${step.name})`).join(', ')
    if (applied.length > 0) log.info({ version }, `schema ${schema}: applied version ${names}`)
    await this.removeExpired()
    await this.endLeasesOfTheGone()
    await this.lease.start()
  }

  private async pause(ms: number): Promise<void> {
    try {
      await delay(ms, undefined, { signal: this.stopping.signal })
    } catch {
      throw stoppedFault()
    }
  }

  private async endLeasesOfTheGone(): Promise<void> {
    const own = this.identity()
    const { rows } = await this.control.query<ProcessIdentity & { node: string }>({
      name: '',
      text: `select node, host, pid, process from ${this.schema}.node`,
    })
    for (const row of rows.filter((other) => isGone(other, own))) {
      // Named with its process: the row must be the one that was looked at.
      const { rows: removed } = await this.control.query(
        {
          name: '',
          text: `delete from ${this.schema}.node where node = $1 and process = $2 returning node`,
        },
        [row.node, row.process],
      )
      if (removed.length === 0) continue
      this.options.log.info(
        { node: row.node, pid: row.pid },
        'a node of this machine ended without saying so: its shards are free at once',
      )
    }
  }

  private removeExpiredLater(): void {
    // If it fails, another time.
    this.removeExpired().catch(() => undefined)
  }

  private async removeExpired(): Promise<void> {
    const text = `delete from ${this.schema}.node where expires_at < clock_timestamp() - interval '1 minute'`
    await this.control.query({ name: 'remove_expired', text })
  }

  private identity(): ProcessIdentity {
    return this.options.identity ?? ownIdentity()
  }

  private settings(): SessionSettings {
    return {
      url: this.options.url,
      schema: this.options.schema,
      applicationName: applicationName(this.options.node),
      statementTimeoutMs: 5000,
      answerTimeoutMs: 5000,
      connectTimeoutMs: 5000,
      lockTimeoutMs: 3000,
      synchronousCommit: 'on',
    }
  }
}

function stoppedFault(): StorageFault {
  return new StorageFault('closed', 'the server was stopped while it was starting', false)
}

function gaveUp(fault: StorageFault, spentMs: number): StorageFault {
  const text = fault.retryable
    ? `gave up after ${spentMs} ms (DATABASE_START_TIMEOUT_MS): ${fault.message}`
    : fault.message
  return new StorageFault(fault.code, text, false, fault)
}
