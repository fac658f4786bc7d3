// Webhooks as the client sees them: who is told of which events by HTTP.

import type { EventName } from './job.ts'

/** With or without `job.` before its name; `*` = all. */
export type WebhookEvent = EventName | `job.${EventName}` | '*'

export interface WebhookOptions {
  readonly url: string
  readonly events: readonly WebhookEvent[]
  /** Absent or null: every queue. */
  readonly queue?: string | null
  /** What deliveries are signed with: any text, or `whsec_` and base64. Never shown again. */
  readonly secret?: string | null
  /** Sent along with every delivery. */
  readonly headers?: Readonly<Record<string, string>>
}

export interface WebhookChanges extends Partial<WebhookOptions> {
  readonly enabled?: boolean
  /** Why it is not enabled. */
  readonly reason?: string
}

export interface Webhook {
  readonly id: string
  readonly url: string
  readonly events: readonly string[]
  readonly queue: string | null
  /** Masked. */
  readonly secret: string | null
  /** Unix ms. */
  readonly created_at: number
  /** Masked. */
  readonly headers: Readonly<Record<string, string>>
  readonly enabled: boolean
  /** `gone`, `failing`, or what was said when it was disabled. */
  readonly reason: string | null
}

/** One attempt at a delivery. */
export interface WebhookAttempt {
  /** Of the delivery: the receiver gets it as `webhook-id`. */
  readonly id: string
  readonly event: string
  readonly attempt: number
  /** Unix ms. */
  readonly at: number
  readonly ok: boolean
  readonly status: number | null
  readonly error: string | null
  readonly took_ms: number
  /** When it is tried again; Unix ms. */
  readonly next_at: number | null
}
