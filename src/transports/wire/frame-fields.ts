// The fields of the frame being scanned: where their values are, and reading them by type.
//
//   {"cmd":"PULL","queue":"mail","wait":500}
//                         └─┬──┘        └┬┘   from[queue]..to[queue], from[wait]..to[wait]: raw JSON, quotes included
//
// 1. Extents are valid for the fields in `seen`; each value in them is valid JSON.
// 2. Reading never throws: the first thing that is wrong is kept in `problem`, the reader goes on with a harmless
//    value, and whoever reads looks at `problem` at the end.
// 3. A field is *given* when it is there and not null: an absent option and a null one are the same.

import { limits } from '../../engine/limits.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import { Field, type FieldName, fieldNames, RARE_FROM } from './fields.ts'
import { decode } from './json-string.ts'
import { queueNames } from './string-cache.ts'

const QUOTE = 0x22
const MINUS = 0x2d
const ZERO = 0x30
const LETTER_F = 0x66
const LETTER_N = 0x6e
const LETTER_T = 0x74

const UINT_DIGITS_MAX = 16
const INT32_MAX = 0x7fff_ffff
const NO_BYTES = Buffer.alloc(0)

export class FrameFields {
  bytes: Buffer = NO_BYTES
  /** The frame in `bytes`. */
  frameFrom = 0
  frameTo = 0
  /** Bit per common field that is there, and per field that is there more than once. */
  seen = 0
  repeated = 0
  /** The same of rare ones. */
  rareSeen = 0
  rareRepeated = 0
  readonly from = new Int32Array(fieldNames.length)
  readonly to = new Int32Array(fieldNames.length)
  problem: Refusal | null = null
  /** The job that fields are read of, for the texts of problems; -1 outside of `jobs`. */
  jobIndex = -1
  /** Lists that came before `cmd`, so that nobody knew yet what they are. */
  listsBefore = 0
  /** Elements of `tokens` and of `results`. */
  tokenCount = 0
  resultCount = 0

  begin(bytes: Buffer, from: number, to: number): void {
    this.bytes = bytes
    this.frameFrom = from
    this.frameTo = to
    this.seen = 0
    this.repeated = 0
    this.rareSeen = 0
    this.rareRepeated = 0
    this.problem = null
    this.jobIndex = -1
    this.listsBefore = 0
  }

  /** Of a common field. */
  put(field: Field, from: number, to: number): void {
    const bit = 1 << field
    this.repeated |= this.seen & bit
    this.seen |= bit
    this.from[field] = from
    this.to[field] = to
  }

  putRare(field: Field, from: number, to: number): void {
    const bit = 1 << (field - RARE_FROM)
    this.rareRepeated |= this.rareSeen & bit
    this.rareSeen |= bit
    this.from[field] = from
    this.to[field] = to
  }

  isGiven(field: Field): boolean {
    const seen = field < RARE_FROM ? this.seen : this.rareSeen
    return (seen & (1 << field)) !== 0 && this.firstByte(field) !== LETTER_N
  }

  /** A uint of at most `max`; 0 with a problem when it is none. */
  uint(field: Field, max: number = Number.MAX_SAFE_INTEGER): number {
    return this.uintIn(field, this.from[field] as number, this.to[field] as number, max)
  }

  /** The same, or `absent` when it is not given. */
  optUint(field: Field, max: number, absent: number): number {
    return this.isGiven(field) ? this.uint(field, max) : absent
  }

  uintIn(field: Field, from: number, to: number, max: number): number {
    const value = uintOf(this.bytes, from, to)
    if (value < 0) return this.wrongType(field, 'an integer from 0 to 2^53 - 1')
    if (value > max) {
      return this.fail(
        refusals.invalid(`field ${this.label(field)} is ${value}, the maximum is ${max}`),
      )
    }
    return value
  }

  int32(field: Field, from: number, to: number): number {
    const negative = this.bytes[from] === MINUS
    const value = uintOf(this.bytes, negative ? from + 1 : from, to)
    if (value < 0 || value > (negative ? INT32_MAX + 1 : INT32_MAX)) {
      return this.wrongType(field, 'an integer from -2^31 to 2^31 - 1')
    }
    return negative ? -value | 0 : value
  }

  /** true, false, or false when it is not given. */
  optBool(field: Field): boolean {
    if (!this.isGiven(field)) return false
    const first = this.firstByte(field)
    if (first !== LETTER_T && first !== LETTER_F) this.wrongType(field, 'true or false')
    return first === LETTER_T
  }

  string(field: Field): string {
    if (this.firstByte(field) !== QUOTE) {
      this.wrongType(field, 'a string')
      return ''
    }
    return decode(this.bytes, (this.from[field] as number) + 1, (this.to[field] as number) - 1)
  }

  optString(field: Field): string | null {
    return this.isGiven(field) ? this.string(field) : null
  }

  queueName(): string {
    if (this.firstByte(Field.queue) !== QUOTE) return this.string(Field.queue)
    const from = this.from[Field.queue] as number
    return queueNames.get(this.bytes, from + 1, (this.to[Field.queue] as number) - 1)
  }

  wrongType(field: Field, expected: string): 0 {
    return this.fail(refusals.invalid(`field ${this.label(field)} must be ${expected}`))
  }

  missing(name: FieldName | 'id or ids'): 0 {
    const where = this.jobIndex < 0 ? '' : ` in jobs[${this.jobIndex}]`
    return this.fail(refusals.invalid(`missing field "${name}"${where}`))
  }

  duplicate(name: string): 0 {
    const where = this.jobIndex < 0 ? '' : ` in jobs[${this.jobIndex}]`
    return this.fail(refusals.invalid(`duplicate field "${name}"${where}`))
  }

  overLimit(what: string, max: number): 0 {
    const where = this.jobIndex < 0 ? '' : ` in jobs[${this.jobIndex}]`
    return this.fail(refusals.limitExceeded(`${what}${where}`, max))
  }

  /** Keeps the first problem; 0 so that a reader can return it as its harmless value. */
  fail(problem: Refusal): 0 {
    this.problem ??= problem
    return 0
  }

  private firstByte(field: Field): number {
    return this.bytes[this.from[field] as number] as number
  }

  private label(field: Field): string {
    const name = fieldNames[field] as string
    return this.jobIndex < 0 ? `"${name}"` : `"${name}" of jobs[${this.jobIndex}]`
  }
}

/** The value of a JSON number that is an integer from 0 to 2^53 - 1; -1 for every other JSON value. */
export function uintOf(bytes: Buffer, from: number, to: number): number {
  if (to - from > UINT_DIGITS_MAX) return -1
  let value = 0
  for (let i = from; i < to; i++) {
    const digit = (bytes[i] as number) - ZERO
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value <= Number.MAX_SAFE_INTEGER && to > from ? value : -1
}

/** Whether the raw JSON of a `reqId` is a string or an integer, and not too long. */
export function isReqId(bytes: Buffer, from: number, to: number): boolean {
  if (to - from > limits.reqIdBytesMax) return false
  const first = bytes[from] as number
  if (first === QUOTE) return true
  for (let i = first === MINUS ? from + 1 : from; i < to; i++) {
    const c = bytes[i] as number
    if (c < ZERO || c > ZERO + 9) return false
  }
  return true
}
