// The lists that go with `ids`: the ids themselves, their tokens and their results.
//
// 1. Each scan validates what it passes; on anything wrong it returns FAIL with `fields.problem` set, and its
//    caller finds out whether the JSON itself is broken.
// 2. The lists may come in any order, so whether they are equally long is checked by who has them all.

import { limits } from '../../engine/limits.ts'
import { Field } from './fields.ts'
import type { FrameFields } from './frame-fields.ts'
import { FAIL, skipBlanks, skipValue } from './json-scanner.ts'
import { takeIds } from './kernel-rows.ts'
import { NO_PLACE, placeOf, Stopped, stopped, stoppedAt } from './scan-kernel.ts'

const SPACE = 0x20
const COMMA = 0x2c
const ZERO = 0x30
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const LETTER_N = 0x6e

/** Up to so many digits a number cannot exceed 2^53 - 1. */
const SAFE_DIGITS = 15

let lastCount = 0
/** Elements of the list scanned last. */
export const listCount = (): number => lastCount

/** A list of uints; `nullable`: null is allowed and becomes NaN. Returns where the list ends, or FAIL. */
export function scanUints(
  fields: FrameFields,
  field: Field,
  start: number,
  to: number,
  nullable: boolean,
  into: Float64Array,
): number {
  const { bytes } = fields
  lastCount = 0
  if (bytes[start] !== OPEN_ARRAY) return failList(fields, field)
  let i = skipBlanks(bytes, start + 1, to)
  if (bytes[i] === CLOSE_ARRAY) return i + 1
  let count = 0
  const place = placeOf(bytes, i, to)
  if (place !== NO_PLACE) {
    count = takeIds(place, i, to, into)
    i = stoppedAt()
    if (stopped() === Stopped.closed) {
      lastCount = count
      return i
    }
  }
  for (;;) {
    if (count === limits.batchMax) return failLength(fields, field)
    const from = i
    let value = 0
    let digit = (bytes[i] as number) - ZERO
    while (digit >= 0 && digit <= 9) {
      value = value * 10 + digit
      digit = (bytes[++i] as number) - ZERO
    }
    if (i - from > 1 ? !isUint(bytes, from, i, value) : i === from) {
      if (!nullable || bytes[from] !== LETTER_N) return failList(fields, field)
      i = skipValue(bytes, from, to, 0)
      if (i < 0) return failList(fields, field)
      value = Number.NaN
    }
    into[count++] = value
    if ((bytes[i] as number) <= SPACE) i = skipBlanks(bytes, i, to)
    const c = bytes[i++]
    if (c === COMMA) {
      if ((bytes[i] as number) <= SPACE) i = skipBlanks(bytes, i, to)
    } else if (c === CLOSE_ARRAY) {
      lastCount = count
      return i
    } else {
      return failList(fields, field)
    }
  }
}

/** Of two and more digits: not led by a zero, and not beyond 2^53 - 1. */
function isUint(bytes: Buffer, from: number, to: number, value: number): boolean {
  return bytes[from] !== ZERO && (to - from <= SAFE_DIGITS || value <= Number.MAX_SAFE_INTEGER)
}

/** ACKB `results`: from and to of each element into `into`, -1 for null. Returns where the list ends, or FAIL. */
export function scanResults(
  fields: FrameFields,
  start: number,
  to: number,
  into: Int32Array,
): number {
  const { bytes } = fields
  lastCount = 0
  if (bytes[start] !== OPEN_ARRAY) return failList(fields, Field.results)
  let i = skipBlanks(bytes, start + 1, to)
  if (bytes[i] === CLOSE_ARRAY) return i + 1
  for (let count = 0; ; ) {
    if (count === limits.batchMax) return failLength(fields, Field.results)
    const end = skipValue(bytes, i, to, limits.jsonDepthMax)
    if (end < 0) return failList(fields, Field.results)
    const isNull = bytes[i] === LETTER_N
    into[2 * count] = isNull ? -1 : i
    into[2 * count + 1] = isNull ? -1 : end
    count++
    i = skipBlanks(bytes, end, to)
    if (bytes[i] === CLOSE_ARRAY) {
      lastCount = count
      return i + 1
    }
    if (bytes[i] !== COMMA) return failList(fields, Field.results)
    i = skipBlanks(bytes, i + 1, to)
  }
}

function failList(fields: FrameFields, field: Field): typeof FAIL {
  fields.wrongType(field, expectedOf(field))
  return FAIL
}

function expectedOf(field: Field): string {
  if (field === Field.tokens) return 'an array of tokens or null'
  return field === Field.ids ? 'an array of job ids' : 'an array'
}

function failLength(fields: FrameFields, field: Field): typeof FAIL {
  fields.overLimit(
    field === Field.ids ? 'ids in a batch' : 'elements of a batch list',
    limits.batchMax,
  )
  return FAIL
}
