// Decimal digits of numbers that come in runs: ids of one batch, times of one turn.
//
// 1. `DecimalRun` keeps the leading digits of the last number as text; a number that has the same ones costs
//    four words: three for the leading digits, however many there are, and one from a table for the rest.
// 2. The caller has made room for 16 bytes a number; what the words write beyond it is written over next.

const COMMA = 44
const LOW = 10_000
const LEAD_DIGITS_MAX = 12

export class DecimalRun {
  /** The last number without its four low digits. */
  private high = 0
  /** `high * LOW`. */
  private base = 0
  /** A comma and the digits of `high`. */
  private readonly text = Buffer.alloc(1 + LEAD_DIGITS_MAX + 3, ',')
  /** The same as doubles: digits make none that is a NaN, which could change on its way. */
  private commaAndLead = 0
  private restOfLead = 0
  /** `high` as words. */
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

  /** `count` numbers from `first` on, `step` (at least 1) apart, commas between them; returns where they end. */
  putList(view: DataView, start: number, first: number, step: number, count: number): number {
    if (count === 0) return start
    let at = this.put(view, start, first)
    for (let i = 1; i < count; ) {
      const value = first + i * step
      if (value - this.base >= LOW) this.lead(value)
      const low = value - this.base
      const alike = Math.min(count - i, Math.ceil((LOW - low) / step))
      at = this.putAlike(view, at, low, step, alike)
      i += alike
    }
    return at
  }

  /** Numbers with the present leading digits, a comma before each. */
  private putAlike(
    view: DataView,
    start: number,
    from: number,
    step: number,
    count: number,
  ): number {
    const { count: digits, commaAndLead, restOfLead } = this
    let at = start
    let low = from | 0
    const end = (low + step * count) | 0
    if (digits === 0) {
      for (; low < end; low += step) {
        view.setUint8(at, COMMA)
        at = putSmall(view, at + 1, low)
      }
      return at
    }
    const size = digits + 5
    for (; low < end; low += step) {
      view.setFloat64(at, commaAndLead, true)
      if (digits >= 8) view.setFloat64(at + 8, restOfLead, true)
      view.setInt32(at + digits + 1, fourDigits[low] as number, true)
      at += size
    }
    return at
  }

  private lead(value: number): void {
    this.high = Math.floor(value / LOW)
    this.base = this.high * LOW
    this.count = 0
    if (this.high === 0) return
    const text = String(this.high)
    this.count = text.length
    this.text.write(text, 1, 'latin1')
    this.commaAndLead = this.text.readDoubleLE(0)
    this.restOfLead = this.text.readDoubleLE(8)
    this.word0 = this.text.readInt32LE(1)
    this.word1 = this.text.readInt32LE(5)
    this.word2 = this.text.readInt32LE(9)
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
