// Protobuf, written front to back into a `ByteWriter`. What is written inside a field of unknown length gets its length
// afterwards: one byte of room is left for it, and the content moves on when that is too little.

import type { ByteWriter } from '../../engine/byte-writer.ts'
import { Wire } from './proto-reader.ts'

const VARINT_BYTES_MAX = 10

export function putTag(out: ByteWriter, no: number, wire: number): void {
  putUint(out, no * 8 + wire)
}

/** A non-negative safe integer. */
export function putUint(out: ByteWriter, value: number): void {
  out.reserve(VARINT_BYTES_MAX)
  const { bytes } = out
  let at = out.length
  let rest = value
  while (rest > 0x7fff_ffff) {
    bytes[at++] = (rest % 128) | 0x80
    rest = Math.floor(rest / 128)
  }
  while (rest > 127) {
    bytes[at++] = (rest & 127) | 0x80
    rest >>>= 7
  }
  bytes[at++] = rest
  out.length = at
}

/** An int32: of a negative one, the ten bytes of its 64-bit form. */
export function putInt(out: ByteWriter, value: number): void {
  if (value >= 0) return putUint(out, value)
  let rest = BigInt.asUintN(64, BigInt(value))
  while (rest > 127n) {
    out.byte(Number(rest & 127n) | 0x80)
    rest >>= 7n
  }
  out.byte(Number(rest))
}

export function putDouble(out: ByteWriter, value: number): void {
  out.reserve(8)
  out.bytes.writeDoubleLE(value, out.length)
  out.length += 8
}

export function putBytes(
  out: ByteWriter,
  no: number,
  bytes: Buffer,
  from: number,
  to: number,
): void {
  putTag(out, no, Wire.bytes)
  putUint(out, to - from)
  out.copy(bytes, from, to)
}

export function putText(out: ByteWriter, no: number, text: string): void {
  putTag(out, no, Wire.bytes)
  putUint(out, Buffer.byteLength(text))
  out.utf8(text)
}

/** Begins a field whose length is not known yet. Returns what `endNested` needs. */
export function beginNested(out: ByteWriter, no: number): number {
  putTag(out, no, Wire.bytes)
  out.byte(0)
  return out.length
}

export function endNested(out: ByteWriter, from: number): void {
  const length = out.length - from
  if (length < 128) {
    out.bytes[from - 1] = length
    return
  }
  const end = out.length
  // The length where it will not be, to see how long it is.
  putUint(out, length)
  const lengthBytes = out.length - end
  out.bytes.copyWithin(from - 1 + lengthBytes, from, end)
  out.length = from - 1
  putUint(out, length)
  out.length = from - 1 + lengthBytes + length
}
