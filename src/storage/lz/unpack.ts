// Packed bytes (`pack.ts`) back into what they were.
//
// 1. It takes any bytes: what nobody packed is refused, or becomes other bytes of the length that was asked for.
// 2. Without a kernel it does the same in JavaScript, at a seventh of the speed: what was written elsewhere is read.

import { lzKernel, PIECE_BYTES } from './lz-kernel.ts'
import { SIZE_BYTES } from './pack.ts'

const MATCH_MIN = 4
/** A length that a token has no room for goes on behind it, in bytes that are added up until one is not 255. */
const TOKEN_LENGTH_MAX = 15
const REST_BYTE_MAX = 255
/** No byte of a block stands for more. */
const RATIO_MAX = 255
/** A call into the runtime costs more than a loop of so many bytes. */
const COPY_BY_HAND_MAX = 48

/** False when so many packed bytes are never so many plain ones: no memory need be had for them. */
export function canUnpack(packedLength: number, length: number): boolean {
  return length <= packedLength * RATIO_MAX
}

/** `packed[from, …)` into `out[at, …)`; false when it does not fill that exactly, or is damaged. */
export function unpackInto(out: Buffer, at: number, packed: Buffer, from: number): boolean {
  let sizeAt = from
  for (let to = at; to < out.length; to += PIECE_BYTES) {
    if (packed.length - sizeAt < SIZE_BYTES) return false
    const size = packed.readUInt32LE(sizeAt)
    const blockFrom = sizeAt + SIZE_BYTES
    sizeAt = blockFrom + size
    if (sizeAt > packed.length || size > PIECE_BYTES) return false
    const block = packed.subarray(blockFrom, sizeAt)
    if (!unpackPiece(block, out, to, Math.min(to + PIECE_BYTES, out.length))) return false
  }
  return sizeAt === packed.length
}

function unpackPiece(block: Buffer, out: Buffer, from: number, to: number): boolean {
  const kernel = lzKernel()
  if (kernel === null) return unpackBlock(block, out, from, to)
  block.copy(kernel.packed)
  if (kernel.unpack(block.length, to - from) === 0) return false
  kernel.plain.copy(out, from, 0, to - from)
  return true
}

/** An LZ4 block into `out[from, to)`. */
function unpackBlock(block: Buffer, out: Buffer, from: number, to: number): boolean {
  const { length } = block
  let at = 0
  let end = from
  while (at < length) {
    const token = block[at++] as number
    let literals = token >> 4
    if (literals === TOKEN_LENGTH_MAX) {
      const restFrom = at
      at = behindRest(block, at)
      literals += restOf(block, restFrom, at)
    }
    if (literals > length - at || literals > to - end) return false
    copyLiterals(block, at, out, end, literals)
    at += literals
    end += literals
    if (at === length) return end === to
    if (length - at < 2) return false
    const distance = (block[at] as number) | ((block[at + 1] as number) << 8)
    at += 2
    if (distance === 0 || distance > end - from) return false
    let match = MATCH_MIN + (token & TOKEN_LENGTH_MAX)
    if (match === MATCH_MIN + TOKEN_LENGTH_MAX) {
      const restFrom = at
      at = behindRest(block, at)
      match += restOf(block, restFrom, at)
    }
    if (match > to - end) return false
    // Byte by byte, always: a match may overlap what it repeats.
    for (const matchEnd = end + match; end < matchEnd; end++)
      out[end] = out[end - distance] as number
  }
  return false
}

/** Where to read on behind the rest of a length; the end of a block that ends within it. */
function behindRest(block: Buffer, from: number): number {
  let at = from
  while (block[at] === REST_BYTE_MAX) at++
  return Math.min(at + 1, block.length)
}

/** Of a rest that the end of the block cuts, less than it was: what follows such a one is missing, too. */
function restOf(block: Buffer, from: number, to: number): number {
  return to > from ? (to - from - 1) * REST_BYTE_MAX + (block[to - 1] as number) : 0
}

function copyLiterals(block: Buffer, at: number, out: Buffer, to: number, length: number): void {
  if (length > COPY_BY_HAND_MAX) block.copy(out, to, at, at + length)
  else for (let i = 0; i < length; i++) out[to + i] = block[at + i] as number
}
