// WEBHOOK, WEBHOOKDELETE, WEBHOOKLIST, WEBHOOKPING, WEBHOOKLOG, at the webhooks' home; and
// what shards say to each other about webhooks.
//
// 1. A change is answered when every shard has it, so that the next event is matched by it wherever it happens; or after
//    `limits.webhooksAnswerMsMax`, when some shard has no owner at the moment: it gets the list when it has one.
// 2. Versions follow the clock, so that the list of a home that lost its state (in memory mode) is not taken for a newer
//    one; it gets back what the other shards have.

import type { Command } from '../command.ts'
import { TimerKind, timerKey } from '../due-heap.ts'
import { limits } from '../limits.ts'
import { Op } from '../op.ts'
import type { Reply } from '../ports.ts'
import { checkQueueName } from '../queue-name.ts'
import { type Refusal, refusals } from '../refusal.ts'
import type { ShardContext } from '../shard-context.ts'
import { deliveryId, type WebhookLetter } from '../webhook-ports.ts'
import type { WebhookTerms } from '../webhook-terms.ts'
import {
  WEBHOOK_HOME,
  type Webhook,
  type WebhookList,
  webhookId,
  webhookInfo,
  webhooksText,
} from '../webhooks.ts'

export function webhook(ctx: ShardContext, command: Command, reply: Reply): void {
  const { webhook: terms } = command
  const { webhooks } = ctx.state
  if (command.op === Op.WEBHOOKLIST) {
    return reply.named('webhooks', [...webhooks.byNo.values()].map(webhookInfo))
  }
  if (command.op === Op.WEBHOOK && terms.no === 0) return add(ctx, terms, reply)
  const known = webhooks.byNo.get(terms.no)
  if (known === undefined) return reply.refused(refusals.webhookNotFound)
  switch (command.op) {
    case Op.WEBHOOK:
      return alter(ctx, known, terms, reply)
    case Op.WEBHOOKDELETE:
      ctx.home.forgetTries(known.no)
      return change(ctx, without(ctx, known), webhooks.nextNo, () => reply.ok())
    case Op.WEBHOOKPING:
      return ping(ctx, known, reply)
    default:
      return reply.named('deliveries', ctx.home.triesOf(known.no))
  }
}

function add(ctx: ShardContext, terms: WebhookTerms, reply: Reply): void {
  const { webhooks } = ctx.state
  const { url, events, queue = null, secret = null, headers = {} } = terms
  if (url === undefined) return reply.refused(refusals.invalid('missing field "url"'))
  if (events === undefined) return reply.refused(refusals.invalid('missing field "events"'))
  const refusal = refuse(ctx, terms)
  if (refusal !== null) return reply.refused(refusal)
  if (webhooks.byNo.size >= limits.webhooksMax) {
    return reply.refused(refusals.limitExceeded('webhooks', limits.webhooksMax))
  }
  const no = webhooks.nextNo
  const created: Webhook = {
    ...{ no, url, events, queue, secret, oldSecret: null, oldSecretUntilMs: 0, headers },
    ...{ createdAtMs: ctx.nowMs, enabled: true, reason: null },
  }
  change(ctx, [...webhooks.byNo.values(), created], no + 1, () => reply.named('id', webhookId(no)))
}

function alter(ctx: ShardContext, known: Webhook, terms: WebhookTerms, reply: Reply): void {
  const refusal = refuse(ctx, terms)
  if (refusal !== null) return reply.refused(refusal)
  const { url, events, queue, secret, headers, enabled } = terms
  const isNew = secret !== undefined && secret !== known.secret
  const altered = {
    ...known,
    url: url ?? known.url,
    events: events ?? known.events,
    queue: queue === undefined ? known.queue : queue,
    headers: headers ?? known.headers,
    enabled: enabled ?? known.enabled,
    reason: reasonOf(known, terms),
    secret: isNew ? secret : known.secret,
    oldSecret: isNew ? known.secret : known.oldSecret,
    oldSecretUntilMs: isNew ? ctx.nowMs + limits.webhookRotationMs : known.oldSecretUntilMs,
  }
  if (enabled === true && ctx.state.failingSince.has(known.no)) {
    ctx.record.webhookHealth(known.no, 0)
  }
  replace(ctx, altered, () => reply.named('id', webhookId(known.no)))
}

function reasonOf(known: Webhook, { enabled, reason }: WebhookTerms): string | null {
  if (enabled === undefined) return known.reason
  return enabled ? null : (reason ?? 'by hand')
}

function refuse(ctx: ShardContext, { url, queue }: WebhookTerms): Refusal | null {
  const why = url === undefined ? null : ctx.ports.webhooks.refuseUrl(url)
  if (why !== null) return refusals.webhookInvalid(why)
  return queue === undefined || queue === null ? null : checkQueueName(queue)
}

