// Collects rows while scenarios run, and writes them: one table on standard output and in `bench/results/`, raw data beside it.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Machine } from './machine.ts'
import type { Row, Skipped } from './row.ts'
import { markdown } from './table.ts'

/** What one side gave in each round, and its CPU over all of them. */
interface Slices {
  what: string
  side: string
  perSecond: number[]
  cpuSecondsPerMillion?: number
}

export class Report {
  readonly rows: Row[] = []
  readonly skipped: Skipped[] = []
  /** What must be known to read the rows. */
  readonly remarks: string[] = []
  /** Every slice behind the medians, by row. */
  readonly slices: Slices[] = []

  add(row: Row): void {
    this.rows.push(row)
  }

  skip(scenario: string, what: string, reason: string): void {
    this.skipped.push({ scenario, what, reason })
  }

  remark(text: string): void {
    if (!this.remarks.includes(text)) this.remarks.push(text)
  }

  addSlices(what: string, side: string, perSecond: number[], cpuSecondsPerMillion?: number): void {
    const cpu = cpuSecondsPerMillion === undefined ? {} : { cpuSecondsPerMillion }
    this.slices.push({ what, side, perSecond, ...cpu })
  }

  text(machine: Machine): string {
    return markdown(machine, this)
  }

  /** The path of the written table. */
  save(folder: string, machine: Machine): string {
    mkdirSync(folder, { recursive: true })
    const base = freeBase(folder, machine)
    writeFileSync(`${base}.md`, this.text(machine))
    const { rows, remarks, skipped, slices } = this
    const raw = { machine, rows, remarks, skipped, slices }
    writeFileSync(`${base}.json`, `${JSON.stringify(raw, null, 1)}\n`)
    return `${base}.md`
  }
}

/** A later run of the same day and commit does not overwrite an earlier one. */
function freeBase(folder: string, { date, commit, mode }: Machine): string {
  const base = join(folder, `${date.slice(0, 10)}-${commit}${mode === 'full' ? '' : `-${mode}`}`)
  let free = base
  for (let run = 2; existsSync(`${free}.md`); run++) free = `${base}-${run}`
  return free
}
