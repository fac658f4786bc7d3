// The rows of the backlog scenario, with their bars: see `backlog.ts` for how the figures are taken.

import { median } from '../load/percentiles.ts'
import type { Percentiles } from '../load/spec.ts'
import { type Bench, standard } from './bench.ts'

const stallBar = { judges: 'value', sense: 'most', bar: 100, aim: 20 } as const

/** `before` and `after` are the memory of the server's processes. */
export function addMemory(
  bench: Bench,
  waiting: number,
  before: number | undefined,
  after: number | undefined,
  judged: boolean,
): void {
  if (before === undefined || after === undefined) {
    bench.report.skip('backlog', 'memory per job', 'the server process is not known (--target-pid)')
    return
  }
  const value = (after - before) / waiting - standard.dataBytes
  const what = `memory per waiting job over its ${standard.dataBytes} payload bytes, at ${millions(waiting)}`
  bench.report.add({
    scenario: 'backlog',
    what,
    value,
    unit: 'B',
    rssMiB: after / 2 ** 20,
    ...(judged ? { bar: { judges: 'value', sense: 'most', bar: 160, aim: 80 } } : {}),
  })
  bench.log(`  ${what}: ${Math.round(value)} B`)
}

export function addStall(bench: Bench, waiting: number, value: number, echoMs: number): void {
  bench.report.add({
    scenario: 'backlog',
    what: `longest STATS round trip while ${millions(waiting)} jobs are pushed at full speed`,
    value,
    unit: 'ms',
    against: { name: 'echo, same load', value: echoMs },
    bar: stallBar,
    note: 'includes the batches queued before it, and what the machine itself was away',
  })
  bench.log(`  longest stall under load: ${value.toFixed(1)} ms (echo ${echoMs.toFixed(1)} ms)`)
}

export function addGentleStall(
  bench: Bench,
  waiting: number,
  latencyMs: Percentiles | undefined,
): void {
  const value = latencyMs?.max ?? Number.NaN
  bench.report.add({
    scenario: 'backlog',
    what: `longest STATS round trip at ${millions(waiting)} waiting jobs, one push a millisecond`,
    value,
    unit: 'ms',
    bar: stallBar,
    note: `p99 ${latencyMs?.p99.toFixed(2)} ms`,
  })
  bench.log(`  longest stall, gentle: ${value.toFixed(1)} ms`)
}

/** Median round trips of rounds taken in turn. */
export function addStats(bench: Bench, waiting: number, loaded: number[], empty: number[]): void {
  const ratio = median(loaded.map((value, i) => value / (empty[i] ?? Number.NaN)))
  bench.report.add({
    scenario: 'backlog',
    what: `STATS with ${millions(waiting)} waiting jobs, median round trip`,
    value: median(loaded),
    unit: 'ms',
    against: { name: 'with 0 jobs', value: median(empty) },
    ratio,
    bar: { judges: 'ratio', sense: 'most', bar: 2, aim: 1 },
  })
  bench.log(`  STATS: ${median(loaded).toFixed(3)} ms, ${ratio.toFixed(2)}x of an empty server`)
}

export function millions(jobs: number): string {
  return jobs >= 1e6 ? `${Math.round(jobs / 1e5) / 10} M` : String(jobs)
}
