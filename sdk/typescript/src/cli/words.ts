// The words of a command, as what they stand for.

import { JsonText } from '../json-text.ts'
import { UsageError } from './exit-code.ts'

export function idOf(text: string): number {
  const id = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(id)) return id
  throw new UsageError(`${JSON.stringify(text)} is no job id`)
}

/** Sent byte for byte, so that no number is rounded on its way. */
export function jsonOf(text: string, what: string): JsonText {
  try {
    return new JsonText(text)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new UsageError(`${what} is not JSON: ${reason}`)
  }
}
