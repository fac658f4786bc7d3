// Two or more sides measured in turn, A B A B …, and compared by the median of the ratios of each round, so that a slow minute
// of the machine hits both. One round more is run first and thrown away: it warms the code of every process.

import { median } from '../load/percentiles.ts'
import type { LoadResult } from '../load/spec.ts'
import type { Bar, Row } from '../report/row.ts'
import type { Server } from '../servers/server.ts'
import type { Bench } from './bench.ts'

/** One measurement of one side. */
export interface Slice {
  perSecond: number
  jobs: number
  cpuMs: number | undefined
}

/** `slices` makes one round: one slice for each thing that is measured. */
export interface Side {
  name: string
  server: Server | undefined
  slices: () => Promise<Slice[]>
}

export interface Measured {
  name: string
  perSecond: number
  all: number[]
  cpuSecondsPerMillion: number | undefined
  rssMiB: number | undefined
}

/** A slice with the CPU that `server` used meanwhile. */
export async function timed(
  server: Server | undefined,
  load: () => Promise<Pick<LoadResult, 'jobs' | 'perSecond'>>,
): Promise<Slice> {
  const before = server?.usage()
  const { jobs, perSecond } = await load()
  const after = server?.usage()
  return {
    jobs,
    perSecond,
    cpuMs: before === undefined || after === undefined ? undefined : after.cpuMs - before.cpuMs,
  }
}

/** The sides of each measured thing: `result[thing][side]`. */
export async function inTurn(rounds: number, sides: readonly Side[]): Promise<Measured[][]> {
  const kept = sides.map(() => [] as Slice[][])
  const rss = sides.map(() => 0)
  for (let round = -1; round < rounds; round++) {
    for (const [index, side] of sides.entries()) {
      const slices = await side.slices()
      if (round >= 0) kept[index]?.push(slices)
      rss[index] = Math.max(rss[index] ?? 0, side.server?.usage()?.rssBytes ?? 0)
    }
  }
  const things = kept[0]?.[0]?.length ?? 0
  return Array.from({ length: things }, (_, thing) =>
    sides.map((side, index) =>
      summary(
        side.name,
        kept[index]?.flatMap((slices) => slices[thing] ?? []) ?? [],
        rss[index] ?? 0,
      ),
    ),
  )
}

function summary(name: string, slices: readonly Slice[], rssBytes: number): Measured {
  const all = slices.map((slice) => slice.perSecond)
  const jobs = slices.reduce((sum, slice) => sum + slice.jobs, 0)
  const known = slices.every((slice) => slice.cpuMs !== undefined)
  const cpuMs = slices.reduce((sum, slice) => sum + (slice.cpuMs ?? 0), 0)
  return {
    name,
    perSecond: median(all),
    all,
    cpuSecondsPerMillion: known && jobs > 0 ? (cpuMs * 1000) / jobs : undefined,
    rssMiB: rssBytes > 0 ? rssBytes / 2 ** 20 : undefined,
  }
}

export interface Comparison {
  scenario: string
  what: string
  /** The ratio is of the first to the second; a second that is absent is nothing to compare with. */
  sides: readonly Measured[] | undefined
  bar?: Bar
  note?: string
}

export function addComparison(
  bench: Bench,
  { scenario, what, sides, bar, note }: Comparison,
): void {
  const [one, other] = sides ?? []
  if (one === undefined) return
  const row: Row = { scenario, what, value: one.perSecond, unit: '/s' }
  if (other !== undefined) {
    row.against = { name: other.name, value: other.perSecond }
    row.ratio = median(one.all.map((value, i) => value / (other.all[i] ?? Number.NaN)))
  }
  if (bar !== undefined) row.bar = bar
  if (note !== undefined) row.note = note
  if (one.cpuSecondsPerMillion !== undefined) row.cpuSecondsPerMillion = one.cpuSecondsPerMillion
  if (one.rssMiB !== undefined) row.rssMiB = one.rssMiB
  bench.report.add(row)
  for (const side of sides ?? [])
    bench.report.addSlices(what, side.name, side.all, side.cpuSecondsPerMillion)
  bench.log(
    `  ${what}: ${Math.round(one.perSecond)}/s${other === undefined ? '' : ` against ${Math.round(other.perSecond)}/s ${other.name}, ratio ${row.ratio?.toFixed(2)}`}`,
  )
}

export function ratioAtLeast(bar: number, aim: number): Bar {
  return { judges: 'ratio', sense: 'least', bar, aim }
}
