// Who asks, and whether they may: one table and one function for every door.
//
//   read     looks at jobs, queues and figures       consume  pulls jobs, and ends or extends the runs it holds
//   produce  pushes, promotes and cancels jobs       admin    everything that changes how a queue or the server works
//
// 1. A principal may hold several scopes; none contains another one, `admin` included.
// 2. A command is refused unless the table lets it through: one without a row does not compile.
// 3. What asks every shard is for principals of all queues, except lists that can be shown in part (guard.ts).
//
// Next: guard.ts for commands whose queue must be looked up

import { type OpName, routeOf } from '../../engine/op.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import type { Rates } from './token-rate.ts'

export const scopes = ['read', 'produce', 'consume', 'admin'] as const
export type Scope = (typeof scopes)[number]

export interface Principal {
  /** For logs; never the token. */
  readonly name: string
  readonly scopes: ReadonlySet<Scope>
  /** Exact names, or a prefix with `*` behind it; null = every queue. */
  readonly queues: readonly string[] | null
  /** How much of each worker it may use; absent: as much as any token. */
  readonly quota?: Quota
}

/** Infinity: no limit of its own. */
export interface Quota extends Rates {
  /** At a time, to one worker. */
  readonly connections: number
}

/** Whoever holds one of `AUTH_TOKENS`, and everybody where there are none. */
export const anybody: Principal = { name: 'anybody', scopes: new Set(scopes), queues: null }

/** Who has not said who they are, where that is not asked. */
export const nobody: Principal = { name: 'nobody', scopes: new Set(), queues: [] }

/** Null: a stranger may. */
const scopeOf: Readonly<Record<OpName, Scope | null>> = {
  PUSH: 'produce',
  PUSHB: 'produce',
  PULL: 'consume',
  PULLB: 'consume',
  ACK: 'consume',
  ACKB: 'consume',
  FAIL: 'consume',
  GETRESULT: 'read',
  GETJOB: 'read',
  GETSTATE: 'read',
  CANCEL: 'produce',
  PROGRESS: 'consume',
  LOG: 'consume',
  GETLOGS: 'read',
  PROMOTE: 'produce',
  GETPROGRESS: 'read',
  DLQ: 'read',
  RETRYDLQ: 'admin',
  PURGEDLQ: 'admin',
  DRAIN: 'admin',
  DELETEQUEUE: 'admin',
  SUBSCRIBE: 'read',
  UNSUBSCRIBE: 'read',
  METRICS: 'read',
  STATS: 'read',
  CRON: 'admin',
  CRONDELETE: 'admin',
  CRONLIST: 'read',
  RATELIMIT: 'admin',
  RATELIMITCLEAR: 'admin',
  PAUSE: 'admin',
  RESUME: 'admin',
  SETCONCURRENCY: 'admin',
  CLEARCONCURRENCY: 'admin',
  LISTQUEUES: 'read',
  LISTJOBS: 'read',
  AUTH: null,
  HEARTBEAT: 'consume',
  RELEASE: 'consume',
  HELLO: 'consume',
  WEBHOOK: 'admin',
  WEBHOOKDELETE: 'admin',
  WEBHOOKLIST: 'admin',
  WEBHOOKPING: 'admin',
  WEBHOOKLOG: 'admin',
}

/** Where a reply lists things that have a queue each. */
export interface ListedQueues {
  readonly list: string
  /** The key of an element that names the queue. */
  readonly queueKey: string
}

export const listOf: ReadonlyMap<OpName, ListedQueues> = new Map([
  ['LISTQUEUES', { list: 'queues', queueKey: 'name' }],
  ['CRONLIST', { list: 'crons', queueKey: 'queue' }],
  ['LISTJOBS', { list: 'jobs', queueKey: 'queue' }],
])

/** Null: they may. `queue` null: the command names none, or a job, whose queue is asked for with `mayUse`. */
export function authorize(principal: Principal, op: OpName, queue: string | null): Refusal | null {
  const scope = scopeOf[op]
  if (scope === null) return null
  if (!principal.scopes.has(scope)) return refusals.forbidden
  if (principal.queues === null) return null
  const isOfAll = routeOf[op] === 'every' || (routeOf[op] === 'webhooks' && queue === null)
  if (isOfAll) return listOf.has(op) ? null : refusals.forbidden
  return queue === null || mayUse(principal, queue) ? null : refusals.forbidden
}

export function mayUse({ queues }: Principal, queue: string): boolean {
  return queues === null || queues.some((pattern) => matches(pattern, queue))
}

/** Nothing that it may not do. */
export function mayAll({ scopes: held, queues }: Principal): boolean {
  return queues === null && scopes.every((scope) => held.has(scope))
}

function matches(pattern: string, queue: string): boolean {
  return pattern.endsWith('*') ? queue.startsWith(pattern.slice(0, -1)) : queue === pattern
}
