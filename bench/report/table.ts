// The report as one Markdown table, padded so that it reads as plain text too.

import type { Machine } from './machine.ts'
import { type Bar, type Row, type Skipped, verdictOf } from './row.ts'

const header = [
  'what',
  'measured',
  'against',
  'ratio',
  'at least',
  'aim',
  'verdict',
  'CPU s / M jobs',
  'RSS MiB',
  'said',
]

interface Findings {
  rows: readonly Row[]
  remarks: readonly string[]
  skipped: readonly Skipped[]
}

export function markdown(machine: Machine, { rows, remarks, skipped }: Findings): string {
  const intro = [
    `# FlashQ benchmarks, ${machine.date}`,
    '',
    `Commit \`${machine.commit}\`, ${machine.mode} run: \`${machine.command}\`.`,
    `${machine.cpuModel}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}, Node ${machine.node}; load at start ${machine.loadAverage}.`,
    'Only ratios count: both sides of each were measured in turn in this run. CPU and RSS are of the first side, all its processes.',
    '',
  ]
  const cells = [header, ...rows.map(rowCells)]
  const widths = header.map((_, column) =>
    Math.max(3, ...cells.map((row) => row[column]?.length ?? 0)),
  )
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`
  const table = [line(header), rule, ...cells.slice(1).map(line)]
  const below = [
    ...remarks.map((remark) => `- ${remark}`),
    ...skipped.map((one) => `- ${one.scenario}, ${one.what}: not run: ${one.reason}`),
  ]
  return `${[...intro, ...table, ...(below.length === 0 ? [] : ['', ...below])].join('\n')}\n`
}

function rowCells(row: Row): string[] {
  return [
    row.what,
    quantity(row.value, row.unit),
    row.against === undefined ? '' : `${quantity(row.against.value, row.unit)} ${row.against.name}`,
    row.ratio === undefined ? '' : `${significant(row.ratio)}x`,
    barCell(row.bar, row.unit, 'bar'),
    barCell(row.bar, row.unit, 'aim'),
    verdictOf(row) ?? '',
    row.cpuSecondsPerMillion === undefined ? '' : significant(row.cpuSecondsPerMillion),
    row.rssMiB === undefined ? '' : String(Math.round(row.rssMiB)),
    row.note ?? '',
  ]
}

function barCell(bar: Bar | undefined, unit: string, which: 'bar' | 'aim'): string {
  if (bar === undefined) return ''
  const value = bar.judges === 'ratio' ? `${bar[which]}x` : `${bar[which]} ${unit}`
  return bar.sense === 'most' ? `<= ${value}` : value
}

function quantity(value: number, unit: string): string {
  const scaled =
    value >= 999_500
      ? `${significant(value / 1e6)} M`
      : value >= 1e4
        ? `${significant(value / 1e3)} k`
        : significant(value)
  return unit.startsWith('/') ? `${scaled}${unit}` : `${scaled} ${unit}`
}

/** Three digits that mean something. */
function significant(value: number): string {
  if (!Number.isFinite(value)) return '?'
  if (Math.abs(value) >= 100) return String(Math.round(value))
  return String(Number(value.toPrecision(3)))
}
