// Events that webhooks are still to be told of: one entry per event and webhook, oldest first.
//
// 1. Bounded per webhook and in bytes; whoever adds looks first (`hasRoom`).
// 2. An entry leaves when it is delivered, given up, or its webhook is deleted.

import { limits } from './limits.ts'

export interface OutboxEntry {
  readonly no: number
  readonly webhook: number
  /** The event's JSON; entries of one event share it. */
  readonly body: Buffer
  readonly event: string
  readonly createdAtMs: number
  /** Attempts that failed. */
  attempts: number
  /** The next attempt is not before. */
  nextMs: number
  /** Not state: when its one timer that counts is due. */
  timerMs: number
}

export class Outbox {
  readonly entries = new Map<number, OutboxEntry>()
  nextNo = 1
  bytes = 0
  private readonly counts = new Map<number, number>()

  hasRoom(webhook: number): boolean {
    return (
      (this.counts.get(webhook) ?? 0) < limits.webhookOutboxMax &&
      this.bytes < limits.webhookOutboxBytesMax
    )
  }

  add(entry: OutboxEntry): void {
    this.entries.set(entry.no, entry)
    this.nextNo = Math.max(this.nextNo, entry.no + 1)
    this.bytes += entry.body.length
    this.counts.set(entry.webhook, (this.counts.get(entry.webhook) ?? 0) + 1)
  }

  remove(entry: OutboxEntry): void {
    if (!this.entries.delete(entry.no)) return
    this.bytes -= entry.body.length
    const left = (this.counts.get(entry.webhook) ?? 1) - 1
    if (left === 0) this.counts.delete(entry.webhook)
    else this.counts.set(entry.webhook, left)
  }
}
