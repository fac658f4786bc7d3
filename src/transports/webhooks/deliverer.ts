// Sends what the shards of this worker have for webhooks.
//
//   shard ──deliver(ref, url)──▶ lane of the host: waiting, in order ──▶ at most 4 under way, 64 in all ──▶ attempt
//   shard ◀──letter `delivered`───────────────────────────────────────────────────── its result ──┘
//
// 1. Only names of deliveries wait here. What is sent is taken from its shard at the moment it is sent: nothing that was
//    deleted, disabled or given away meanwhile goes out.
// 2. A slow or dead host holds 4 places, never those of the others.
// 3. Where the process ends in between, the shard's next owner sends again.

import { limits } from '../../engine/limits.ts'
import type { Clock } from '../../engine/ports.ts'
import {
  type DeliveryEnd,
  type DeliveryRef,
  deliveryId,
  type WebhookLetter,
  type WebhookPorts,
} from '../../engine/webhook-ports.ts'
import { type OutgoingEvent, webhookId } from '../../engine/webhooks.ts'
import type { Log } from '../log.ts'
import type { Attempted, Post } from './attempt.ts'
import { isThrottling, type RetryTerms, resultOf } from './retries.ts'
import { signatureHeaders } from './signature.ts'
import type { UrlPolicy } from './url-policy.ts'

export interface DelivererOptions {
  readonly policy: Pick<UrlPolicy, 'refuse'>
  readonly retries: RetryTerms
  readonly disableAfterMs: number
  readonly userAgent: string
  readonly clock: Clock
  readonly log: Log
  attempt(post: Post, signal: AbortSignal): Promise<Attempted>
  /** Null when it is not to be sent any more. */
  take(ref: DeliveryRef): OutgoingEvent | null
  report(letter: WebhookLetter): void
}

const countOf = {
  ok: 'delivered',
  retry: 'retried',
  dead: 'givenUp',
  gone: 'gone',
} as const satisfies Record<DeliveryEnd, string>

/** What goes to one host. */
interface Lane {
  readonly host: string
  readonly waiting: Map<string, DeliveryRef>
  active: number
  /** 1 while the host is overloaded. */
  activeMax: number
}

export class Deliverer implements WebhookPorts {
  readonly disableAfterMs: number
  /** Since the start of this worker. */
  readonly counts = { delivered: 0, retried: 0, givenUp: 0, gone: 0, dropped: 0 }
  private readonly options: DelivererOptions
  private readonly lanes = new Map<string, Lane>()
  /** Waiting or under way. */
  private readonly known = new Set<string>()
  private readonly ending = new AbortController()
  private active = 0
  private willFill = false
  private stopped: (() => void)[] = []

  constructor(options: DelivererOptions) {
    this.options = options
    this.disableAfterMs = options.disableAfterMs
  }

  /** Waiting or under way. */
  get pending(): number {
    return this.known.size
  }

  get underWay(): number {
    return this.active
  }

  refuseUrl(url: string): string | null {
    return this.options.policy.refuse(url)
  }

  deliver(ref: DeliveryRef, url: string): void {
    const key = deliveryId(ref)
    if (this.ending.signal.aborted || this.known.has(key)) return
    this.known.add(key)
    this.laneOf(url).waiting.set(key, ref)
    // The shard's turn is not held up by connections.
    if (!this.willFill) setImmediate(this.fill)
    this.willFill = true
  }

  dropped(webhook: number): void {
    const count = ++this.counts.dropped
    // Told at 1, 2, 4, 8, …: a flood of events is no flood of lines.
    if ((count & (count - 1)) !== 0) return
    const what = { webhook: webhookId(webhook), count }
    this.options.log.warn(what, 'events were not kept for a webhook: its outbox is full')
  }

  /** Nothing more is sent; resolves when nothing is under way. */
  stop(): Promise<void> {
    this.ending.abort()
    this.lanes.clear()
    this.known.clear()
    if (this.active === 0) return Promise.resolve()
    return new Promise((resolve) => this.stopped.push(resolve))
  }

  private laneOf(url: string): Lane {
    const { host } = new URL(url)
    let lane = this.lanes.get(host)
    if (lane === undefined) {
      const activeMax = limits.webhookPerHostMax
      lane = { host, waiting: new Map(), active: 0, activeMax }
      this.lanes.set(host, lane)
    }
    return lane
  }

  /** One of each lane in turn, until there is no room or nothing more: a lane that has sent goes behind the others. */
  private readonly fill = (): void => {
    this.willFill = false
    for (const lane of this.lanes.values()) {
      if (this.active >= limits.webhooksUnderWayMax) return
      if (lane.active < lane.activeMax && lane.waiting.size > 0) this.sendNext(lane)
    }
  }

  private sendNext(lane: Lane): void {
    const [next] = lane.waiting
    if (next === undefined) return
    const [key, ref] = next
    lane.waiting.delete(key)
    const event = this.options.take(ref)
    if (event === null) this.known.delete(key)
    else {
      lane.active++
      this.active++
      // It never rejects.
      void this.send(lane, key, ref, event)
    }
    this.lanes.delete(lane.host)
    if (lane.active > 0 || lane.waiting.size > 0) this.lanes.set(lane.host, lane)
  }

  private async send(
    lane: Lane,
    key: string,
    ref: DeliveryRef,
    event: OutgoingEvent,
  ): Promise<void> {
    const { clock, attempt } = this.options
    const startMs = clock.nowMs()
    const attempted = await attempt(this.postOf(key, event, startMs), this.ending.signal)
    lane.active--
    this.active--
    this.known.delete(key)
    if (this.ending.signal.aborted) return this.ended()
    lane.activeMax = isThrottling(attempted) ? 1 : limits.webhookPerHostMax
    this.report(lane, ref, event, attempted, clock.nowMs() - startMs)
    if (lane.active === 0 && lane.waiting.size === 0) this.lanes.delete(lane.host)
    this.fill()
  }

  private postOf(id: string, { webhook, body }: OutgoingEvent, nowMs: number): Post {
    const { url, headers, secret, oldSecret, oldSecretUntilMs } = webhook
    const secrets = [secret, nowMs < oldSecretUntilMs ? oldSecret : null]
    const signed = { id, timestampS: Math.floor(nowMs / 1000), body }
    return {
      url,
      body,
      headers: {
        ...headers,
        'content-type': 'application/json',
        'user-agent': this.options.userAgent,
        ...signatureHeaders(
          signed,
          secrets.filter((each) => each !== null),
        ),
      },
    }
  }

  private report(
    { host }: Lane,
    ref: DeliveryRef,
    { attempts }: OutgoingEvent,
    attempted: Attempted,
    tookMs: number,
  ): void {
    const { retries, log, report } = this.options
    const result = resultOf(attempted, attempts, tookMs, retries)
    const { end, status, error } = result
    this.counts[countOf[end]]++
    if (end === 'dead' || end === 'gone') {
      // The host alone: the rest of a URL may be somebody's secret.
      const what = { webhook: webhookId(ref.webhook), host, id: deliveryId(ref), status, error }
      log.warn({ ...what, attempts: attempts + 1 }, 'a delivery to a webhook was given up')
    }
    report({ kind: 'delivered', to: ref.shard, ref, result })
  }

  private ended(): void {
    if (this.active > 0) return
    for (const resolve of this.stopped.splice(0)) resolve()
  }
}
