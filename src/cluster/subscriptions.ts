// Who on this worker listens to which queue, and where the events come from: the hub of this worker for
// its own shards, a link for the others. When an owner changes, the subscription follows it. One to all queues
// is a subscription at every live worker; the subscriber is told when one of them dies, as it may have missed events.
//
//   a subscriber goes to another worker:   leave ──its list──▶ takeOver there ──▶ owner: the old one ends, the new one begins
//                                            ◀──────────────── takenOver ──────────┘ in one step: no event is lost or doubled

import { ALL_QUEUES, type Subscriber } from '../engine/ports.ts'
import { NOBODY } from './assignment.ts'
import type { Links } from './links.ts'
import type { Routes } from './routes.ts'
import { shardOfQueue } from './shard-of-queue.ts'

/** The events of this worker's own shards. */
export interface LocalEvents {
  subscribe(queue: string, events: number, subscriber: Subscriber): void
  unsubscribe(queue: string, subscriber: Subscriber): void
}

/** A subscription that another worker takes over: its number at the worker that it comes from. */
export interface LeftSubscription {
  readonly no: number
  readonly queue: string
  readonly events: number
  /** Of one to all queues: the worker whose events it is about. */
  readonly at: number
}

/** How many is not known. */
const DROPPED_LINE = Buffer.from('{"event":"dropped"}\n')

interface Subscription {
  readonly no: number
  readonly queue: string
  readonly subscriber: Subscriber
  /** Of one to all queues: the worker whose events it is about; NOBODY of one to a queue, whose owner it follows. */
  readonly at: number
  events: number
  /** The worker that sends the events, and its incarnation; NOBODY while there is none. */
  worker: number
  incarnation: number
  /** To be told when the owner has it. */
  waiting: (() => void)[]
  /** Another worker is about to take it over. */
  leaving: boolean
}

export class Subscriptions {
  private readonly routes: Routes
  private readonly links: Links
  private readonly local: LocalEvents
  private readonly byNo = new Map<number, Subscription>()
  private readonly bySubscriber = new Map<Subscriber, Subscription[]>()
  private lastNo = 0
  private readonly takeOverFrom: (worker: number, no: number) => void

  /** `takeOverFrom`: a subscription of another worker to a shard of this one ends now. */
  constructor(
    routes: Routes,
    links: Links,
    local: LocalEvents,
    takeOverFrom: (worker: number, no: number) => void,
  ) {
    this.routes = routes
    this.links = links
    this.local = local
    this.takeOverFrom = takeOverFrom
  }

  subscribe(queue: string, events: number, subscriber: Subscriber, done: () => void): void {
    if (queue !== ALL_QUEUES) return this.subscribeAt(NOBODY, queue, events, subscriber, done)
    let open = 1
    const placed = (): void => {
      if (--open === 0) done()
    }
    for (const worker of this.everybody()) {
      open++
      this.subscribeAt(worker, queue, events, subscriber, placed)
    }
    placed()
  }

  /** All of this subscriber, which goes to another worker. Until `takenOver` they go on here. */
  leave(subscriber: Subscriber): LeftSubscription[] {
    const left: LeftSubscription[] = []
    for (const subscription of [...(this.bySubscriber.get(subscriber) ?? [])]) {
      const { no, queue, events, at, worker } = subscription
      left.push({ no, queue, events, at })
      subscription.leaving = true
      // It has no owner, who could say when it is taken over.
      if (worker === NOBODY) this.remove(subscription)
    }
    return left
  }

  /** Whether all that it had was taken over. */
  isGone(subscriber: Subscriber): boolean {
    return !this.bySubscriber.has(subscriber)
  }

  /** Subscribes in place of one of worker `from`. `done` as in `subscribe`, and also when there is no owner now. */
  takeOver(left: LeftSubscription, from: number, subscriber: Subscriber, done: () => void): void {
    const subscription = this.add(left.at, left.queue, left.events, subscriber, done)
    this.place(subscription, from, left.no)
    if (subscription.worker === NOBODY) answer(subscription)
  }

