// Primitive cells of a record: little-endian numbers, counted texts and bytes.

const GROW_MIN = 1024

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

  text(value: string): this {
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

  /** A copy of the record. */
  end(): Buffer {
    return Buffer.from(this.bytes.subarray(0, this.length))
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

  text(): string {
    const raw = this.raw()
    return raw.toString('utf8')
  }

  textOrNull(): string | null {
    return this.u8() === 0 ? null : this.text()
  }

  /** A view, not a copy. */
  raw(): Buffer {
    const size = this.u32()
    if (this.at + size > this.bytes.length) throw new RangeError('record is cut short')
    const raw = this.bytes.subarray(this.at, this.at + size)
    this.at += size
    return raw
  }
}
