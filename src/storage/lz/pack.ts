// Bytes packed for storage: LZ4 blocks of pieces of 64 KiB.
//
//   piece, piece, …  ──▶  (u32 size, block of so many bytes), …
//
// 1. A piece ends every PIECE_BYTES, and only there. No match reaches into the one before.
// 2. What cannot be packed to 7/8 is left as it is: no more is looked at than the first piece that fails.
// 3. Without a kernel nothing is packed. What was packed elsewhere is read all the same (`unpack.ts`).
//
// Why, and what it brings: docs/adr/0009-compressed-batches.md.

import type { ByteWriter } from '../../engine/byte-writer.ts'
import { lzKernel, PIECE_BYTES } from './lz-kernel.ts'

export const SIZE_BYTES = 4

/** Writes `bytes[from, to)` to `out`, packed. False when that is not worth it, or not possible: `out` is as it was. */
export function packInto(out: ByteWriter, bytes: Buffer, from: number, to: number): boolean {
  const kernel = lzKernel()
  if (kernel === null) return false
  const before = out.length
  for (let at = from; at < to; at += PIECE_BYTES) {
    const length = Math.min(PIECE_BYTES, to - at)
    bytes.copy(kernel.plain, 0, at, at + length)
    const size = kernel.pack(length, length - (length >>> 3))
    if (size === 0) {
      out.length = before
      return false
    }
    out.reserve(SIZE_BYTES + size)
    out.bytes.writeUInt32LE(size, out.length)
    kernel.packed.copy(out.bytes, out.length + SIZE_BYTES, 0, size)
    out.length += SIZE_BYTES + size
  }
  return true
}
