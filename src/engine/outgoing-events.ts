// From an event to its deliveries: which webhooks want it, when each is due, how it went.
//
//   event ──note──▶ outbox (a record) ──send──▶ deliverer ──letter──▶ delivered: off the outbox, or a timer for the next attempt
//
// 1. What is to be delivered is recorded together with what happened, so neither is ever without the other.
// 2. A delivery is named to the deliverer again until something is heard of it. Receivers tell repeats by its id.
// 3. Deliveries of a webhook that is not enabled wait; they go on when it is.

import { TimerKind, timerKey } from './due-heap.ts'
import { PING } from './event-body.ts'
import type { Seq } from './job-id.ts'
import { limits } from './limits.ts'
import type { OutboxEntry } from './outbox.ts'
import type { EventKind, ParentMail } from './ports.ts'
import type { Recorder } from './recorder.ts'
import type { ShardState } from './shard-state.ts'
import {
  type DeliveryRef,
  type DeliveryResult,
  deliveryId,
  type WebhookPorts,
} from './webhook-ports.ts'
import { type OutgoingEvent, WEBHOOK_HOME } from './webhooks.ts'

export interface OutgoingPorts {
  readonly mail: ParentMail
  readonly webhooks: WebhookPorts
}

export class OutgoingEvents {
  private readonly state: ShardState
  private readonly record: Recorder
  private readonly ports: OutgoingPorts

  constructor(state: ShardState, record: Recorder, ports: OutgoingPorts) {
    this.state = state
    this.record = record
    this.ports = ports
  }

  note(kind: EventKind, queue: string, seq: Seq, nowMs: number, error: string | null): void {
    const wanting = this.state.webhooks.wanting(kind, queue).filter((no) => this.hasRoom(no))
    if (wanting.length > 0) this.add(kind, seq, nowMs, error, wanting)
  }

  /** A delivery that is about no job; null when the outbox has no room. */
  ping(webhook: number, nowMs: number): DeliveryRef | null {
    const { shard, outbox } = this.state
    if (!this.hasRoom(webhook)) return null
    const ref = { shard, no: outbox.nextNo, createdAtMs: nowMs, webhook }
    this.add(PING, 0, nowMs, null, [webhook])
    return ref
  }

  /** What it is now; null when it is not to be sent (any more). */
  take({ no, createdAtMs }: DeliveryRef): OutgoingEvent | null {
    const entry = this.state.outbox.entries.get(no)
    if (entry === undefined || entry.createdAtMs !== createdAtMs) return null
    const webhook = this.state.webhooks.byNo.get(entry.webhook)
    if (webhook === undefined || !webhook.enabled) return null
    return { webhook, body: entry.body, attempts: entry.attempts }
  }

  delivered(ref: DeliveryRef, result: DeliveryResult, nowMs: number): void {
    const entry = this.state.outbox.entries.get(ref.no)
    if (entry === undefined || entry.createdAtMs !== ref.createdAtMs) return
    const { end, status, error, tookMs } = result
    const nextMs = end === 'retry' ? nowMs + result.delayMs : null
    if (nextMs === null) this.record.deliveryEnded(entry.no)
    else {
      this.record.deliveryFailed(entry.no, nextMs)
      this.state.due.noteStale()
      this.arm(entry, nextMs)
    }
    const tried = {
      id: deliveryId(ref),
      event: entry.event,
      attempt: nextMs === null ? entry.attempts + 1 : entry.attempts,
      at: nowMs,
      ok: end === 'ok',
      status,
      error,
      took_ms: tookMs,
      next_at: nextMs,
    }
    const { webhook } = entry
    this.ports.mail.webhook({
      kind: 'tried',
      to: WEBHOOK_HOME,
      webhook,
      gone: end === 'gone',
      tried,
    })
  }

  /** Its timer is due. */
  due(no: number, dueMs: number, nowMs: number): void {
    const entry = this.state.outbox.entries.get(no)
    if (entry === undefined || entry.timerMs !== dueMs) return
    entry.timerMs = 0
    this.send(entry, nowMs)
  }

  /** A timer that still has its reason. */
  isLive(no: number, dueMs: number): boolean {
    return this.state.outbox.entries.get(no)?.timerMs === dueMs
  }

  /** The shard has a new owner: nobody knows what is under way. */
  armAll(): void {
    for (const entry of this.state.outbox.entries.values()) this.arm(entry, entry.nextMs)
  }

  /** The list has changed: deliveries that waited for their webhook go on. */
  sendWaiting(nowMs: number): void {
    for (const entry of this.state.outbox.entries.values()) {
      if (entry.timerMs !== 0) continue
      if (entry.nextMs > nowMs) this.arm(entry, entry.nextMs)
      else this.send(entry, nowMs)
    }
  }

  private hasRoom(webhook: number): boolean {
    const hasRoom = this.state.outbox.hasRoom(webhook)
    if (!hasRoom) this.ports.webhooks.dropped(webhook)
    return hasRoom
  }

  private add(
    kind: EventKind | typeof PING,
    seq: Seq,
    nowMs: number,
    error: string | null,
    webhooks: readonly number[],
  ): void {
    const { outbox } = this.state
    const first = outbox.nextNo
    this.record.deliveriesAdded({ kind, seq, nowMs, error, webhooks })
    for (let no = first; no < outbox.nextNo; no++) {
      this.send(outbox.entries.get(no) as OutboxEntry, nowMs)
    }
  }

  private send(entry: OutboxEntry, nowMs: number): void {
    const { no, createdAtMs, webhook } = entry
    const known = this.state.webhooks.byNo.get(webhook)
    if (known === undefined || !known.enabled) return
    this.arm(entry, nowMs + limits.webhookResendMs)
    this.ports.webhooks.deliver({ shard: this.state.shard, no, createdAtMs, webhook }, known.url)
  }

  private arm(entry: OutboxEntry, dueMs: number): void {
    entry.timerMs = dueMs
    this.state.due.add(dueMs, timerKey(TimerKind.delivery, entry.no))
  }
}
