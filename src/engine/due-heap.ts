// What falls due when: a 4-ary min-heap of (dueMs, key), 16 bytes an entry, no object per timer.
//
//   entry i ──▶ chunks[i / 4096] ──▶ cells 2 * (i % 4096), + 1      children of i: 4i + 1 … 4i + 4
//
// 1. No entry is before its parent, by (dueMs, key); equal due times come out by key.
// 2. Growing adds a chunk and copies nothing, except the first chunk while it is small.
// 3. An entry whose reason is gone stays (stale) until it is popped or swept. The caller tells them
//    apart, counts them with `noteStale`, and calls `sweep` while `wantsSweep`: a sweep looks at a
//    bounded number of entries, so ten million timers never stop the shard.

import type { Seq } from './job-id.ts'

const CHUNK_SHIFT = 12
const CHUNK_ENTRIES = 1 << CHUNK_SHIFT
const CHUNK_MASK = CHUNK_ENTRIES - 1
const FIRST_ENTRIES = 16
/** Stale entries that are not worth a sweep. */
const STALE_MIN = 1024
/** Entries that one sweep looks at unless told otherwise: about 0.1 ms. */
const SWEEP_ENTRIES = 4096

export const TimerKind = {
  delay: 0,
  lease: 1,
  timeout: 2,
  ttl: 3,
  rate: 4,
  wait: 5,
  cron: 6,
  retention: 7,
  delivery: 8,
  webhooks: 9,
} as const
export type TimerKind = (typeof TimerKind)[keyof typeof TimerKind]

const KINDS = 16

export function timerKey(kind: TimerKind, seq: Seq): number {
  return seq * KINDS + kind
}

export function kindOf(key: number): TimerKind {
  return (key % KINDS) as TimerKind
}

export function seqOf(key: number): Seq {
  return Math.floor(key / KINDS)
}

export class DueHeap {
  /** Nothing is added: of a state that is being restored, timers are derived at the end (resume.ts). */
  suspended = false
  /** Entries, stale ones included. */
  size = 0
  /** Stale entries still inside, as far as the caller told. */
  stale = 0
  private readonly chunks: Float64Array[] = []
  private sweepAt = 0
  private sweeping = false

  add(dueMs: number, key: number): void {
    if (this.suspended) return
    const at = this.size
    this.size++
    this.makeRoom(at)
    this.siftUp(at, dueMs, key)
  }

  /** Forgets everything, and is no longer suspended. */
  reset(): void {
    this.suspended = false
    this.size = 0
    this.stale = 0
    this.chunks.length = 0
    this.sweepAt = 0
    this.sweeping = false
  }

  /** When the first entry is due; Infinity when there is none. */
  topDueMs(): number {
    return this.size === 0
      ? Number.POSITIVE_INFINITY
      : ((this.chunks[0] as Float64Array)[0] as number)
  }

  /** The first entry's key; -1 when there is none. */
  topKey(): number {
    return this.size === 0 ? -1 : ((this.chunks[0] as Float64Array)[1] as number)
  }

  /** Removes the first entry and gives its key; -1 when there is none. */
  popKey(): number {
    if (this.size === 0) return -1
    const key = (this.chunks[0] as Float64Array)[1] as number
    this.removeAt(0)
    return key
  }

  /** One more entry has lost its reason (or, with -1, a popped entry was such a one). */
  noteStale(count = 1): void {
    this.stale = Math.max(0, this.stale + count)
    if (this.stale > this.size / 2 + STALE_MIN) this.sweeping = true
  }

  /** Stays true from too many stale entries until the sweeps have been through the heap once. */
  get wantsSweep(): boolean {
    return this.sweeping
  }

