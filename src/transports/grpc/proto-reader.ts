// The bytes of protobuf, front to back: tags, varints, and how to get past what nobody asks for.
//
//   bytes   … tag │ varint            or   … tag │ length │ content
//             ^ at                            ^ at
//
// 1. Nothing is read beyond `to`. What ends too early or is no protobuf sets `failed`; positions are then of no use.
// 2. No recursion: groups, which nobody sends any more, are passed with a stack of bounded depth.

export const Wire = {
  varint: 0,
  fixed64: 1,
  bytes: 2,
  openGroup: 3,
  closeGroup: 4,
  fixed32: 5,
} as const

const GROUP_DEPTH_MAX = 64
const VARINT_BYTES_MAX = 10

export class ProtoReader {
  bytes: Buffer = Buffer.alloc(0)
  at = 0
  to = 0
  failed = false
  /** Of the tag that was read last. */
  no = 0
  wire = 0

  begin(bytes: Buffer, from: number, to: number): void {
    this.bytes = bytes
    this.at = from
    this.to = to
    this.failed = false
  }

  /** Reads the next tag; false at the end, and when there is none to be read. */
  next(): boolean {
    if (this.at >= this.to || this.failed) return false
    const first = this.bytes[this.at] as number
    let tag = first
    if (first < 0x80) this.at++
    else tag = this.low32()
    this.no = tag >>> 3
    this.wire = tag & 7
    if (this.no === 0) this.failed = true
    return !this.failed
  }

  /** A varint of any length, its low 32 bits, signed. */
  low32(): number {
    const { bytes, to } = this
    let value = 0
    for (let n = 0; n < VARINT_BYTES_MAX && this.at < to; n++) {
      const byte = bytes[this.at++] as number
      if (n < 5) value |= (byte & 0x7f) << (7 * n)
      if (byte < 0x80) return value
    }
    this.failed = true
    return 0
  }

  /** A varint of 64 bits without sign; exact up to 2^53 - 1, else a bigint. */
  uint64(): number | bigint {
    const { bytes, to } = this
    let value = 0
    let scale = 1
    for (let n = 0; n < 8; n++) {
      if (this.at >= to) break
      const byte = bytes[this.at++] as number
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value <= Number.MAX_SAFE_INTEGER ? value : this.wide(this.at - n - 1)
      scale *= 128
    }
    if (this.at < to) return this.wide(this.at - 8)
    this.failed = true
    return 0
  }

  /** Past a varint. */
  passVarint(): void {
    const { bytes, to } = this
    for (let n = 0; n < VARINT_BYTES_MAX && this.at < to; n++) {
      if ((bytes[this.at++] as number) < 0x80) return
    }
    this.failed = true
  }

  /** Reads a length and returns it; `at` is then where the content begins. */
  length(): number {
    const first = this.bytes[this.at] as number
    let length = first
    if (this.at < this.to && first < 0x80) this.at++
    else length = this.low32()
    if (length >= 0 && length <= this.to - this.at) return length
    this.failed = true
    return 0
  }

  /** Past the value behind the tag that was read last. */
  pass(): void {
    if (this.wire === Wire.bytes) {
      const length = this.length()
      this.at += length
    } else if (this.wire === Wire.openGroup) this.passGroup()
    else this.passPlain(this.wire)
  }

  private passPlain(wire: number): void {
    if (wire === Wire.varint) this.passVarint()
    else if (wire === Wire.fixed64) this.at += 8
    else if (wire === Wire.fixed32) this.at += 4
    else this.failed = true
    if (this.at > this.to) this.failed = true
  }

  private passGroup(): void {
    const open = [this.no]
    while (open.length > 0) {
      if (!this.next()) this.failed = true
      if (this.failed) return
      if (this.wire === Wire.openGroup) {
        if (open.push(this.no) > GROUP_DEPTH_MAX) this.failed = true
      } else if (this.wire === Wire.closeGroup) {
        if (open.pop() !== this.no) this.failed = true
      } else this.pass()
    }
  }

  private wide(from: number): bigint {
    let value = 0n
    this.at = from
    for (let n = 0; n < VARINT_BYTES_MAX && this.at < this.to; n++) {
      const byte = this.bytes[this.at++] as number
      value |= BigInt(byte & 0x7f) << BigInt(7 * n)
      if (byte < 0x80) return BigInt.asUintN(64, value)
    }
    this.failed = true
    return 0n
  }
}
