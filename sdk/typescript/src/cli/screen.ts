// The whole terminal, for a while.
//
// 1. Whatever ends the command, the terminal is as it was before: its lines, its cursor, its way of reading keys.
// 2. A picture is written in one piece, over the one before: nothing flickers.

import type { Io } from './io.ts'

const ESC = '\u001b'
const ENTER = `${ESC}[?1049h${ESC}[?25l`
const LEAVE = `${ESC}[?25h${ESC}[?1049l`
const HOME = `${ESC}[H`
const CLEAR_LINE_END = `${ESC}[K`
const CLEAR_REST = `${ESC}[J`

export type Key = 'up' | 'down' | 'pageup' | 'pagedown' | 'interrupt' | (string & {})

const KEYS: Readonly<Record<string, Key>> = {
  [`${ESC}[A`]: 'up',
  [`${ESC}OA`]: 'up',
  [`${ESC}[B`]: 'down',
  [`${ESC}OB`]: 'down',
  [`${ESC}[5~`]: 'pageup',
  [`${ESC}[6~`]: 'pagedown',
  '\u0003': 'interrupt',
  '\u0004': 'interrupt',
}
const KEY_PATTERN = new RegExp(`${ESC}(?:\\[[0-9;]*[A-Za-z~]|O[A-Z])|[\\s\\S]`, 'g')

export class Screen {
  readonly #io: Io
  readonly #pressed: (key: Key) => void
  readonly #resized: () => void
  readonly #onData = (chunk: unknown): void => {
    for (const [text] of String(chunk).matchAll(KEY_PATTERN)) this.#pressed(KEYS[text] ?? text)
  }
  readonly #onExit = (): void => this.close()
  #open = false

  constructor(io: Io, pressed: (key: Key) => void, resized: () => void) {
    this.#io = io
    this.#pressed = pressed
    this.#resized = resized
  }

  get columns(): number {
    return this.#io.stdout.columns || 80
  }

  get rows(): number {
    return this.#io.stdout.rows || 24
  }

  open(): void {
    if (this.#open) return
    this.#open = true
    const { stdin, stdout } = this.#io
    stdin.setRawMode?.(true)
    stdin.on('data', this.#onData)
    stdin.resume()
    stdout.on('resize', this.#resized)
    process.on('exit', this.#onExit)
    stdout.write(ENTER)
  }

  draw(lines: readonly string[]): void {
    if (!this.#open) return
    const text = lines.map((line) => line + CLEAR_LINE_END).join('\r\n')
    this.#io.stdout.write(HOME + text + CLEAR_REST)
  }

  /** May be called twice. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    const { stdin, stdout } = this.#io
    process.off('exit', this.#onExit)
    stdout.off('resize', this.#resized)
    stdin.off('data', this.#onData)
    stdin.setRawMode?.(false)
    stdin.pause()
    stdout.write(LEAVE)
  }
}
