// Decimal digits of numbers that come in runs: ids of one batch, times of one turn.
//
// 1. `DecimalRun` keeps the leading digits of the last number as text; a number that has the same ones costs
//    four words: three for the leading digits, however many there are, and one from a table for the rest.
// 2. The caller has made room for 16 bytes; what the words write beyond the number is written over next.

const LOW = 10_000
const LEAD_DIGITS_MAX = 12

export class DecimalRun {
  /** The last number without its four low digits. */
  private high = 0
  /** `high * LOW`. */
  private base = 0
  private readonly digits = Buffer.alloc(LEAD_DIGITS_MAX)
  /** The same as words. */
  private word0 = 0
  private word1 = 0
  private word2 = 0
  /** Digits of `high`; 0 when it is 0, and then numbers are not padded. */
  private count = 0

  /** The last number has as many digits as `put` writes at least. */
  get isLong(): boolean {
    return this.count + 4 >= LEAD_DIGITS_MAX
  }

  /** Writes `value` (a safe integer >= 0) at `at`; returns where it ends. */
  put(view: DataView, at: number, value: number): number {
    let low = value - this.base
    if (low < 0 || low >= LOW) {
      this.lead(value)
      low = value - this.base
    }
    const { count } = this
    if (count === 0) return putSmall(view, at, low | 0)
    view.setInt32(at, this.word0, true)
    view.setInt32(at + 4, this.word1, true)
    view.setInt32(at + 8, this.word2, true)
    view.setInt32(at + count, fourDigits[low] as number, true)
    return at + count + 4
  }

  private lead(value: number): void {
    this.high = Math.floor(value / LOW)
    this.base = this.high * LOW
    this.count = 0
    if (this.high === 0) return
    const text = String(this.high)
    this.count = text.length
    this.digits.write(text, 'latin1')
    this.word0 = this.digits.readInt32LE(0)
    this.word1 = this.digits.readInt32LE(4)
    this.word2 = this.digits.readInt32LE(8)
  }
}

/** 0 to 9999 with leading zeros, as the word that writes it. */
const fourDigits = new Int32Array(LOW)
for (let i = 0; i < LOW; i++) {
  fourDigits[i] = Buffer.from(String(i).padStart(4, '0')).readInt32LE(0)
}

/** 0 to 9999 without leading zeros. */
function putSmall(view: DataView, at: number, value: number): number {
  if (value < 10) {
    view.setUint8(at, 48 + value)
    return at + 1
  }
  let end = at + (value < 100 ? 2 : value < 1000 ? 3 : 4)
  const after = end
  let rest = value
  while (end > at) {
    const tenth = (rest / 10) | 0
    view.setUint8(--end, 48 + (rest - tenth * 10))
    rest = tenth
  }
  return after
}
