// Rows in columns. Every cell is made plain here, so no table can be forgotten.

import { cut, plain, widthOf } from './plain-text.ts'

export interface Column<Row> {
  readonly head: string
  readonly cell: (row: Row) => string
  /** Numbers stand on the right. */
  readonly right?: boolean
  /** Gives way when the terminal is too narrow. */
  readonly elastic?: boolean
}

const GAP = '  '
const ELASTIC_COLUMNS_MIN = 8

/** `columnsMax` 0: as wide as it is. `head` is how a heading is shown. */
export function tableLines<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  columnsMax: number,
  head: (text: string) => string = (text) => text,
): string[] {
  const cells = rows.map((row) => columns.map((column) => plain(column.cell(row))))
  const widths = columns.map((column, place) =>
    Math.max(widthOf(column.head), ...cells.map((row) => widthOf(row[place] ?? ''))),
  )
  if (columnsMax > 0) narrow(columns, widths, columnsMax)
  const line = (texts: readonly string[]): string =>
    columns
      .map((column, place) => pad(texts[place] ?? '', widths[place] ?? 0, column.right ?? false))
      .join(GAP)
      .trimEnd()
  const lines = [head(line(columns.map((column) => column.head))), ...cells.map(line)]
  return lines
}

/** `Key   value` lines. */
export function fieldLines(fields: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(0, ...fields.map(([name]) => widthOf(name)))
  return fields.map(([name, value]) => `${pad(name, width, false)}${GAP}${plain(value)}`.trimEnd())
}

export function pad(text: string, columns: number, right: boolean): string {
  const fitting = cut(text, columns)
  const space = ' '.repeat(Math.max(0, columns - widthOf(fitting)))
  return right ? space + fitting : fitting + space
}

/** Takes what is too much from the elastic columns, the widest first. */
function narrow<Row>(columns: readonly Column<Row>[], widths: number[], columnsMax: number): void {
  const gaps = GAP.length * (widths.length - 1)
  let surplus = widths.reduce((sum, width) => sum + width, gaps) - columnsMax
  while (surplus > 0) {
    let widest = -1
    columns.forEach((column, place) => {
      const isWider = widest < 0 || (widths[place] ?? 0) > (widths[widest] ?? 0)
      if (column.elastic === true && isWider) widest = place
    })
    const width = widths[widest] ?? 0
    if (width <= ELASTIC_COLUMNS_MIN) return
    const others = columns.map((column, place) =>
      column.elastic === true && place !== widest ? (widths[place] ?? 0) : 0,
    )
    const next = Math.max(ELASTIC_COLUMNS_MIN, Math.max(...others))
    const step = width > next ? width - next : 1
    const taken = Math.min(surplus, step)
    widths[widest] = width - taken
    surplus -= taken
  }
}
