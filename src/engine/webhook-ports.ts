// What the shards say of webhooks to each other and to whoever delivers.
//
//   shard ──deliver──▶ deliverer ──take──▶ the delivery itself, if it is still wanted ──▶ HTTP
//   shard ◀──letter `delivered`── deliverer          home ◀──letter `tried`── shard

import type { ShardId } from './job-id.ts'

/** Names one delivery: for ever where shards are durable. */
export interface DeliveryRef {
  readonly shard: ShardId
  readonly no: number
  /** When its event happened; tells it from one of the same number in another life of the shard. */
  readonly createdAtMs: number
  /** Where it goes. */
  readonly webhook: number
}

/** `retry`: again after `delayMs`. `dead`: not again. `gone`: not again, and the receiver wants no others. */
export type DeliveryEnd = 'ok' | 'retry' | 'dead' | 'gone'

export interface DeliveryResult {
  readonly end: DeliveryEnd
  readonly delayMs: number
  /** The receiver's, when it answered. */
  readonly status: number | null
  /** Why it failed, in the server's own words. */
  readonly error: string | null
  readonly tookMs: number
}

/** One attempt, as it is shown. */
export interface DeliveryTry {
  readonly id: string
  readonly event: string
  readonly attempt: number
  readonly at: number
  readonly ok: boolean
  readonly status: number | null
  readonly error: string | null
  readonly took_ms: number
  readonly next_at: number | null
}

/** Between shards, as `ParentMail` carries it: it may come twice, or not at all. */
export type WebhookLetter =
  | { readonly kind: 'webhooks'; readonly to: ShardId; readonly text: string }
  | {
      readonly kind: 'webhooksTaken'
      readonly to: ShardId
      readonly from: ShardId
      readonly version: number
    }
  | {
      readonly kind: 'delivered'
      readonly to: ShardId
      readonly ref: DeliveryRef
      readonly result: DeliveryResult
    }
  | {
      readonly kind: 'tried'
      readonly to: ShardId
      readonly webhook: number
      readonly gone: boolean
      readonly tried: DeliveryTry
    }

/** What a shard needs of whoever delivers. */
export interface WebhookPorts {
  /** Why this URL may never be asked, or null. Its name is not looked up. */
  refuseUrl(url: string): string | null
  /** A delivery is due. It may be named again while it is under way. */
  deliver(ref: DeliveryRef, url: string): void
  /** The outbox has no room: an event is not delivered. */
  dropped(webhook: number): void
  /** A webhook that only fails for so long is disabled; 0 = never. */
  readonly disableAfterMs: number
}

/** Where nobody delivers: events stay in the outbox. */
export const noDeliveries: WebhookPorts = {
  refuseUrl: () => null,
  deliver: () => undefined,
  dropped: () => undefined,
  disableAfterMs: 0,
}

/** Stable over all attempts. */
export function deliveryId({ shard, no, createdAtMs }: DeliveryRef): string {
  return `msg_${shard}_${no}_${createdAtMs}`
}
