// The picture of `top`: as many lines as the screen has, none longer than it is wide.

import { countText, rateText } from './amounts.ts'
import { limitText } from './commands/queues.ts'
import { cut, plain } from './plain-text.ts'
import { type Column, pad, tableLines } from './table.ts'
import type { QueueRow, Sort, TopModel } from './top-model.ts'

export interface TopLook {
  readonly columns: number
  readonly rows: number
  readonly sort: Sort
  readonly paused: boolean
  /** Of the first queue shown. */
  readonly scroll: number
  /** Why the numbers are old, or null. */
  readonly fault: string | null
  readonly server: string
  readonly clock: string
  bold(text: string): string
  red(text: string): string
}

/** Lines besides queues: title, totals, a blank, the heading, the keys. */
export const FRAME_LINES = 5

const QUEUE_COLUMNS: readonly Column<QueueRow>[] = [
  { head: 'QUEUE', cell: (row) => row.name, elastic: true },
  { head: 'PENDING', cell: (row) => countText(row.pending), right: true },
  { head: '+/-/s', cell: (row) => growthText(row.growth), right: true },
  { head: 'ACTIVE', cell: (row) => countText(row.processing), right: true },
  { head: 'DLQ', cell: (row) => countText(row.dlq), right: true },
  { head: 'RATE', cell: (row) => limitText(row.rate_limit, '/s'), right: true },
  { head: 'CONC', cell: (row) => limitText(row.concurrency_limit, ''), right: true },
  { head: 'STATE', cell: (row) => (row.paused ? 'paused' : 'running') },
]

export function topLines(model: TopModel, look: TopLook): string[] {
  const room = Math.max(0, look.rows - FRAME_LINES)
  const rows = model.rows(look.sort).slice(look.scroll, look.scroll + room)
  // The heading comes plain: its marks would count as columns.
  const [heading = '', ...queues] = tableLines(QUEUE_COLUMNS, rows, look.columns)
  const lines = [
    look.bold(cut(titleOf(look), look.columns)),
    look.fault === null
      ? cut(totalsOf(model), look.columns)
      : look.red(cut(plain(look.fault), look.columns)),
    '',
    look.bold(cut(heading, look.columns)),
    ...queues.map((line) => cut(line, look.columns)),
  ]
  while (lines.length < look.rows - 1) lines.push('')
  lines.push(cut(keysOf(model, look, room), look.columns))
  return lines.slice(0, look.rows)
}

/** Like `queues`, with rates. */
export function plainTop(model: TopModel): string[] {
  return [totalsOf(model), '', ...tableLines(QUEUE_COLUMNS, model.rows('name'), 0)]
}

function titleOf(look: TopLook): string {
  const left = `flashq top  ${plain(look.server)}${look.paused ? '  [paused]' : ''}`
  return `${pad(left, Math.max(0, look.columns - look.clock.length - 1), false)} ${look.clock}`
}

function totalsOf(model: TopModel): string {
  const stats = model.newest?.stats
  if (stats === undefined) return 'asking …'
  const { pushed, completed, failed } = model.totals()
  const depth = `waiting ${countText(stats.queued)}  delayed ${countText(stats.delayed)}  active ${countText(stats.processing)}  dlq ${countText(stats.dlq)}`
  if (pushed === null) return depth
  return `${depth}  |  pushed ${rateText(pushed)}/s  done ${rateText(completed ?? 0)}/s  failed ${rateText(failed ?? 0)}/s`
}

function keysOf(model: TopModel, look: TopLook, room: number): string {
  const all = model.newest?.queues.length ?? 0
  const shown =
    all > room ? `  ${look.scroll + 1}-${Math.min(all, look.scroll + room)} of ${all}` : ''
  return `q quit  p pause  s sort: ${look.sort}  up/down scroll${shown}`
}

function growthText(growth: number | null): string {
  if (growth === null) return '-'
  return growth > 0 ? `+${rateText(growth)}` : rateText(growth)
}
