// The webhooks of the node, as each shard knows them: who wants to be told of which events, and how.
//
//   WEBHOOK … ──▶ shard 0, their home: decides, and gives the whole list a new version
//                   └── letter (version, list) ──▶ every other shard, which records a newer list in place of its own
//
// 1. An event is matched by what its own shard has recorded, so no owner, however new, misses one while it asks around.
// 2. The list is small (`limits.webhooksMax`), so it is recorded, sent and stored whole, as JSON.
// 3. Secrets are in it. They are never shown: `webhookInfo` is what leaves the server.

import type { ShardId } from './job-id.ts'
import { EventKind, type EventName } from './ports.ts'

/** The shard that decides about webhooks. */
export const WEBHOOK_HOME: ShardId = 0

/** Shown in place of what is secret. */
const MASK = '***'

export interface Webhook {
  /** Its id is `wh_` and this. */
  readonly no: number
  readonly url: string
  /** As they were given, with or without `job.`; `*` = all. */
  readonly events: readonly string[]
  /** Null: every queue. */
  readonly queue: string | null
  readonly secret: string | null
  /** The secret before, which signs as well until then. */
  readonly oldSecret: string | null
  readonly oldSecretUntilMs: number
  readonly headers: Readonly<Record<string, string>>
  readonly createdAtMs: number
  readonly enabled: boolean
  /** Why it is not enabled; null when it is. */
  readonly reason: string | null
}

/** One delivery as it is sent. */
export interface OutgoingEvent {
  readonly webhook: Webhook
  /** The event's JSON. */
  readonly body: Buffer
  /** Attempts before this one. */
  readonly attempts: number
}

export class Webhooks {
  /** 0: there never was one. */
  version = 0
  nextNo = 1
  readonly byNo = new Map<number, Webhook>()
  /** Bits of the events that any of them wants: mostly none, and then an event costs one comparison. */
  mask = 0
  private masks: (readonly [mask: number, webhook: Webhook])[] = []
  private text = ''

  /** What `webhooksText` made. */
  set(text: string): void {
    const { version, nextNo, list } = JSON.parse(text) as WebhookList
    this.text = text
    this.version = version
    this.nextNo = nextNo
    this.byNo.clear()
    this.masks = []
    this.mask = 0
    for (const webhook of list) {
      this.byNo.set(webhook.no, webhook)
      if (!webhook.enabled) continue
      const mask = webhook.events.reduce((bits, name) => bits | eventBits(name), 0)
      this.masks.push([mask, webhook])
      this.mask |= mask
    }
  }

  /** For `set`, of this shard or another; '' when there never was one. */
  toText(): string {
    return this.text
  }

  isWanted(kind: EventKind, queue: string): boolean {
    return (this.mask & kind) !== 0 && this.wanting(kind, queue).length > 0
  }

  /** The numbers of those that want this event. */
  wanting(kind: EventKind, queue: string): number[] {
    const found: number[] = []
    for (const [mask, webhook] of this.masks) {
      const wants = (mask & kind) !== 0 && (webhook.queue === null || webhook.queue === queue)
      if (wants) found.push(webhook.no)
    }
    return found
  }
}

export interface WebhookList {
  readonly version: number
  readonly nextNo: number
  readonly list: readonly Webhook[]
}

export function webhooksText(list: WebhookList): string {
  return JSON.stringify(list)
}

const ALL_EVENTS = Object.values(EventKind).reduce<number>((mask, bit) => mask | bit, 0)
const PREFIX = 'job.'

/** The bits of an event's name as a webhook may give it; 0 when there is no such event. */
export function eventBits(name: string): number {
  if (name === '*') return ALL_EVENTS
  const bare = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name
  return Object.hasOwn(EventKind, bare) ? EventKind[bare as EventName] : 0
}

/** As it is shown, keys in the order of the wire. */
export function webhookInfo(webhook: Webhook): Readonly<Record<string, unknown>> {
  const { no, url, events, queue, secret, headers, createdAtMs, enabled, reason } = webhook
  return {
    id: webhookId(no),
    url,
    events,
    queue,
    secret: secret === null ? null : MASK,
    created_at: createdAtMs,
    headers: Object.fromEntries(Object.keys(headers).map((name) => [name, MASK])),
    enabled,
    reason,
  }
}

export function webhookId(no: number): string {
  return `wh_${no}`
}

/** -1 for what is no id. */
export function webhookNo(id: string): number {
  return /^wh_[1-9][0-9]{0,14}$/.test(id) ? Number(id.slice(3)) : -1
}
