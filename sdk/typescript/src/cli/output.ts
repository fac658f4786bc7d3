// What a command says: tables and sentences for people, JSON for programs, complaints on stderr.
//
// 1. With `--json` stdout holds JSON alone: one document, or one a line where a command gives many.
// 2. Colours are for terminals, and never with NO_COLOR.
// 3. Writing waits for the reader (`drained`): a slow pipe holds the command back, it does not fill the memory.

import { exactText } from '../exact-json.ts'
import type { Io, OutputStream } from './io.ts'
import { plain, plainJson } from './plain-text.ts'
import { type Column, fieldLines, tableLines } from './table.ts'

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow'

const STYLES: Readonly<Record<Style, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
}

export class Output {
  readonly json: boolean
  readonly #io: Io
  readonly #colours: boolean

  constructor(io: Io, json: boolean) {
    this.#io = io
    this.json = json
    this.#colours = usesColours(io, io.stdout)
  }

  get isTerminal(): boolean {
    return this.#io.stdout.isTTY === true
  }

  /** Of the terminal; 0 where there is none. */
  get columns(): number {
    return this.isTerminal ? this.#io.stdout.columns || 80 : 0
  }

  /** A whole answer. Indented for a terminal. */
  document(value: unknown): void {
    this.#write(plainJson(exactText(value, this.isTerminal ? '  ' : '')))
  }

  /** One of many answers, on one line. */
  record(value: unknown): void {
    this.#write(plainJson(exactText(value)))
  }

  line(text = ''): void {
    this.#write(text)
  }

  table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): void {
    const lines = tableLines(columns, rows, this.columns, (text) => this.style('bold', text))
    for (const line of lines) this.#write(line)
  }

  fields(fields: readonly (readonly [string, string])[]): void {
    for (const line of fieldLines(fields)) this.#write(line)
  }

  style(style: Style, text: string): string {
    if (!this.#colours) return text
    const [on, off] = STYLES[style]
    return `\u001b[${on}m${text}\u001b[${off}m`
  }

  /** For people, beside the answer: on stderr, and not with --json. */
  note(text: string): void {
    if (!this.json) this.#io.stderr.write(`${plain(text)}\n`)
  }

  /** Resolves when the reader has kept up, or will read no more. */
  async drained(): Promise<void> {
    const { stdout, signal } = this.#io
    if (!stdout.writableNeedDrain || signal.aborted) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        stdout.off('drain', done)
        stdout.off('close', done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      stdout.on('drain', done)
      stdout.on('close', done)
      signal.addEventListener('abort', done)
    })
  }

  #write(line: string): void {
    this.#io.stdout.write(`${line}\n`)
  }
}

export function usesColours(io: Io, stream: OutputStream): boolean {
  const { NO_COLOR, TERM } = io.env
  return stream.isTTY === true && (NO_COLOR ?? '') === '' && TERM !== 'dumb'
}
