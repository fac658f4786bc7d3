// JSON in which payloads stay the text that they are: `data` and `result` are compared byte for byte, never parsed.
//
// What is written takes the text of an `ExactJson` as it stands; what is read has strings where payloads were.

export class ExactJson {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

export const exact = (text: string): ExactJson => new ExactJson(text)

/** A value with `ExactJson` anywhere in it. */
export function writeExact(value: unknown): string {
  if (value instanceof ExactJson) return value.text
  if (Array.isArray(value)) return `[${value.map(writeExact).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const pairs = Object.entries(value).filter(([, each]) => each !== undefined)
  return `{${pairs.map(([key, each]) => `${JSON.stringify(key)}:${writeExact(each)}`).join(',')}}`
}

/** Keys whose values are payloads. A payload that is `null` is read as null. */
const PAYLOADS = new Set(['data', 'result'])

/** What a server has written: without mistakes, and blanks only in payloads. */
export function readExact(text: string): unknown {
  return new Reader(text).value()
}

class Reader {
  private readonly text: string
  private at = 0

  constructor(text: string) {
    this.text = text
  }

  value(): unknown {
    if (this.text[this.at] === '{') return this.object()
    if (this.text[this.at] === '[') return this.list()
    const from = this.at
    this.pass()
    return JSON.parse(this.text.slice(from, this.at))
  }

  private object(): Record<string, unknown> {
    const object: Record<string, unknown> = {}
    this.at++
    while (this.text[this.at] !== '}') {
      if (this.text[this.at] === ',') this.at++
      const key = this.value() as string
      // The colon.
      this.at++
      object[key] = PAYLOADS.has(key) ? this.payload() : this.value()
    }
    this.at++
    return object
  }

  private list(): unknown[] {
    const list: unknown[] = []
    this.at++
    while (this.text[this.at] !== ']') {
      if (this.text[this.at] === ',') this.at++
      list.push(this.value())
    }
    this.at++
    return list
  }

  private payload(): string | null {
    const from = this.at
    this.pass()
    const text = this.text.slice(from, this.at)
    return text === 'null' ? null : text
  }

  /** To the end of the value, whatever it is. */
  private pass(): void {
    for (let depth = 0; this.at < this.text.length; this.at++) {
      const each = this.text[this.at] as string
      if (each === '"') this.passString()
      else if (each === '{' || each === '[') depth++
      else if (each === '}' || each === ']') {
        if (depth === 0) return
        depth--
      } else if (depth === 0 && (each === ',' || each === ':')) return
    }
  }

  /** To its closing quote. */
  private passString(): void {
    this.at++
    while (this.text[this.at] !== '"') this.at += this.text[this.at] === '\\' ? 2 : 1
  }
}
