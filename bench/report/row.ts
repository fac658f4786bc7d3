// One line of the report, and how it is judged.

export interface Bar {
  /** Whether the ratio or the value itself is held against the bar. */
  judges: 'ratio' | 'value'
  /** `least`: at least so much; `most`: at most so much. */
  sense: 'least' | 'most'
  bar: number
  aim: number
}

export interface Row {
  scenario: string
  what: string
  value: number
  unit: string
  /** What it is compared with, in the same unit. */
  against?: { name: string; value: number }
  ratio?: number
  bar?: Bar
  cpuSecondsPerMillion?: number
  rssMiB?: number
  note?: string
}

/** A comparison that could not be made here, and why. */
export interface Skipped {
  scenario: string
  what: string
  reason: string
}

export type Verdict = 'PASS, aim met' | 'PASS' | 'below'

export function verdictOf(row: Row): Verdict | undefined {
  const { bar } = row
  if (bar === undefined) return undefined
  const value = bar.judges === 'ratio' ? row.ratio : row.value
  if (value === undefined || Number.isNaN(value)) return 'below'
  const meets = (limit: number) => (bar.sense === 'least' ? value >= limit : value <= limit)
  if (meets(bar.aim)) return 'PASS, aim met'
  return meets(bar.bar) ? 'PASS' : 'below'
}
