// The rule for queue names: 1 to 256 UTF-8 bytes of Unicode letters and digits, `_`, `-`, `.`.
//
// Every transport and every command applies the same rule, so a name that one of them accepts can be
// reached by all.

import { limits } from './limits.ts'
import { type Refusal, refusals } from './refusal.ts'

const ALLOWED = /^[\p{Alphabetic}\p{N}_.-]+$/u

/** What is wrong with `name`, or null. */
export function checkQueueName(name: string): Refusal | null {
  const units = name.length
  if (units === 0) return refusals.queueEmpty
  // A UTF-16 unit takes at least one byte, so a name that long need not be looked at.
  if (units > limits.queueNameBytesMax) return refusals.queueTooLong
  for (let i = 0; i < units; i++) {
    if (!isPlain(name.charCodeAt(i))) return checkUnicode(name)
  }
  return null
}

function isPlain(code: number): boolean {
  return (
    (code >= 97 && code <= 122) ||
    (code >= 48 && code <= 57) ||
    (code >= 65 && code <= 90) ||
    code === 95 ||
    code === 45 ||
    code === 46
  )
}

function checkUnicode(name: string): Refusal | null {
  if (Buffer.byteLength(name) > limits.queueNameBytesMax) return refusals.queueTooLong
  return ALLOWED.test(name) ? null : refusals.queueCharacters
}
