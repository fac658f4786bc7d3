// The deliveries of one shard whose records are kept: receivers hear of what is durable, and of nothing else.

import type { DurableLog } from '../engine/ports.ts'
import type { DeliveryRef, WebhookPorts } from '../engine/webhook-ports.ts'
import type { ReplyHold } from './reply-hold.ts'

export class HeldDeliveries implements WebhookPorts {
  readonly disableAfterMs: number
  private readonly webhooks: WebhookPorts
  private readonly log: DurableLog
  private readonly hold: Pick<ReplyHold, 'letter'>

  constructor(webhooks: WebhookPorts, log: DurableLog, hold: Pick<ReplyHold, 'letter'>) {
    this.webhooks = webhooks
    this.disableAfterMs = webhooks.disableAfterMs
    this.log = log
    this.hold = hold
  }

  refuseUrl(url: string): string | null {
    return this.webhooks.refuseUrl(url)
  }

  deliver(ref: DeliveryRef, url: string): void {
    this.hold.letter(this.log, () => this.webhooks.deliver(ref, url))
  }

  dropped(webhook: number): void {
    this.webhooks.dropped(webhook)
  }
}
