// Decimal digits of numbers that come in runs: ids of one batch, times of one turn.
//
// 1. `DecimalRun` keeps the leading digits of the last number as text; a number that has the same ones
//    costs a copy and four digits.
// 2. The caller has made room: a safe integer takes at most 16 bytes.

const LOW = 10_000
const DIGITS_MAX = 16

export class DecimalRun {
  /** The last number without its four low digits. */
  private high = 0
  /** `high * LOW`. */
  private base = 0
  private readonly digits = new Uint8Array(DIGITS_MAX)
  /** Digits of `high`; 0 when it is 0, and then numbers are not padded. */
  private count = 0

  /** Writes `value` (a safe integer >= 0) at `at`; returns where it ends. */
  put(bytes: Buffer, at: number, value: number): number {
    let low = value - this.base
    if (low < 0 || low >= LOW) {
      this.lead(value)
      low = value - this.base
    }
    const { digits, count } = this
    if (count === 0) return putSmall(bytes, at, low | 0)
    for (let i = 0; i < count; i++) bytes[at + i] = digits[i] as number
    return putFour(bytes, at + count, low | 0)
  }

  private lead(value: number): void {
    this.high = Math.floor(value / LOW)
    this.base = this.high * LOW
    this.count = 0
    if (this.high === 0) return
    const text = String(this.high)
    this.count = text.length
    for (let i = 0; i < text.length; i++) this.digits[i] = text.charCodeAt(i)
  }
}

function putFour(bytes: Buffer, at: number, value: number): number {
  const pair = (value / 100) | 0
  const rest = value - pair * 100
  const first = (pair / 10) | 0
  const third = (rest / 10) | 0
  bytes[at] = 48 + first
  bytes[at + 1] = 48 + pair - first * 10
  bytes[at + 2] = 48 + third
  bytes[at + 3] = 48 + rest - third * 10
  return at + 4
}

/** 0 to 9999 without leading zeros. */
function putSmall(bytes: Buffer, at: number, value: number): number {
  if (value < 10) {
    bytes[at] = 48 + value
    return at + 1
  }
  let end = at + (value < 100 ? 2 : value < 1000 ? 3 : 4)
  const after = end
  let rest = value
  while (end > at) {
    const tenth = (rest / 10) | 0
    bytes[--end] = 48 + (rest - tenth * 10)
    rest = tenth
  }
  return after
}