function ping(ctx: ShardContext, known: Webhook, reply: Reply): void {
  if (!known.enabled) return reply.refused(refusals.webhookInvalid('it is disabled'))
  const ref = ctx.outgoing.ping(known.no, ctx.nowMs)
  if (ref !== null) return reply.named('id', deliveryId(ref))
  reply.refused(refusals.limitExceeded('deliveries that wait', limits.webhookOutboxMax))
}

function disable(ctx: ShardContext, known: Webhook, reason: string): void {
  replace(ctx, { ...known, enabled: false, reason }, () => undefined)
}

function replace(ctx: ShardContext, altered: Webhook, done: () => void): void {
  const { webhooks } = ctx.state
  const list = [...webhooks.byNo.values()].map((each) => (each.no === altered.no ? altered : each))
  change(ctx, list, webhooks.nextNo, done)
}

function without(ctx: ShardContext, known: Webhook): Webhook[] {
  return [...ctx.state.webhooks.byNo.values()].filter((each) => each.no !== known.no)
}

function change(
  ctx: ShardContext,
  list: readonly Webhook[],
  nextNo: number,
  done: () => void,
): void {
  const version = Math.max(ctx.state.webhooks.version + 1, ctx.nowMs)
  ctx.home.wait(version, ctx.nowMs + limits.webhooksAnswerMsMax, done)
  setList(ctx, webhooksText({ version, nextNo, list }))
  spread(ctx)
}

function setList(ctx: ShardContext, text: string): void {
  ctx.record.webhooksSet(text)
  ctx.outgoing.sendWaiting(ctx.nowMs)
}

/** The list goes to every shard that may lack it, and again a little later. */
function spread(ctx: ShardContext): void {
  const { home, state, ports } = ctx
  const { version } = state.webhooks
  home.has(WEBHOOK_HOME, version)
  const lacking = home.lacking(version)
  if (lacking.length === 0) return
  const text = state.webhooks.toText()
  for (const to of lacking) ports.mail.webhook({ kind: 'webhooks', to, text })
  home.timerMs = ctx.nowMs + limits.webhooksResendMs
  state.due.add(home.timerMs, timerKey(TimerKind.webhooks, 0))
}

/** The timer of `spread` is due. */
export function spreadLate(ctx: ShardContext): void {
  ctx.home.timerMs = 0
  ctx.home.answer(ctx.nowMs)
  spread(ctx)
}

/** After a change of owner. Where a home can lose its state, the others say what they know. */
export function spreadAgain(ctx: ShardContext): void {
  const { state, ports, home } = ctx
  if (state.webhooks.version === 0) return
  if (state.shard === WEBHOOK_HOME) {
    home.forgetVersions()
    spread(ctx)
  } else if (ports.log === null) {
    ports.mail.webhook({ kind: 'webhooks', to: WEBHOOK_HOME, text: state.webhooks.toText() })
  }
}

export function takeLetter(ctx: ShardContext, letter: WebhookLetter): void {
  switch (letter.kind) {
    case 'webhooks':
      return takeList(ctx, letter.text)
    case 'webhooksTaken':
      ctx.home.has(letter.from, letter.version)
      return ctx.home.answer(ctx.nowMs)
    case 'delivered':
      return ctx.outgoing.delivered(letter.ref, letter.result, ctx.nowMs)
    case 'tried':
      return noteTry(ctx, letter)
  }
}

function takeList(ctx: ShardContext, text: string): void {
  const { state, ports } = ctx
  const isNewer = (JSON.parse(text) as WebhookList).version > state.webhooks.version
  if (isNewer) setList(ctx, text)
  if (state.shard === WEBHOOK_HOME) {
    if (isNewer) spread(ctx)
    return
  }
  const { version } = state.webhooks
  ports.mail.webhook({ kind: 'webhooksTaken', to: WEBHOOK_HOME, from: state.shard, version })
}

function noteTry(ctx: ShardContext, letter: Extract<WebhookLetter, { kind: 'tried' }>): void {
  const known = ctx.state.webhooks.byNo.get(letter.webhook)
  if (known === undefined) return
  ctx.home.tried(known.no, letter.tried)
  const sinceMs = ctx.state.failingSince.get(known.no)
  if (letter.tried.ok) {
    if (sinceMs !== undefined) ctx.record.webhookHealth(known.no, 0)
    return
  }
  if (sinceMs === undefined) ctx.record.webhookHealth(known.no, ctx.nowMs)
  if (!known.enabled) return
  const { disableAfterMs } = ctx.ports.webhooks
  const isHopeless = disableAfterMs > 0 && ctx.nowMs - (sinceMs ?? ctx.nowMs) >= disableAfterMs
  if (letter.gone) disable(ctx, known, 'gone')
  else if (isHopeless) disable(ctx, known, 'failing')
}
