// Who asks, and whether they may: one table and one function for every door.
//
//   read     looks at jobs, queues and figures       consume  pulls jobs, and ends or extends the runs it holds
//   produce  pushes, promotes and cancels jobs       admin    everything that changes how a queue or the server works
//
// A principal may hold several scopes; `admin` does not contain the others.

import type { OpName } from '../../engine/op.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'

export const scopes = ['read', 'produce', 'consume', 'admin'] as const
export type Scope = (typeof scopes)[number]

export interface Principal {
  /** For logs; never the token. */
  readonly name: string
  readonly scopes: ReadonlySet<Scope>
  /** Exact names, or a prefix with `*` behind it; null = every queue. */
  readonly queues: readonly string[] | null
}

/** Whoever holds one of `AUTH_TOKENS`, and everybody where there are none. */
export const anybody: Principal = { name: 'anybody', scopes: new Set(scopes), queues: null }

/** Who has not said who they are, where that is not asked. */
export const nobody: Principal = { name: 'nobody', scopes: new Set(), queues: [] }

export const scopeOf: Readonly<Record<OpName, Scope>> = {
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
  PROMOTE: 'produce',
  GETPROGRESS: 'read',
  DLQ: 'read',
  RETRYDLQ: 'admin',
  PURGEDLQ: 'admin',
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
  AUTH: 'read',
  HEARTBEAT: 'consume',
  RELEASE: 'consume',
  WEBHOOK: 'admin',
  WEBHOOKDELETE: 'admin',
  WEBHOOKLIST: 'admin',
  WEBHOOKPING: 'admin',
  WEBHOOKLOG: 'admin',
}

/** Null: they may. `queue` null: the command names none, or a job, whose queue is asked for with `mayUse`. */
export function authorize(principal: Principal, op: OpName, queue: string | null): Refusal | null {
  if (queue === null && principal.queues !== null && NODE_WIDE.has(op)) return refusals.forbidden
  if (principal.scopes.has(scopeOf[op]) && (queue === null || mayUse(principal, queue))) return null
  return refusals.forbidden
}

/** What they tell is of all queues, unless they name one. */
const NODE_WIDE: ReadonlySet<OpName> = new Set([
  'WEBHOOK',
  'WEBHOOKDELETE',
  'WEBHOOKLIST',
  'WEBHOOKPING',
  'WEBHOOKLOG',
])

export function mayUse({ queues }: Principal, queue: string): boolean {
  return queues === null || queues.some((pattern) => matches(pattern, queue))
}

function matches(pattern: string, queue: string): boolean {
  return pattern.endsWith('*') ? queue.startsWith(pattern.slice(0, -1)) : queue === pattern
}
