// Finds which of a fixed set of ASCII names some bytes are, without making a string of them.
//
// 1. A slot is chosen by length, first, middle and last byte; the multipliers are searched for at start until no
//    two names share a slot, so a look-up is one probe and one comparison.
// 2. A name's number is its index in the list it was made from; '' fills a number that has no name.

const SLOTS = 256
const NAME_BYTES_MAX = 16
const MULTIPLIER_MAX = 32

export class NameTable {
  /** Slot → number, -1 for none. */
  private readonly numbers = new Int16Array(SLOTS)
  private readonly lengths: Uint8Array
  private readonly letters: Uint8Array
  private first = 1
  private middle = 1
  private last = 1

  constructor(names: readonly string[]) {
    this.lengths = Uint8Array.from(names, (name) => name.length)
    this.letters = new Uint8Array(names.length * NAME_BYTES_MAX)
    names.forEach((name, number) => {
      if (name.length > NAME_BYTES_MAX) throw new RangeError(`name too long: ${name}`)
      this.letters.set(Buffer.from(name, 'latin1'), number * NAME_BYTES_MAX)
    })
    this.chooseMultipliers(names)
  }

  /** The number of the name in `bytes[from..to)`, or -1. */
  find(bytes: Buffer, from: number, to: number): number {
    const length = to - from
    if (length === 0 || length > NAME_BYTES_MAX) return -1
    const number = this.numbers[this.slot(bytes, from, to)] as number
    if (number < 0 || this.lengths[number] !== length) return -1
    const { letters } = this
    const base = number * NAME_BYTES_MAX
    for (let k = 0; k < length; k++) {
      if (bytes[from + k] !== letters[base + k]) return -1
    }
    return number
  }

  private slot(bytes: Uint8Array, from: number, to: number): number {
    const length = to - from
    const first = bytes[from] as number
    const middle = bytes[from + (length >> 1)] as number
    const last = bytes[to - 1] as number
    return (first * this.first + middle * this.middle + last * this.last + length) & (SLOTS - 1)
  }

  private chooseMultipliers(names: readonly string[]): void {
    for (this.first = 1; this.first < MULTIPLIER_MAX; this.first++) {
      for (this.middle = 1; this.middle < MULTIPLIER_MAX; this.middle++) {
        for (this.last = 1; this.last < MULTIPLIER_MAX; this.last++) {
          if (this.fill(names)) return
        }
      }
    }
    throw new Error('no multipliers separate these names')
  }

  private fill(names: readonly string[]): boolean {
    this.numbers.fill(-1)
    for (let number = 0; number < names.length; number++) {
      const length = this.lengths[number] as number
      if (length === 0) continue
      const from = number * NAME_BYTES_MAX
      const slot = this.slot(this.letters, from, from + length)
      if (this.numbers[slot] !== -1) return false
      this.numbers[slot] = number
    }
    return true
  }
}
