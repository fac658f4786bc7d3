// Who asks, and whether they may: one table and one function for every door.
//
//   read     looks at jobs, queues and figures       consume  pulls jobs, and ends or extends the runs it holds
//   produce  pushes jobs and cancels them            admin    everything that changes how a queue or the server works
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
  if (principal.scopes.has(scopeOf[op]) && (queue === null || mayUse(principal, queue))) return null
  return refusals.forbidden
}

export function mayUse({ queues }: Principal, queue: string): boolean {
  return queues === null || queues.some((pattern) => matches(pattern, queue))
}

function matches(pattern: string, queue: string): boolean {
  return pattern.endsWith('*') ? queue.startsWith(pattern.slice(0, -1)) : queue === pattern
}
