// What a command line may say, and what it said.

import { parseDuration, parseMoment } from './amounts.ts'
import { UsageError } from './exit-code.ts'

/** `switch` has no value; the others name theirs. */
type FlagKind = 'switch' | 'text' | 'integer' | 'duration' | 'moment' | 'list' | 'json'

export interface Flag {
  readonly name: string
  readonly short?: string
  readonly kind: FlagKind
  /** As the help shows it. */
  readonly value?: string
  readonly about: string
  /** Words that the value may be, for completion; others are refused. */
  readonly choices?: readonly string[]
}

export class Flags {
  readonly #values = new Map<string, string[]>()
  readonly #nowMs: number

  constructor(nowMs: number) {
    this.#nowMs = nowMs
  }

  /** Checks the value. */
  set(flag: Flag, value: string): void {
    const reason = this.#objection(flag, value)
    if (reason !== null)
      throw new UsageError(`--${flag.name} ${reason}, not ${JSON.stringify(value)}`)
    const before = this.#values.get(flag.name) ?? []
    this.#values.set(flag.name, flag.kind === 'list' ? [...before, value] : [value])
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  text(name: string): string | undefined {
    return this.#values.get(name)?.[0]
  }

  integer(name: string): number | undefined {
    const text = this.text(name)
    return text === undefined ? undefined : Number(text)
  }

  /** ms. */
  duration(name: string): number | undefined {
    const text = this.text(name)
    return text === undefined ? undefined : (parseDuration(text) ?? undefined)
  }

  /** Unix ms. */
  moment(name: string): number | undefined {
    const text = this.text(name)
    return text === undefined ? undefined : (parseMoment(text, this.#nowMs) ?? undefined)
  }

  /** Given several times, or separated by commas. */
  list(name: string): string[] | undefined {
    return this.#values.get(name)?.flatMap((text) => text.split(',').filter((part) => part !== ''))
  }

  #objection(flag: Flag, value: string): string | null {
    if (flag.choices !== undefined) {
      const wrong = value.split(',').find((part) => !flag.choices?.includes(part))
      return wrong === undefined ? null : `is one of ${flag.choices.join(', ')}`
    }
    switch (flag.kind) {
      case 'integer':
        return /^-?\d{1,15}$/.test(value) ? null : 'takes a whole number'
      case 'duration':
        return parseDuration(value) === null
          ? 'takes a time such as 250ms, 30s, 5m, 2h or 1d'
          : null
      case 'moment':
        return parseMoment(value, this.#nowMs) === null
          ? 'takes a date such as 2026-11-24T10:00:00Z, or a time ago such as 15m'
          : null
      case 'json':
        return isJson(value) ? null : 'takes JSON'
      case 'switch':
      case 'text':
      case 'list':
        return null
    }
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
