// I13: each tick of a cron is one job, whatever happens.
//
//   cron s17, every minute at second 17      tick              tick              tick
//                                         ────┼─────────────────┼─────────────────┼────
//   jobs, by their `created_at`               x                     x (late)      x
//
// The crons of a run tick seldom, each at a second of its own: so a job is of the newest tick before it, however
// late it is, and no tick can become one with the next. What is twice or not at all is seen at once.

import type { Evidence } from './evidence.ts'
import type { CronOp } from './history.ts'
import type { Complain } from './violation.ts'

export function ticks(evidence: Evidence, complain: Complain): void {
  const asked = new Map<string, CronOp[]>()
  for (const op of evidence.history.ops) {
    if ('everyMs' in op) asked.set(op.name, [...(asked.get(op.name) ?? []), op])
  }
  const made = ticksMade(evidence)
  for (const [name, ops] of asked) {
    for (const [tickMs, count] of made.get(name) ?? []) {
      if (count > 1) complain('I13', `${name} fired ${count} times for ${timeOf(tickMs)}`)
    }
    if (!evidence.options.lossy) missed(evidence, name, ops, made.get(name), complain)
  }
}

/** Cron → tick (Unix ms) → jobs made of it. */
function ticksMade(evidence: Evidence): Map<string, Map<number, number>> {
  const crons = new Map<string, CronOp>()
  for (const op of evidence.history.ops) if (op.f === 'cron') crons.set(cronDataOf(op.name), op)
  const made = new Map<string, Map<number, number>>()
  for (const { push, deliveries } of evidence.stories.values()) {
    const [first] = deliveries
    const cron = first === undefined || push !== null ? undefined : crons.get(first.data)
    if (first === undefined || cron === undefined) continue
    const { name, everyMs, phaseMs } = cron
    const tickMs = Math.floor((first.createdAtMs - phaseMs) / everyMs) * everyMs + phaseMs
    const counts = made.get(name) ?? new Map<number, number>()
    counts.set(tickMs, (counts.get(tickMs) ?? 0) + 1)
    made.set(name, counts)
  }
  return made
}

function missed(
  evidence: Evidence,
  name: string,
  ops: readonly CronOp[],
  made: ReadonlyMap<number, number> | undefined,
  complain: Complain,
): void {
  const { history, options } = evidence
  const { epochMs, final } = history
  const set = ops.filter(({ f }) => f === 'cron')
  const [first] = set
  if (first === undefined || final === null || !set.some(({ outcome }) => outcome === 'ok')) return
  const { everyMs, phaseMs } = first
  // Setting it again moves its next run: from the last answer on it must tick.
  const fromMs = Math.max(...set.map(({ endMs }) => endMs)) + epochMs
  const deletedMs = ops.filter(({ f }) => f === 'cronDelete').map(({ startMs }) => startMs)
  const toMs = Math.min(final.atMs, ...deletedMs) + epochMs - options.tickLateMs
  let tickMs = Math.ceil((fromMs - phaseMs) / everyMs) * everyMs + phaseMs
  for (; tickMs < toMs; tickMs += everyMs) {
    if (!made?.has(tickMs)) complain('I13', `${name} did not fire for ${timeOf(tickMs)}`)
  }
}

/** What the crons of a run push. */
export function cronDataOf(cron: string): string {
  return `{"cron":"${cron}"}`
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString()
}
