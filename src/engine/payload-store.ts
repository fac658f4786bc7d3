// The payload bytes of one shard: `data` and results, in slabs.
//
//   slab 7  [ {"data":{…}},{"data":{…}}, … | free ]      a job's row says (slab, from, length)
//             ^from  ^length
//
// 1. A push copies its frame's job region into the current slab with one copy; rows point into it.
// 2. `live` counts the bytes that rows still use. A slab with none is emptied and used again.
// 3. A full slab that is mostly dead is offered in `sparse`; whoever owns the rows moves the few
//    that are left (see shard-tidy.ts), so one old job never holds a megabyte.
// 4. Slabs grow with what the store holds, from 256 KiB to 4 MiB: fresh memory is quicker in large pieces
//    (measured per 90-byte payload: 63 ns in slabs of 256 KiB, 25 ns of 1 MiB, 14 ns of 4 MiB), and a
//    small shard stays small. Payloads of half a slab and more get a slab of their own size.

import type { Seq } from './job-id.ts'
import { type Piece, SpareMemory } from './spare-memory.ts'

/** The least size of a slab. */
export const SLAB_BYTES = 256 * 1024
export const SLAB_BYTES_MAX = 4 * 1024 * 1024
/** A new slab is at most this part of what is held. */
const SLAB_DIVISOR = 8
/** A slab is sparse when less than a quarter of it is live. */
const SPARSE_DIVISOR = 4

/** A call into the runtime costs more than copying so few bytes by hand. */
const COPY_BY_HAND_MAX = 96

const NO_BYTES = Buffer.alloc(0)

export class Slab {
  bytes: Buffer = NO_BYTES
  /** First free byte. */
  used = 0
  /** Bytes that rows point to. */
  live = 0
  /** At the last look at it as a sparse one (shard-tidy.ts). */
  liveSeen = 0
  /** No more is written here. */
  sealed = true
  /** Of one payload or batch alone, and of its size. */
  own = false
  /** Runs of sequences whose payloads were put here: first, count, first, count, … */
  readonly runs: number[] = []

  noteRun(firstSeq: Seq, count: number): void {
    const { runs } = this
    const last = runs.length - 2
    if (last >= 0 && (runs[last] as number) + (runs[last + 1] as number) === firstSeq) {
      runs[last + 1] = (runs[last + 1] as number) + count
    } else {
      runs.push(firstSeq, count)
    }
  }
}

export class PayloadStore {
  /** Where the last `reserve` or `put` placed its bytes. */
  slabNo = 0
  offset = 0
  /** Memory of slabs in use, in bytes. */
  heldBytes = 0
  /** Slabs worth moving out of; entries may have become stale. */
  readonly sparse: number[] = []

  private readonly slabs: Slab[] = []
  private readonly freeNumbers: number[] = []
  private readonly spare: SpareMemory<Piece>
  private current = -1

  constructor(spare: SpareMemory<Piece> = new SpareMemory(0)) {
    this.spare = spare
  }

  bytesOf(slabNo: number): Buffer {
    return (this.slabs[slabNo] as Slab).bytes
  }

  slab(slabNo: number): Slab {
    return this.slabs[slabNo] as Slab
  }

  /**
   * Copies `source[from..to)` for `count` jobs from `firstSeq`; sets `slabNo` and `offset`. The caller then counts
   * with `addLive` what its rows use of it.
   */
  put(source: Buffer, from: number, to: number, firstSeq: Seq, count: number): void {
    const size = to - from
    const slab = this.place(size)
    copyBytes(source, from, to, slab.bytes, slab.used)
    this.offset = slab.used
    slab.used += size
    slab.noteRun(firstSeq, count)
  }

  addLive(slabNo: number, bytes: number): void {
    const slab = this.slabs[slabNo] as Slab
    slab.live += bytes
    if (slab.live === 0) this.dropIfDead(slabNo, slab)
    else if (slab.sealed && slab.live <= slab.bytes.length / SPARSE_DIVISOR)
      this.sparse.push(slabNo)
  }

  /** One job's bytes are used no longer. */
  release(slabNo: number, bytes: number): void {
    const slab = this.slabs[slabNo] as Slab
    const before = slab.live
    slab.live = before - bytes
    if (!slab.sealed) {
      if (slab.live === 0) {
        slab.used = 0
        slab.runs.length = 0
      }
      return
    }
    if (slab.live === 0) {
      this.dropIfDead(slabNo, slab)
      return
    }
    const bound = slab.bytes.length / SPARSE_DIVISOR
    if (before > bound && slab.live <= bound) this.sparse.push(slabNo)
  }

  private place(size: number): Slab {
    const slabBytes = this.nextSlabBytes()
    if (size * 2 >= slabBytes) return this.openSlab(Buffer.allocUnsafeSlow(size), true)
    const current = this.slabs[this.current]
    if (current !== undefined && current.used + size <= current.bytes.length) {
      this.slabNo = this.current
      return current
    }
    this.sealCurrent()
    const slab = this.openSlab(
      this.spare.takeSlab(size, slabBytes === SLAB_BYTES_MAX) ?? this.spare.cut(slabBytes),
      false,
    )
    this.current = this.slabNo
    return slab
  }

  private nextSlabBytes(): number {
    let bytes = SLAB_BYTES
    while (bytes < SLAB_BYTES_MAX && bytes * 2 * SLAB_DIVISOR <= this.heldBytes) bytes *= 2
    return bytes
  }

  private sealCurrent(): void {
    const slab = this.slabs[this.current]
    if (slab === undefined) return
    const no = this.current
    this.current = -1
    slab.sealed = true
    if (slab.live === 0) this.dropIfDead(no, slab)
    else if (slab.live <= slab.bytes.length / SPARSE_DIVISOR) this.sparse.push(no)
  }

  private openSlab(bytes: Buffer, own: boolean): Slab {
    const no = this.freeNumbers.pop() ?? this.slabs.length
    let slab = this.slabs[no]
    if (slab === undefined) {
      slab = new Slab()
      this.slabs[no] = slab
    }
    slab.bytes = bytes
    slab.used = 0
    slab.live = 0
    slab.liveSeen = 0
    slab.own = own
    slab.sealed = own
    this.slabNo = no
    this.heldBytes += bytes.length
    return slab
  }

  private dropIfDead(no: number, slab: Slab): void {
    if (!slab.sealed || slab.bytes === NO_BYTES) return
    this.heldBytes -= slab.bytes.length
    if (!slab.own) this.spare.giveSlab(slab.bytes)
    slab.bytes = NO_BYTES
    slab.runs.length = 0
    this.freeNumbers.push(no)
  }
}

function copyBytes(source: Buffer, from: number, to: number, target: Buffer, at: number): void {
  if (to - from > COPY_BY_HAND_MAX) source.copy(target, at, from, to)
  else for (let i = from, j = at; i < to; i++, j++) target[j] = source[i] as number
}
