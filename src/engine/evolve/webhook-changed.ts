// Records about webhooks: the list, what is to be delivered, how that went.

import { eventBody, eventName } from '../event-body.ts'
import type { Seq } from '../job-id.ts'
import type { ShardState } from '../shard-state.ts'

/** Record `webhooksSet`: a newer list. What was for webhooks that are gone goes with them. */
export function evolveWebhooksSet(state: ShardState, text: string): void {
  const { webhooks, outbox, failingSince } = state
  webhooks.set(text)
  for (const entry of [...outbox.entries.values()]) {
    if (webhooks.byNo.has(entry.webhook)) continue
    outbox.remove(entry)
    state.due.noteStale()
  }
  for (const no of [...failingSince.keys()]) if (!webhooks.byNo.has(no)) failingSince.delete(no)
}

/** What `deliveriesAdded` says. */
export interface EventNoted {
  /** `EventKind`, or `PING`. */
  readonly kind: number
  readonly seq: Seq
  readonly nowMs: number
  readonly error: string | null
  readonly webhooks: readonly number[]
}

/** Record `deliveriesAdded`: an event happened that these webhooks are to be told of. */
export function evolveDeliveriesAdded(state: ShardState, noted: EventNoted): void {
  const { kind, seq, nowMs, error } = noted
  const { outbox } = state
  const body = eventBody(state, kind, seq, nowMs, error)
  const event = eventName(kind)
  for (const webhook of noted.webhooks) {
    const no = outbox.nextNo
    const times = { createdAtMs: nowMs, attempts: 0, nextMs: nowMs, timerMs: 0 }
    outbox.add({ no, webhook, body, event, ...times })
  }
}

/** Record `deliveryFailed`: one attempt; the next one is not before `nextMs`. */
export function evolveDeliveryFailed(state: ShardState, no: number, nextMs: number): void {
  const entry = state.outbox.entries.get(no)
  if (entry === undefined) return
  entry.attempts++
  entry.nextMs = nextMs
}

/** Record `deliveryEnded`: it arrived, or is given up. */
export function evolveDeliveryEnded(state: ShardState, no: number): void {
  const entry = state.outbox.entries.get(no)
  if (entry === undefined) return
  state.outbox.remove(entry)
  state.due.noteStale()
}

/** Record `webhookHealth`: since when nothing has arrived at it; 0 = something has. */
export function evolveWebhookHealth(state: ShardState, no: number, sinceMs: number): void {
  if (sinceMs === 0) state.failingSince.delete(no)
  else state.failingSince.set(no, sinceMs)
}
