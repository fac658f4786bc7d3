// A growing run of bytes that is written front to back and sent or copied from `bytes[0..length)`.
//
// ASCII and decimal numbers are written by hand: for the short pieces that replies are made of, that
// beats a call into the runtime's encoder by far.

const COPY_BY_HAND_MAX = 96

export class ByteWriter {
  bytes: Buffer
  length = 0

  constructor(capacity = 4096) {
    this.bytes = Buffer.allocUnsafeSlow(capacity)
  }

  /** Makes room for `more` bytes. Every method below calls it for its own need. */
  reserve(more: number): void {
    if (this.length + more > this.bytes.length) this.grow(more)
  }

  /** Text known to be ASCII (keys, constants, numbers). */
  ascii(text: string): void {
    const count = text.length
    this.reserve(count)
    const { bytes } = this
    let at = this.length
    for (let i = 0; i < count; i++) bytes[at++] = text.charCodeAt(i)
    this.length = at
  }

  utf8(text: string): void {
    this.reserve(text.length * 3)
    this.length += this.bytes.write(text, this.length, 'utf8')
  }

  copy(source: Buffer, from: number, to: number): void {
    const count = to - from
    this.reserve(count)
    const { bytes } = this
    let at = this.length
    if (count > COPY_BY_HAND_MAX) {
      source.copy(bytes, at, from, to)
      at += count
    } else {
      for (let i = from; i < to; i++) bytes[at++] = source[i] as number
    }
    this.length = at
  }

  byte(value: number): void {
    this.reserve(1)
    this.bytes[this.length++] = value
  }

  /** A non-negative safe integer in decimal. */
  uint(value: number): void {
    this.reserve(16)
    let rest = value
    let digits = 1
    for (let bound = 10; rest >= bound && digits < 16; bound *= 10) digits++
    const { bytes } = this
    let at = this.length + digits
    this.length = at
    while (rest > 0x7fff_ffff) {
      const tenth = Math.floor(rest / 10)
      bytes[--at] = 48 + (rest - tenth * 10)
      rest = tenth
    }
    do {
      const tenth = (rest / 10) | 0
      bytes[--at] = 48 + (rest - tenth * 10)
      rest = tenth
    } while (rest > 0)
  }

  int(value: number): void {
    if (value < 0) {
      this.byte(45)
      this.uint(-value)
    } else {
      this.uint(value)
    }
  }

  /** A copy of what has been written. */
  toBuffer(): Buffer {
    return Buffer.from(this.bytes.subarray(0, this.length))
  }

  private grow(more: number): void {
    const wider = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.length + more))
    this.bytes.copy(wider, 0, 0, this.length)
    this.bytes = wider
  }
}
