// Tuples out of PostgreSQL's binary COPY format, from a stream that is cut anywhere.
//
//   "PGCOPY\n\377\r\n\0" | flags i32 | extension length i32, extension |
//     tuple: fields i16, then per field: length i32 (-1 = null), bytes |  …  | -1 i16
//
// 1. A tuple is reported when all of its bytes are there, and lies in one piece then; what is left of a chunk is
//    copied once, and again only when its tuple has outgrown the room it was given.
// 2. `froms` and `lengths` are scratch: valid, like the bytes, only during the call of `tuple`.
// 3. Whatever is not the format is a StorageFault `corrupt`: nothing is guessed.

import { StorageFault } from '../../../engine/storage-port.ts'

const COPY_SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')
/** Signature, no flags, no extension: what precedes the first tuple. */
export const COPY_HEADER = Buffer.concat([COPY_SIGNATURE, Buffer.alloc(8)])
/** Stands where the next tuple's number of fields would. */
export const COPY_TRAILER = Buffer.from([0xff, 0xff])

/** A power of two above what a socket delivers at once. */
const PENDING_BYTES_MIN = 128 * 1024
const NO_BYTES = Buffer.alloc(0)

export type TupleSink = (bytes: Buffer, view: DataView) => void

export class CopyTuples {
  /** Where each field's bytes begin. */
  readonly froms: Int32Array
  /** -1 for null. */
  readonly lengths: Int32Array
  /** Tuples so far. */
  count = 0
  private readonly widths: readonly number[]
  private readonly tuple: TupleSink
  private headerSeen = false
  private trailerSeen = false
  /** `pending[0..pendingLength)` has come and is no whole tuple yet. */
  private pending = NO_BYTES
  private pendingLength = 0
  /** Bytes that a further look needs at least. */
  private needed = 0

  /** `widths`: of each field, in bytes; 0 where it varies. */
  constructor(widths: readonly number[], tuple: TupleSink) {
    this.widths = widths
    this.froms = new Int32Array(widths.length)
    this.lengths = new Int32Array(widths.length)
    this.tuple = tuple
  }

  push(chunk: Buffer): void {
    if (this.pendingLength === 0) {
      const read = this.read(chunk)
      if (read < chunk.length) this.keep(chunk, read)
      return
    }
    this.keep(chunk, 0)
    if (this.pendingLength < this.needed) return
    const bytes = this.pending.subarray(0, this.pendingLength)
    const read = this.read(bytes)
    bytes.copyWithin(0, read)
    this.pendingLength = bytes.length - read
  }

  /** The stream has ended: everything must have been there. */
  end(): void {
    if (!this.trailerSeen || this.pendingLength > 0) throw corrupt('the copied rows are cut short')
  }

  /** Reports what is whole, and returns how far that goes; sets `needed`, counted from there. */
  private read(bytes: Buffer): number {
    let at = 0
    if (!this.headerSeen) {
      at = this.readHeader(bytes)
      if (at === 0) return 0
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    while (!this.trailerSeen) {
      const end = this.findTuple(view, at)
      if (end < 0) return at
      at = end
      if (this.trailerSeen) break
      this.count++
      this.tuple(bytes, view)
    }
    if (at < bytes.length) throw corrupt('bytes behind the end of the copied rows')
    return at
  }

  private readHeader(bytes: Buffer): number {
    const seen = Math.min(bytes.length, COPY_SIGNATURE.length)
    if (!bytes.subarray(0, seen).equals(COPY_SIGNATURE.subarray(0, seen))) {
      throw corrupt('what was copied is not in the binary format')
    }
    this.needed = COPY_HEADER.length
    if (bytes.length < this.needed) return 0
    const extension = bytes.readInt32BE(COPY_SIGNATURE.length + 4)
    if (bytes.readInt32BE(COPY_SIGNATURE.length) !== 0 || extension !== 0) {
      throw corrupt('the copied rows have flags or an extension that are unknown')
    }
    this.headerSeen = true
    return COPY_HEADER.length
  }

  /** Where the tuple (or the trailer) at `at` ends, or -1 when it is not whole. */
  private findTuple(view: DataView, at: number): number {
    const { widths, froms, lengths } = this
    const fields = widths.length
    const left = view.byteLength
    this.needed = 2
    if (at + 2 > left) return -1
    const found = view.getInt16(at)
    if (found !== fields) {
      if (found !== -1) throw corrupt(`a copied row has ${found} fields, not ${fields}`)
      this.trailerSeen = true
      return at + COPY_TRAILER.length
    }
    let next = at + 2
    for (let i = 0; i < fields; i++) {
      if (next + 4 > left) return this.lacks(next + 4 - at)
      const length = view.getInt32(next)
      const width = widths[i] as number
      if (length < -1 || (width > 0 && length >= 0 && length !== width)) {
        throw corrupt(`a copied field has a length of ${length}`)
      }
      next += 4
      froms[i] = next
      lengths[i] = length
      if (length > 0) next += length
    }
    return next > left ? this.lacks(next - at) : next
  }

  private lacks(needed: number): number {
    this.needed = needed
    return -1
  }

  private keep(chunk: Buffer, from: number): void {
    const more = chunk.length - from
    const wanted = Math.max(this.pendingLength + more, this.needed)
    if (wanted > this.pending.length) {
      let size = PENDING_BYTES_MIN
      while (size < wanted) size *= 2
      const wider = Buffer.allocUnsafeSlow(size)
      this.pending.copy(wider, 0, 0, this.pendingLength)
      this.pending = wider
    }
    chunk.copy(this.pending, this.pendingLength, from)
    this.pendingLength += more
  }
}

/** What is stored is not what this server writes. */
export function corrupt(text: string): StorageFault {
  return new StorageFault('corrupt', text, false)
}

/** A bigint field: exact up to 2^53. */
export function readInt64(view: DataView, at: number): number {
  return view.getInt32(at) * 0x1_0000_0000 + view.getUint32(at + 4)
}
