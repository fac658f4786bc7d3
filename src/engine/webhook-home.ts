// What shard 0 keeps in mind about webhooks besides its state: who has the newest list, whose answer waits for that, and
// the last attempts. A new owner begins without; the list goes out again, and attempts are forgotten.

import type { ShardId } from './job-id.ts'
import { limits } from './limits.ts'
import type { DeliveryTry } from './webhook-ports.ts'

interface WaitingAnswer {
  readonly version: number
  readonly untilMs: number
  readonly answer: () => void
}

export class WebhookHome {
  /** When the timer that counts is due; 0 when none is set. */
  timerMs = 0
  /** By shard: the version that it has. */
  private readonly versions = new Float64Array(limits.shards)
  private waiting: WaitingAnswer[] = []
  /** By webhook, oldest first. */
  private readonly tries = new Map<number, DeliveryTry[]>()

  /** Shards that are not known to have this version. */
  lacking(version: number): ShardId[] {
    const lacking: ShardId[] = []
    for (let shard = 0; shard < limits.shards; shard++) {
      if ((this.versions[shard] as number) < version) lacking.push(shard)
    }
    return lacking
  }

  has(shard: ShardId, version: number): void {
    this.versions[shard] = Math.max(this.versions[shard] as number, version)
  }

  /** Shards have new owners: nobody knows what those have. */
  forgetVersions(): void {
    this.versions.fill(0)
  }

  wait(version: number, untilMs: number, answer: () => void): void {
    this.waiting.push({ version, untilMs, answer })
  }

  /** Answers what every shard has, and what has waited long enough. */
  answer(nowMs: number): void {
    const { waiting } = this
    this.waiting = []
    for (const each of waiting) {
      if (nowMs >= each.untilMs || this.lacking(each.version).length === 0) each.answer()
      else this.waiting.push(each)
    }
  }

  answerAll(): void {
    this.answer(Number.POSITIVE_INFINITY)
  }

  tried(webhook: number, attempt: DeliveryTry): void {
    const tries = this.tries.get(webhook) ?? []
    tries.push(attempt)
    if (tries.length > limits.webhookTriesKept) tries.shift()
    this.tries.set(webhook, tries)
  }

  /** The newest first. */
  triesOf(webhook: number): DeliveryTry[] {
    return [...(this.tries.get(webhook) ?? [])].reverse()
  }

  forgetTries(webhook: number): void {
    this.tries.delete(webhook)
  }
}
