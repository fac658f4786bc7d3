// Primitive cells of records and of a checkpoint's meta: little-endian numbers, counted texts and bytes.
//
//   text   u32 size | UTF-8          a text with half of a surrogate pair, which UTF-8 can't say:
//          u32 size + 2^31 | UTF-16
//   uint   seven bits a byte, the lowest first; all but the last byte with 128 added

const GROW_MIN = 1024
const WIDE = 0x8000_0000
const LONE_SURROGATE = /\p{Surrogate}/u

export class RecordWriter {
  private bytes = Buffer.allocUnsafeSlow(GROW_MIN)
  private length = 0

  begin(kind: number): this {
    this.length = 0
    return this.u8(kind)
  }

  u8(value: number): this {
    this.reserve(1)
    this.bytes[this.length++] = value
    return this
  }

  u32(value: number): this {
    this.reserve(4)
    this.length = this.bytes.writeUInt32LE(value, this.length)
    return this
  }

  f64(value: number): this {
    this.reserve(8)
    this.length = this.bytes.writeDoubleLE(value, this.length)
    return this
  }

  /** A safe integer >= 0. */
  uint(value: number): this {
    this.reserve(8)
    let rest = value
    for (; rest >= 128; rest = Math.floor(rest / 128))
      this.bytes[this.length++] = 128 + (rest % 128)
    this.bytes[this.length++] = rest
    return this
  }

  /** An integer of at most 52 bits and a sign. */
  sint(value: number): this {
    return this.uint(value < 0 ? -2 * value - 1 : 2 * value)
  }

  text(value: string): this {
    if (LONE_SURROGATE.test(value)) {
      const wide = value.length * 2
      this.u32(WIDE + wide).reserve(wide)
      this.length += this.bytes.write(value, this.length, 'utf16le')
      return this
    }
    const size = Buffer.byteLength(value)
    this.u32(size).reserve(size)
    this.length += this.bytes.write(value, this.length, 'utf8')
    return this
  }

  /** null is told from ''. */
  textOrNull(value: string | null): this {
    return value === null ? this.u8(0) : this.u8(1).text(value)
  }

  raw(source: Uint8Array, from: number, to: number): this {
    const size = to - from
    this.u32(size).reserve(size)
    this.bytes.set(source.subarray(from, to), this.length)
    this.length += size
    return this
  }

  /** The record; its bytes are written over by the next one. */
  end(): Buffer {
    return this.bytes.subarray(0, this.length)
  }

  private reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return
    const wider = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.length + more))
    this.bytes.copy(wider, 0, 0, this.length)
    this.bytes = wider
  }
}

export class RecordReader {
  readonly bytes: Buffer
  private at = 0

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  get atEnd(): boolean {
    return this.at === this.bytes.length
  }

  u8(): number {
    return this.bytes.readUInt8(this.at++)
  }

  u32(): number {
    const value = this.bytes.readUInt32LE(this.at)
    this.at += 4
    return value
  }

  f64(): number {
    const value = this.bytes.readDoubleLE(this.at)
    this.at += 8
    return value
  }

  uint(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.u8()
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }

  sint(): number {
    const value = this.uint()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  text(): string {
    const size = this.u32()
    return size < WIDE
      ? this.take(size).toString('utf8')
      : this.take(size - WIDE).toString('utf16le')
  }

  textOrNull(): string | null {
    return this.u8() === 0 ? null : this.text()
  }

  /** A view, not a copy. */
  raw(): Buffer {
    return this.take(this.u32())
  }

  private take(size: number): Buffer {
    if (this.at + size > this.bytes.length) throw new RangeError('record is cut short')
    const raw = this.bytes.subarray(this.at, this.at + size)
    this.at += size
    return raw
  }
}
