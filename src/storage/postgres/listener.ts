// LISTEN on one channel, for as long as the server runs: notifications come again by themselves after any failure.
//
//   connect ─▶ LISTEN ─▶ is it there? ─▶ listening: a look every 10 s ─▶ …
//      ▲                                     │ lost, no answer within 5 s, or no longer there
//      └──────────── back-off, capped ◀──────┘
//
// 1. A notification is a hint, never the only news: what is sent while nobody listens is gone. So `caughtUp` tells,
//    after each beginning, that everything must be read anew, and who uses this polls besides.
// 2. A connection that is dead without a word is found by the look, which has a time limit.
// 3. Where LISTEN cannot work (a standby, a pooler that shares sessions between transactions) it is tried again
//    seldom, and the log says so once.
//
// Neighbours: `membership.ts` uses it. `docs/adr/0008-own-listener.md`: why not `pg-listen`.

import { createHash } from 'node:crypto'
import type { StorageFault } from '../../engine/storage-port.ts'
import type { Log } from '../log.ts'
import { Connection, type SessionSettings, type Statement } from './connection.ts'
import { faultOf } from './fault.ts'
import { quoteIdentifier } from './schema/identifier.ts'

export interface ListenerOptions {
  readonly settings: SessionSettings
  readonly channel: string
  readonly log: Log
  readonly timing?: ListenerTiming
  notified(payload: string): void
  /** From now on nothing is missed; what came before may have been. */
  caughtUp(): void
}

export interface ListenerTiming {
  readonly heartbeatMs: number
  readonly answerTimeoutMs: number
  readonly backOffMsMin: number
  readonly backOffMsMax: number
}

const TIMING: ListenerTiming = {
  heartbeatMs: 10_000,
  answerTimeoutMs: 5_000,
  backOffMsMin: 100,
  backOffMsMax: 10_000,
}

/** Channels belong to the database, not to a schema, and have at most 63 bytes. */
export function channelOf(schema: string): string {
  const hash = createHash('sha256').update(schema).digest('hex')
  return `flashq_${hash.slice(0, 24)}`
}

export class Listener {
  private readonly options: ListenerOptions
  private readonly timing: ListenerTiming
  private readonly connection: Connection
  private readonly listen: Statement
  private timer: NodeJS.Timeout | null = null
  private isStopped = true
  private isListening = false
  /** In a row, without having listened in between. */
  private failures = 0

  constructor(options: ListenerOptions) {
    this.options = options
    this.timing = options.timing ?? TIMING
    this.listen = { name: '', text: `listen ${quoteIdentifier(options.channel)}` }
    this.connection = new Connection(options.settings, {
      notified: (channel, payload) => {
        if (channel === options.channel) options.notified(payload)
      },
      lost: (fault) => this.lost(fault),
      pooled: () => {
        options.log.warn(
          {},
          'a pooler is in front of PostgreSQL: if it shares sessions between transactions, notifications do not arrive, and changes are noticed by polling',
        )
      },
    })
  }

  /** Returns at once: whether it listens is not what anybody waits for. */
  start(): void {
    this.isStopped = false
    this.next(0)
  }

  async stop(): Promise<void> {
    this.isStopped = true
    if (this.timer !== null) clearTimeout(this.timer)
    await this.connection.close()
  }

  private next(afterMs: number): void {
    if (this.isStopped) return
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = setTimeout(() => {
      this.timer = null
      this.beat().catch((error: unknown) => {
        // When the session was lost with the question, that has been told already.
        if (this.timer === null) this.failed(faultOf(error))
      })
    }, afterMs)
  }

  private async beat(): Promise<void> {
    const { answerTimeoutMs, heartbeatMs } = this.timing
    const wasListening = this.isListening
    if (!wasListening) await this.connection.query(this.listen, [], answerTimeoutMs)
    const { rows } = await this.connection.query<{ there: boolean }>(
      IS_LISTENING,
      [this.options.channel],
      answerTimeoutMs,
    )
    if (this.isStopped) return
    if (rows[0]?.there !== true) {
      // The statement reached another session than LISTEN had.
      this.connection.drop()
      throw faultOf(new Error('the session does not listen, although it was told to'))
    }
    if (!wasListening) this.began()
    this.next(heartbeatMs)
  }

  private began(): void {
    this.isListening = true
    if (this.failures > 0) this.options.log.info({}, 'notifications of PostgreSQL arrive again')
    this.failures = 0
    this.options.caughtUp()
  }

  private lost(fault: StorageFault): void {
    if (this.isListening) this.failed(fault)
  }

  private failed(fault: StorageFault): void {
    if (this.isStopped) return
    this.isListening = false
    this.failures++
    if (this.failures === 1) {
      this.options.log.warn(
        { code: fault.code },
        `notifications of PostgreSQL do not arrive, changes are noticed by polling: ${fault.message}`,
      )
    }
    const { backOffMsMin, backOffMsMax } = this.timing
    this.next(Math.min(backOffMsMax, backOffMsMin * 2 ** Math.min(20, this.failures - 1)))
  }
}

const IS_LISTENING: Statement = {
  name: 'is_listening',
  text: 'select exists (select from pg_listening_channels() c where c = $1) as there',
}
