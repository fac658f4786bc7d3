// Proves or refutes, from what clients saw, that the server kept its promises.
//
// A violation is a fact that no correct server can produce, whatever was lost on the way; what is doubtful is
// allowed. So a run without violations proves something only if its coverage shows that it was eventful.

import { defaultOptions, Evidence, type Options } from './evidence.ts'
import type { History, Op } from './history.ts'
import { ticks } from './rules-cron.ts'
import {
  completedOnce,
  fromNowhere,
  lost,
  notEarly,
  oldTokens,
  oneHolder,
  parentsFirst,
  tokensAndRuns,
} from './rules-jobs.ts'
import { concurrency, counters, order, pauses, rates, uniqueKeys } from './rules-queues.ts'
import type { Complain, Violation } from './violation.ts'

export interface Verdict {
  readonly violations: readonly Violation[]
  readonly coverage: Coverage
}

/** How much happened. */
interface Coverage {
  readonly ackedPushes: number
  readonly completions: number
  readonly deliveries: number
  readonly redeliveries: number
  readonly ticks: number
  readonly dead: number
  readonly duplicates: number
  readonly staleTokens: number
  readonly faults: number
  /** Requests without a sure answer. */
  readonly unknown: { readonly push: number; readonly pull: number; readonly run: number }
  readonly refused: Readonly<Record<string, number>>
}

/** What a correct workload may be told; everything else is a mistake of one of the two. */
const REFUSALS = [
  'stale_token',
  'job_not_found',
  'job_not_active',
  'job_not_cancellable',
  'duplicate_key',
  'unavailable',
  'draining',
  'dependency_invalid',
  'cron_not_found',
  'storage_refused',
]

const RULES = [
  lost,
  fromNowhere,
  completedOnce,
  tokensAndRuns,
  oneHolder,
  oldTokens,
  notEarly,
  parentsFirst,
  pauses,
  concurrency,
  rates,
  order,
  uniqueKeys,
  ticks,
  counters,
  refusals,
] as const

export function check(history: History, options: Partial<Options> = {}): Verdict {
  const evidence = new Evidence(history, { ...defaultOptions, ...options })
  const violations: Violation[] = []
  for (const rule of RULES) rule(evidence, (name, text) => violations.push({ rule: name, text }))
  return { violations, coverage: coverageOf(evidence) }
}

function refusals(evidence: Evidence, complain: Complain): void {
  for (const op of evidence.history.ops) {
    if (op.outcome === 'refused' && !REFUSALS.includes(op.code)) {
      complain('R1', `${op.f} was refused with ${op.code}`)
    }
  }
}

function coverageOf(evidence: Evidence): Coverage {
  const { history, deliveries, stories } = evidence
  const { ops } = history
  const count = (f: (op: Op) => boolean): number => ops.filter(f).length
  const refused: Record<string, number> = {}
  for (const { outcome, code } of ops) {
    if (outcome === 'refused') refused[code] = (refused[code] ?? 0) + 1
  }
  const seen = [...stories.values()].filter((story) => story.deliveries.length > 0)
  return {
    ackedPushes: count((op) => op.f === 'push' && op.outcome === 'ok'),
    completions: count((op) => op.f === 'ack' && op.outcome === 'ok'),
    deliveries: deliveries.length,
    redeliveries: deliveries.length - seen.length,
    ticks: seen.filter(({ push }) => push === null).length,
    dead: [...stories.values()].filter(({ final }) => final?.state === 'failed').length,
    duplicates: refused['duplicate_key'] ?? 0,
    staleTokens: refused['stale_token'] ?? 0,
    faults: history.faults.length,
    unknown: {
      push: count((op) => op.f === 'push' && op.outcome === 'unknown'),
      pull: count((op) => op.f === 'pull' && op.outcome === 'unknown'),
      run: count((op) => 'token' in op && op.outcome === 'unknown'),
    },
    refused,
  }
}
