// What a run came to, in a few lines, and the command that repeats it.

import type { Verdict } from './checker.ts'
import type { History } from './history.ts'

/** Violations shown: the first ones tell the story. */
const SHOWN_MAX = 20

export function report(run: string, seed: number, history: History, verdict: Verdict): void {
  const { coverage, violations } = verdict
  const { unknown } = coverage
  const kinds = new Map<string, number>()
  for (const { fault } of history.faults) kinds.set(fault, (kinds.get(fault) ?? 0) + 1)
  const lines = [
    `chaos ${run}, seed ${seed}: ${coverage.faults} faults, ${coverage.ackedPushes} acknowledged pushes, ` +
      `${coverage.completions} completions, ${coverage.ticks} ticks, ${violations.length} violations`,
    `  ${coverage.deliveries} deliveries (${coverage.redeliveries} again), ${coverage.dead} dead, ` +
      `unknown: ${unknown.push} pushes, ${unknown.pull} pulls, ${unknown.run} ends of runs`,
    `  refused: ${listOf(Object.entries(coverage.refused))}`,
    `  faults: ${listOf([...kinds])}`,
  ]
  for (const { rule, text } of violations.slice(0, SHOWN_MAX)) lines.push(`  ${rule} ${text}`)
  if (violations.length > 0) {
    lines.push(`  again: CHAOS_SEED=${seed} npx vitest run --project chaos -t '${run}'`)
  }
  process.stdout.write(`${lines.join('\n')}\n`)
}

function listOf(counts: readonly [string, number][]): string {
  return counts.map(([name, count]) => `${count} ${name}`).join(', ')
}
