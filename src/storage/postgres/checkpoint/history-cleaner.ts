// Drops the days of history that are older than what is kept: at start, and every hour. The primary runs it; several do no harm.

import type { Log } from '../../log.ts'
import { Connection, type SessionSettings } from '../connection.ts'
import { faultOf } from '../fault.ts'
import { dropHistoryDays } from './history-days.ts'

const EVERY_MS = 3_600_000
const STATEMENT_TIMEOUT_MS = 30_000

export interface HistoryCleanerOptions {
  readonly url: string
  readonly schema: string
  readonly applicationName: string
  readonly historyDays: number
  readonly log: Log
}

export class HistoryCleaner {
  private readonly options: HistoryCleanerOptions
  private timer: NodeJS.Timeout | null = null
  private running: Promise<void> = Promise.resolve()

  constructor(options: HistoryCleanerOptions) {
    this.options = options
  }

  start(): void {
    this.timer = setInterval(() => this.clean(), EVERY_MS)
    this.clean()
  }

  /** Resolves when nothing of it is under way. */
  async stop(): Promise<void> {
    if (this.timer !== null) clearInterval(this.timer)
    this.timer = null
    await this.running
  }

  private clean(): void {
    this.running = this.running.then(() => this.drop())
  }

  private async drop(): Promise<void> {
    const { schema, historyDays, log } = this.options
    const connection = new Connection(this.settings())
    try {
      const { dropped, postponed } = await dropHistoryDays(connection, schema, historyDays)
      if (dropped.length > 0) log.info({ days: dropped }, 'history: old days were dropped')
      if (postponed.length > 0) {
        log.warn({ days: postponed }, 'history: old days are being read, and are dropped later')
      }
    } catch (error) {
      log.warn(
        { code: faultOf(error).code },
        'history: old days could not be dropped, another time',
      )
    } finally {
      await connection.close()
    }
  }

  private settings(): SessionSettings {
    const { url, schema, applicationName } = this.options
    return {
      url,
      schema,
      applicationName,
      statementTimeoutMs: STATEMENT_TIMEOUT_MS,
      answerTimeoutMs: STATEMENT_TIMEOUT_MS,
      connectTimeoutMs: 5000,
      lockTimeoutMs: 1000,
      synchronousCommit: 'on',
    }
  }
}
