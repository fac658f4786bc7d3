// Finished jobs in the order they finished, for retention: which is the oldest, and since when.
//
//   head ──▶ [firstSeq, count, finishedAtMs, bytes]… ──▶ … ◀── tail       chunks of 8 to 512 runs
//
// 1. Consecutive sequences that finished at the same time are one run, so that acks in batches take
//    next to no memory.
// 2. Empty means count 0, head === tail, headAt === tailAt === 0.
// 3. `bytes` of a run is what its jobs had when they finished, dropped ones included.

import type { Seq } from './job-id.ts'

type Run = [seq: Seq, count: number, finishedAtMs: number, bytes: number]

const RUN_CELLS = 4
const CELLS_MIN = 8 * RUN_CELLS
const CELLS_MAX = 512 * RUN_CELLS

class Chunk {
  readonly cells: Float64Array
  next: Chunk | null = null

  constructor(length: number) {
    this.cells = new Float64Array(length)
  }
}

export class FinishedRing {
  /** Jobs, not runs. */
  count = 0
  private head = new Chunk(CELLS_MIN)
  private tail = this.head
  private headAt = 0
  private tailAt = 0
  private spare: Chunk | null = null

  /** `count` jobs from `seq` on, of `bytes` together. */
  add(seq: Seq, finishedAtMs: number, bytes: number, count = 1): void {
    if (!this.extends(seq, finishedAtMs)) {
      if (this.tailAt === this.tail.cells.length) this.grow()
      const cells = this.tail.cells
      cells[this.tailAt] = seq
      cells[this.tailAt + 1] = 0
      cells[this.tailAt + 2] = finishedAtMs
      cells[this.tailAt + 3] = 0
      this.tailAt += RUN_CELLS
    }
    const cells = this.tail.cells
    const run = this.tailAt - RUN_CELLS
    cells[run + 1] = (cells[run + 1] as number) + count
    cells[run + 3] = (cells[run + 3] as number) + bytes
    this.count += count
  }

  /** -1 when there is none. */
  oldestSeq(): Seq {
    return this.count === 0 ? -1 : (this.head.cells[this.headAt] as number)
  }

  /** When the oldest job finished; Infinity when there is none. */
  oldestAtMs(): number {
    return this.count === 0
      ? Number.POSITIVE_INFINITY
      : (this.head.cells[this.headAt + 2] as number)
  }

  /** Bytes of the run that the oldest job is of; 0 when there is none. */
  oldestRunBytes(): number {
    return this.count === 0 ? 0 : (this.head.cells[this.headAt + 3] as number)
  }

  /** Jobs of the run that begins with the oldest one. */
  oldestRun(): number {
    return this.count === 0 ? 0 : (this.head.cells[this.headAt + 1] as number)
  }

  /** Removes the oldest job; -1 when there is none. */
  dropOldest(): Seq {
    const seq = this.oldestSeq()
    if (seq >= 0) this.dropOfOldestRun(1)
    return seq
  }

  /** Removes `count` jobs, at most as many as the oldest run has. */
  dropOfOldestRun(count: number): void {
    const cells = this.head.cells
    const left = (cells[this.headAt + 1] as number) - count
    cells[this.headAt] = (cells[this.headAt] as number) + count
    cells[this.headAt + 1] = left
    this.count -= count
    if (left === 0) this.dropHeadRun()
  }

  /** Each run, oldest first. */
  eachRun(each: (seq: Seq, count: number, finishedAtMs: number, bytes: number) => void): void {
    let at = this.headAt
    for (let chunk: Chunk | null = this.head; chunk !== null; chunk = chunk.next) {
      const { cells } = chunk
      const end = chunk === this.tail ? this.tailAt : cells.length
      for (; at < end; at += RUN_CELLS) {
        const [seq, count, finishedAtMs, bytes] = cells.subarray(
          at,
          at + RUN_CELLS,
        ) as unknown as Run
        each(seq, count, finishedAtMs, bytes)
      }
      at = 0
    }
  }

  private extends(seq: Seq, finishedAtMs: number): boolean {
    if (this.count === 0) return false
    const cells = this.tail.cells
    const run = this.tailAt - RUN_CELLS
    return (
      cells[run + 2] === finishedAtMs && (cells[run] as number) + (cells[run + 1] as number) === seq
    )
  }

  private dropHeadRun(): void {
    this.headAt += RUN_CELLS
    if (this.count === 0) {
      this.headAt = 0
      this.tailAt = 0
    } else if (this.headAt === this.head.cells.length) {
      const consumed = this.head
      this.head = consumed.next as Chunk
      this.headAt = 0
      consumed.next = null
      this.spare = consumed
    }
  }

  private grow(): void {
    const length = Math.min(this.tail.cells.length * 2, CELLS_MAX)
    let chunk = this.spare
    this.spare = null
    if (chunk === null || chunk.cells.length < length) chunk = new Chunk(length)
    this.tail.next = chunk
    this.tail = chunk
    this.tailAt = 0
  }
}