  /**
   * Looks at up to `max` entries and removes those that `keep` denies, each in O(log n). Call again while
   * `wantsSweep`. An entry that pops move past the sweep is met by the next one.
   */
  sweep(keep: (dueMs: number, key: number) => boolean, max = SWEEP_ENTRIES): void {
    for (let looked = 0; looked < max && this.sweepAt < this.size; looked++) {
      if (this.keeps(this.sweepAt, keep)) {
        this.sweepAt++
        continue
      }
      // The last entry fills the gap and may rise past the sweep: it must be one to keep.
      const last = this.size - 1
      this.removeAt(last === this.sweepAt || this.keeps(last, keep) ? this.sweepAt : last)
      if (this.stale > 0) this.stale--
    }
    if (this.sweepAt < this.size) return
    this.sweepAt = 0
    this.stale = 0
    this.sweeping = false
  }

  private keeps(at: number, keep: (dueMs: number, key: number) => boolean): boolean {
    const cells = this.chunks[at >> CHUNK_SHIFT] as Float64Array
    const cell = (at & CHUNK_MASK) * 2
    return keep(cells[cell] as number, cells[cell + 1] as number)
  }

  private removeAt(at: number): void {
    const last = --this.size
    const cells = this.chunks[last >> CHUNK_SHIFT] as Float64Array
    const cell = (last & CHUNK_MASK) * 2
    const dueMs = cells[cell] as number
    const key = cells[cell + 1] as number
    // One empty chunk is kept, so that a size that goes to and fro allocates nothing.
    if (this.chunks.length > (last >> CHUNK_SHIFT) + 2) this.chunks.pop()
    if (at === last) return
    if (at > 0 && this.siftUp(at, dueMs, key) !== at) return
    this.siftDown(at, dueMs, key)
  }

  /** Puts (dueMs, key) at the hole `at` or above; returns where. */
  private siftUp(from: number, dueMs: number, key: number): number {
    const chunks = this.chunks
    let at = from
    while (at > 0) {
      const parent = (at - 1) >> 2
      const cells = chunks[parent >> CHUNK_SHIFT] as Float64Array
      const cell = (parent & CHUNK_MASK) * 2
      const parentDue = cells[cell] as number
      const parentKey = cells[cell + 1] as number
      if (parentDue < dueMs || (parentDue === dueMs && parentKey <= key)) break
      this.put(at, parentDue, parentKey)
      at = parent
    }
    this.put(at, dueMs, key)
    return at
  }

  /** Puts (dueMs, key) at the hole `from` or below. */
  private siftDown(from: number, dueMs: number, key: number): void {
    const chunks = this.chunks
    const size = this.size
    let at = from
    for (;;) {
      const first = at * 4 + 1
      if (first >= size) break
      const end = Math.min(first + 4, size)
      let best = -1
      let bestDue = dueMs
      let bestKey = key
      for (let child = first; child < end; child++) {
        const cells = chunks[child >> CHUNK_SHIFT] as Float64Array
        const cell = (child & CHUNK_MASK) * 2
        const due = cells[cell] as number
        if (due > bestDue) continue
        const childKey = cells[cell + 1] as number
        if (due === bestDue && childKey >= bestKey) continue
        best = child
        bestDue = due
        bestKey = childKey
      }
      if (best === -1) break
      this.put(at, bestDue, bestKey)
      at = best
    }
    this.put(at, dueMs, key)
  }

  private put(at: number, dueMs: number, key: number): void {
    const cells = this.chunks[at >> CHUNK_SHIFT] as Float64Array
    const cell = (at & CHUNK_MASK) * 2
    cells[cell] = dueMs
    cells[cell + 1] = key
  }

  /** The chunk of entry `at` exists and is long enough. Only the first one begins small. */
  private makeRoom(at: number): void {
    const chunkNo = at >> CHUNK_SHIFT
    const chunk = this.chunks[chunkNo]
    if (chunkNo > 0) {
      if (chunk === undefined) this.chunks.push(new Float64Array(CHUNK_ENTRIES * 2))
    } else if (chunk === undefined) {
      this.chunks.push(new Float64Array(FIRST_ENTRIES * 2))
    } else if (chunk.length <= at * 2) {
      const longer = new Float64Array(at * 4)
      longer.set(chunk)
      this.chunks[0] = longer
    }
  }
}