  /** It ended here, because another worker has taken it over; null: it was not one of ours any more. */
  takenOver(no: number): Subscriber | null {
    const subscription = this.byNo.get(no)
    if (subscription === undefined) return null
    if (subscription.worker === this.routes.me) {
      this.local.unsubscribe(subscription.queue, subscription.subscriber)
    }
    this.remove(subscription)
    return subscription.subscriber
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
    const toAll = new Map<Subscriber, number>()
    for (const subscription of [...this.byNo.values()]) {
      const { at, worker, incarnation, leaving, subscriber, events } = subscription
      const owner = this.ownerOf(subscription)
      if (at !== NOBODY && !leaving) toAll.set(subscriber, events)
      if (owner === worker && this.routes.incarnationOf(owner) === incarnation) continue
      this.withdraw(subscription)
      const isGone = at !== NOBODY && this.routes.incarnationOf(at) !== incarnation
      if (isGone && worker !== NOBODY) subscriber.event(DROPPED_LINE)
      // With its owner gone, whoever takes it over asks the new one.
      if (leaving || (at !== NOBODY && owner === NOBODY)) this.remove(subscription)
      else this.place(subscription)
    }
    for (const [subscriber, events] of toAll) {
      this.subscribe(ALL_QUEUES, events, subscriber, () => undefined)
    }
  }

  /** `at` as in `Subscription`. */
  private subscribeAt(
    at: number,
    queue: string,
    events: number,
    subscriber: Subscriber,
    done: () => void,
  ): void {
    const known = this.bySubscriber.get(subscriber) ?? []
    const same = known.find((each) => each.queue === queue && each.at === at)
    if (same === undefined) return this.place(this.add(at, queue, events, subscriber, done))
    same.waiting.push(done)
    const isPlaced = same.worker !== NOBODY && !same.leaving && (events & ~same.events) === 0
    // The owner has said so, or will.
    if (isPlaced && at !== NOBODY) return same.waiting.length > 1 ? undefined : answer(same)
    same.events |= events
    same.leaving = false
    this.withdraw(same)
    this.place(same)
  }

  private everybody(): number[] {
    return [this.routes.me, ...this.routes.others()]
  }

  /** Who is to send its events; NOBODY while there is none. */
  private ownerOf({ at, queue }: Subscription): number {
    if (at === NOBODY) return this.routes.ownerOf(shardOfQueue(queue))
    return this.everybody().includes(at) ? at : NOBODY
  }

  private add(
    at: number,
    queue: string,
    events: number,
    subscriber: Subscriber,
    done: () => void,
  ): Subscription {
    this.lastNo = (this.lastNo + 1) >>> 0
    const subscription: Subscription = {
      no: this.lastNo,
      queue,
      subscriber,
      at,
      events,
      worker: NOBODY,
      incarnation: 0,
      waiting: [done],
      leaving: false,
    }
    this.byNo.set(subscription.no, subscription)
    const known = this.bySubscriber.get(subscriber)
    if (known === undefined) this.bySubscriber.set(subscriber, [subscription])
    else known.push(subscription)
    return subscription
  }

  private remove(subscription: Subscription): void {
    const { no, subscriber } = subscription
    this.byNo.delete(no)
    const left = (this.bySubscriber.get(subscriber) ?? []).filter((each) => each !== subscription)
    if (left.length === 0) this.bySubscriber.delete(subscriber)
    else this.bySubscriber.set(subscriber, left)
    answer(subscription)
  }

  /** `its`: in place of that subscription of worker `from`. */
  private place(subscription: Subscription, from = NOBODY, its = 0): void {
    const { routes, links } = this
    const { no, queue, events, subscriber } = subscription
    const owner = this.ownerOf(subscription)
    if (owner === routes.me) {
      if (from !== NOBODY) this.takeOverFrom(from, its)
      this.local.subscribe(queue, events, subscriber)
      answer(subscription)
    } else {
      const link = links.to(owner)
      if (link === null) return
      if (from === NOBODY) link.subscribe(no, events, queue)
      else link.takeOver(no, events, queue, from, its)
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
