// Which events one stream is about: by kind, by queue, and by what its principal may see.

import { limits } from '../../engine/limits.ts'
import { ALL_QUEUES, EventKind, type EventName } from '../../engine/ports.ts'
import { checkQueueName } from '../../engine/queue-name.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import { authorize, mayUse, type Principal } from '../auth/principal.ts'

const EVERY_KIND = Object.values(EventKind).reduce((all, kind) => all | kind, 0)
/** Queues whose answer is remembered. */
const NAMES_MAX = 4096

/** As it came; absent is everything. */
export interface Wanted {
  readonly queues?: string | undefined
  readonly types?: string | undefined
}

export class EventFilter {
  readonly kinds: number
  /** Null: every queue that the principal may use. */
  readonly queues: readonly string[] | null
  /** Equal for filters that let the same events pass. */
  readonly key: string
  /** Nothing is kept back. */
  readonly isEverything: boolean
  private readonly principal: Principal
  private verdicts = new Map<string, boolean>()

  constructor(kinds: number, queues: readonly string[] | null, principal: Principal) {
    this.kinds = kinds
    this.queues = queues
    this.principal = principal
    this.isEverything = kinds === EVERY_KIND && queues === null && principal.queues === null
    this.key = this.isEverything ? '' : JSON.stringify([kinds, queues ?? [principal.queues]])
  }

  /** What is to be asked of the feed. */
  get interests(): readonly string[] {
    return this.queues ?? [ALL_QUEUES]
  }

  passes(kind: number, queue: string): boolean {
    if ((this.kinds & kind) === 0) return false
    const { queues, principal } = this
    if (queues === null && principal.queues === null) return true
    const known = this.verdicts.get(queue)
    if (known !== undefined) return known
    const verdict = queues === null ? mayUse(principal, queue) : queues.includes(queue)
    if (this.verdicts.size >= NAMES_MAX) this.verdicts = new Map()
    this.verdicts.set(queue, verdict)
    return verdict
  }
}

/** The filter of a stream, or why there can't be one. */
export function filterOf(principal: Principal, wanted: Wanted): EventFilter | Refusal {
  const kinds = wanted.types === undefined ? EVERY_KIND : kindsOf(wanted.types)
  if (typeof kinds !== 'number') return kinds
  if (wanted.queues === undefined) {
    return authorize(principal, 'SUBSCRIBE', null) ?? new EventFilter(kinds, null, principal)
  }
  const queues = [...new Set(wanted.queues.split(','))]
  if (queues.length > limits.queuesPerStreamMax) {
    return refusals.limitExceeded('queues of a stream', limits.queuesPerStreamMax)
  }
  for (const queue of queues) {
    const refusal = checkQueueName(queue) ?? authorize(principal, 'SUBSCRIBE', queue)
    if (refusal !== null) return refusal
  }
  return new EventFilter(kinds, queues.sort(), principal)
}

function kindsOf(types: string): number | Refusal {
  let kinds = 0
  for (const name of types.split(',')) {
    if (!Object.hasOwn(EventKind, name)) return refusals.invalid('no such event type')
    kinds |= EventKind[name as EventName]
  }
  return kinds
}
