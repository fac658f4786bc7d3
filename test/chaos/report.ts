// What a run came to, in a few lines, and the command that repeats it.

import type { Verdict } from './checker.ts'
import type { History } from './history.ts'

/** Violations shown: the first ones tell the story. */
const SHOWN_MAX = 20
const GAP_MS = 500

/** `project` of vitest, and `run`, a part of its test's name, say how to repeat it. */
export function report(
  project: 'integration' | 'chaos',
  run: string,
  seed: number,
  history: History,
  verdict: Verdict,
): void {
  const { coverage, violations } = verdict
  const { unknown } = coverage
  const kinds = new Map<string, number>()
  for (const { fault } of history.faults) kinds.set(fault, (kinds.get(fault) ?? 0) + 1)
  const lines = [
    `chaos: ${run}, seed ${seed}: ${coverage.faults} faults, ${coverage.ackedPushes} acknowledged pushes, ` +
      `${coverage.completions} completions, ${coverage.ticks} ticks, ${violations.length} violations`,
    `  ${coverage.deliveries} deliveries (${coverage.redeliveries} again), ${coverage.dead} dead, ` +
      `unknown: ${unknown.push} pushes, ${unknown.pull} pulls, ${unknown.run} ends of runs`,
    `  refused: ${listOf(Object.entries(coverage.refused))}`,
    `  faults: ${listOf([...kinds])}`,
  ]
  if (process.env['CHAOS_VERBOSE'] !== undefined) lines.push(...timeline(history))
  for (const { rule, text } of violations.slice(0, SHOWN_MAX)) lines.push(`  ${rule} ${text}`)
  if (violations.length > 0) {
    lines.push(`  again: CHAOS_SEED=${seed} npx vitest run --project ${project} -t '${run}'`)
  }
  process.stdout.write(`${lines.join('\n')}\n`)
}

function listOf(counts: readonly [string, number][]): string {
  return counts.map(([name, count]) => `${count} ${name}`).join(', ')
}

/** Each fault, and how long the server did nothing that a client saw. */
function timeline(history: History): string[] {
  const answered = history.ops.filter(({ outcome }) => outcome === 'ok').map(({ endMs }) => endMs)
  answered.sort((a, b) => a - b)
  const gaps: string[] = []
  for (let i = 1; i < answered.length; i++) {
    const [from = 0, to = 0] = answered.slice(i - 1, i + 1)
    if (to - from > GAP_MS) gaps.push(`${Math.round(from)} silence of ${Math.round(to - from)} ms`)
  }
  const faults = history.faults.map(
    ({ fault, target, startMs, endMs }) =>
      `${Math.round(startMs)} ${fault} (${target}), ${Math.round(endMs - startMs)} ms`,
  )
  const first = history.ops[0]?.startMs ?? 0
  const last = history.final?.atMs ?? 0
  const ends = [`${Math.round(first)} begins`, `${Math.round(last)} ends`]
  return [...ends, ...gaps, ...faults].sort(
    (a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10),
  )
}
