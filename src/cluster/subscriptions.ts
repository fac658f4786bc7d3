// Who on this worker listens to which queue, and where the events come from: the hub of this worker for
// its own shards, a link for the others. When an owner changes, the subscription follows it.

import type { Subscriber } from '../engine/ports.ts'
import { NOBODY } from './assignment.ts'
import type { Links } from './links.ts'
import type { Routes } from './routes.ts'
import { shardOfQueue } from './shard-of-queue.ts'

/** The events of this worker's own shards. */
export interface LocalEvents {
  subscribe(queue: string, events: number, subscriber: Subscriber): void
  unsubscribe(queue: string, subscriber: Subscriber): void
}

interface Subscription {
  readonly no: number
  readonly queue: string
  readonly subscriber: Subscriber
  events: number
  /** The worker that sends the events, and its incarnation; NOBODY while there is none. */
  worker: number
  incarnation: number
  /** To be told when the owner has it. */
  waiting: (() => void)[]
}

export class Subscriptions {
  private readonly routes: Routes
  private readonly links: Links
  private readonly local: LocalEvents
  private readonly byNo = new Map<number, Subscription>()
  private readonly bySubscriber = new Map<Subscriber, Subscription[]>()
  private lastNo = 0

  constructor(routes: Routes, links: Links, local: LocalEvents) {
    this.routes = routes
    this.links = links
    this.local = local
  }

  subscribe(queue: string, events: number, subscriber: Subscriber, done: () => void): void {
    const known = this.bySubscriber.get(subscriber) ?? []
    const same = known.find((subscription) => subscription.queue === queue)
    if (same !== undefined) {
      same.events |= events
      same.waiting.push(done)
      this.withdraw(same)
      this.place(same)
      return
    }
    this.lastNo = (this.lastNo + 1) >>> 0
    const subscription: Subscription = {
      no: this.lastNo,
      queue,
      subscriber,
      events,
      worker: NOBODY,
      incarnation: 0,
      waiting: [done],
    }
    this.byNo.set(subscription.no, subscription)
    known.push(subscription)
    this.bySubscriber.set(subscriber, known)
    this.place(subscription)
  }

  unsubscribe(queue: string, subscriber: Subscriber): void {
    const known = this.bySubscriber.get(subscriber) ?? []
    const left = known.filter((subscription) => subscription.queue !== queue)
    if (left.length === 0) this.bySubscriber.delete(subscriber)
    else this.bySubscriber.set(subscriber, left)
    for (const subscription of known) {
      if (subscription.queue !== queue) continue
      this.byNo.delete(subscription.no)
      this.withdraw(subscription)
      answer(subscription)
    }
  }

  /** The owner has it: events from now on will come. */
  confirmed(no: number): void {
    const subscription = this.byNo.get(no)
    if (subscription !== undefined) answer(subscription)
  }

  /** An event line from another worker. */
  event(no: number, line: Buffer): void {
    this.byNo.get(no)?.subscriber.event(line)
  }

  ownersChanged(): void {
    for (const subscription of this.byNo.values()) {
      const owner = this.routes.ownerOf(shardOfQueue(subscription.queue))
      const incarnation = this.routes.incarnationOf(owner)
      if (owner === subscription.worker && incarnation === subscription.incarnation) continue
      this.withdraw(subscription)
      this.place(subscription)
    }
  }

  private place(subscription: Subscription): void {
    const { routes, links } = this
    const { no, queue, events, subscriber } = subscription
    const owner = routes.ownerOf(shardOfQueue(queue))
    if (owner === routes.me) {
      this.local.subscribe(queue, events, subscriber)
      answer(subscription)
    } else {
      const link = links.to(owner)
      if (link === null) return
      link.subscribe(no, events, queue)
    }
    subscription.worker = owner
    subscription.incarnation = routes.incarnationOf(owner)
  }

  private withdraw(subscription: Subscription): void {
    const { no, queue, subscriber, worker } = subscription
    if (worker === this.routes.me) this.local.unsubscribe(queue, subscriber)
    else if (worker !== NOBODY) this.links.existing(worker)?.unsubscribe(no)
    subscription.worker = NOBODY
    subscription.incarnation = 0
  }
}

function answer(subscription: Subscription): void {
  const { waiting } = subscription
  subscription.waiting = []
  for (const done of waiting) done()
}
