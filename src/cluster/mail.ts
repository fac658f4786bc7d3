// What shards say to each other (`ParentMail`): to a shard of this worker at the end of the turn, to any
// other over a link.
//
// 1. Never delivered within the call that posts it: shards are not re-entered.
// 2. Mail for a shard without an owner waits for the next table. Mail that was on its way to a worker that
//    died is lost with it, which `askAgain` repairs.

import { type JobId, type ShardId, shardOfId } from '../engine/job-id.ts'
import type { CronTick, ParentMail, ParentOutcome } from '../engine/ports.ts'
import type { WebhookLetter } from '../engine/webhook-ports.ts'
import type { Routes } from './routes.ts'
import { shardOfQueue } from './shard-of-queue.ts'

const HELD_MAX = 100_000

type Item =
  | { readonly kind: 'ask'; readonly parent: JobId; readonly child: JobId }
  | {
      readonly kind: 'tell'
      readonly child: JobId
      readonly parent: JobId
      readonly outcome: ParentOutcome
    }
  | { readonly kind: 'cronTick'; readonly tick: CronTick }
  | { readonly kind: 'cronTaken'; readonly name: string; readonly tickMs: number }
  | { readonly kind: 'webhook'; readonly letter: WebhookLetter }

export interface MailDeps {
  readonly routes: Routes
  /** False when the link can't take it now. */
  send(worker: number, json: string): boolean
  /** Something waits for `deliver`. */
  pending(): void
  dropped(count: number): void
}

export class Mail implements ParentMail {
  private readonly deps: MailDeps
  private local: Item[] = []
  private held: Item[] = []

  constructor(deps: MailDeps) {
    this.deps = deps
  }

  ask(parent: JobId, child: JobId): void {
    this.post({ kind: 'ask', parent, child })
  }

  tell(child: JobId, parent: JobId, outcome: ParentOutcome): void {
    this.post({ kind: 'tell', child, parent, outcome })
  }

  cronTick(tick: CronTick): void {
    this.post({ kind: 'cronTick', tick })
  }

  cronTaken(name: string, tickMs: number): void {
    this.post({ kind: 'cronTaken', name, tickMs })
  }

  webhook(letter: WebhookLetter): void {
    this.post({ kind: 'webhook', letter })
  }

  /** From another worker. */
  receive(json: string): void {
    const item = JSON.parse(json) as Item
    // The sender may have a newer table than this worker: what is not owned here waits for that table.
    if (this.deps.routes.isMine(this.shardOf(item))) this.addLocal(item)
    else this.hold(item)
  }

  /** Hands everything that waits for shards of this worker to `to`; false when there was nothing. */
  deliver(to: ParentMail): boolean {
    if (this.local.length === 0) return false
    const items = this.local
    this.local = []
    for (const item of items) handTo(to, item)
    return true
  }

  ownersChanged(): void {
    const items = this.held
    this.held = []
    for (const item of items) this.post(item)
  }

  private post(item: Item): void {
    const { routes } = this.deps
    const shard = this.shardOf(item)
    if (routes.isMine(shard)) return this.addLocal(item)
    if (this.deps.send(routes.ownerOf(shard), JSON.stringify(item))) return
    if (isSentOnce(item)) this.hold(item)
  }

  private addLocal(item: Item): void {
    this.local.push(item)
    if (this.local.length === 1) this.deps.pending()
  }

  private hold(item: Item): void {
    if (this.held.length < HELD_MAX) this.held.push(item)
    else this.deps.dropped(1)
  }

  private shardOf(item: Item): ShardId {
    switch (item.kind) {
      case 'ask':
        return shardOfId(item.parent)
      case 'tell':
        return shardOfId(item.child)
      case 'cronTick':
        return shardOfQueue(item.tick.queue)
      case 'cronTaken':
        return shardOfQueue(item.name)
      case 'webhook':
        return item.letter.to
    }
  }
}

function handTo(to: ParentMail, item: Item): void {
  switch (item.kind) {
    case 'ask':
      return to.ask(item.parent, item.child)
    case 'tell':
      return to.tell(item.child, item.parent, item.outcome)
    case 'cronTick':
      return to.cronTick(item.tick)
    case 'cronTaken':
      return to.cronTaken(item.name, item.tickMs)
    case 'webhook':
      return to.webhook(item.letter)
  }
}

/** A cron sends its tick every second until it is confirmed, and so are webhooks: what can't leave now need not wait. */
function isSentOnce(item: Item): boolean {
  if (item.kind === 'webhook') return item.letter.kind === 'delivered'
  return item.kind === 'ask' || item.kind === 'tell'
}
