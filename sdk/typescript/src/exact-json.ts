// JSON with integers of any size: those beyond 2^53, which JavaScript's own parser rounds, are bigint here.
//
// A text that holds no run of 16 digits is the built-in parser's: its integers are all exact.

import { FlashQError } from './errors.ts'

const LONG_NUMBER = /\d{16}/
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
const SPACE = /[ \t\n\r]*/y
const STRING = /"(?:[^"\\]|\\.)*"/y
const WORD = /true|false|null/y
/** The server's own limit is 64. */
const DEPTH_MAX = 200

/** With `exact`, integers beyond 2^53 are bigint. Throws a SyntaxError. */
export function parseJson(text: string, exact: boolean): unknown {
  if (!exact || !LONG_NUMBER.test(text)) return JSON.parse(text)
  // The built-in parser is the judge of what is JSON; then only valid text is left to read.
  JSON.parse(text)
  return new Reader(text).value(0)
}

/** The JSON of a value whose integers may be bigint; undefined is null. */
export function exactText(value: unknown, indent = ''): string {
  return write(value, indent, '')
}

class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  value(depth: number): unknown {
    if (depth > DEPTH_MAX) throw new FlashQError('protocol', 'JSON is nested too deep')
    this.#take(SPACE)
    const first = this.#text[this.#at]
    if (first === '{') return this.#object(depth)
    if (first === '[') return this.#array(depth)
    if (first === '"') return JSON.parse(this.#take(STRING))
    if (first === 't' || first === 'f' || first === 'n') return JSON.parse(this.#take(WORD))
    return numberOf(this.#take(NUMBER))
  }

  #object(depth: number): unknown {
    const entries: [string, unknown][] = []
    this.#at += 1
    while (!this.#ends('}')) {
      const key = JSON.parse(this.#take(STRING)) as string
      this.#take(SPACE)
      this.#at += 1
      entries.push([key, this.value(depth + 1)])
    }
    return Object.fromEntries(entries)
  }

  #array(depth: number): unknown {
    const values: unknown[] = []
    this.#at += 1
    while (!this.#ends(']')) values.push(this.value(depth + 1))
    return values
  }

  /** Goes over a comma, or over the end. */
  #ends(end: string): boolean {
    this.#take(SPACE)
    if (this.#text[this.#at] === ',') {
      this.#at += 1
      this.#take(SPACE)
    }
    if (this.#text[this.#at] !== end) return false
    this.#at += 1
    return true
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const [found = ''] = pattern.exec(this.#text) ?? []
    this.#at += found.length
    return found
  }
}

function numberOf(text: string): number | bigint {
  const value = Number(text)
  if (Number.isSafeInteger(value) || !/^-?\d+$/.test(text)) return value
  return BigInt(text)
}

function write(value: unknown, indent: string, margin: string): string {
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if (!Array.isArray(value) && typeof (value as { toJSON?: unknown }).toJSON === 'function') {
    return JSON.stringify(value)
  }
  const inner = margin + indent
  const colon = indent === '' ? ':' : ': '
  const parts = Array.isArray(value)
    ? value.map((each) => write(each, indent, inner))
    : Object.entries(value)
        .filter(([, each]) => each !== undefined)
        .map(([key, each]) => `${JSON.stringify(key)}${colon}${write(each, indent, inner)}`)
  const [open, close] = Array.isArray(value) ? '[]' : '{}'
  if (parts.length === 0) return `${open}${close}`
  if (indent === '') return `${open}${parts.join(',')}${close}`
  return `${open}\n${inner}${parts.join(`,\n${inner}`)}\n${margin}${close}`
}
