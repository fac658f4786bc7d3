// Says that jobs which were handed out without a lease have been sent, when nothing else says so: `engine/confirmation.ts`.
//
//   delivery appended ─▶ owed ─▶ durable, and quiet for CONFIRM_MS ─▶ one record more
//
// Neighbours: `journal.ts`, whose records it sees and to which it adds.

import { confirmedRecord, isUnleasedDelivery } from '../engine/confirmation.ts'
import type { Delay } from './delay.ts'

/** Long beside a reply's way to the kernel, short beside a job. */
const CONFIRM_MS = 100

/** Of a journal. */
export interface Confirmable {
  readonly mark: number
  readonly durableMark: number
  append(record: Buffer): void
  drained(): Promise<boolean>
}

export class Confirmations {
  private readonly journal: Confirmable
  private readonly delay: Delay
  private isOwed = false
  private cancel: (() => void) | null = null

  constructor(journal: Confirmable, delay: Delay) {
    this.journal = journal
    this.delay = delay
  }

  appended(record: Buffer): void {
    if (isUnleasedDelivery(record)) this.isOwed = true
  }

  /** The journal's `durableMark` has risen, and the replies that waited for it are sent. */
  durable(): void {
    const { journal } = this
    if (!this.isOwed || this.cancel !== null || journal.mark !== journal.durableMark) return
    const { mark } = journal
    this.cancel = this.delay(CONFIRM_MS, () => {
      this.cancel = null
      if (journal.mark === mark) void this.confirm()
      else this.durable()
    })
  }

  /** Resolves when what was owed is durable, or nothing more will be. */
  async confirm(): Promise<void> {
    if (!this.isOwed) return
    this.isOwed = false
    this.journal.append(confirmedRecord)
    await this.journal.drained()
  }

  stop(): void {
    this.cancel?.()
    this.cancel = null
    this.isOwed = false
  }
}
