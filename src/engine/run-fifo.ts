// A FIFO of sequences, kept as runs: ten million jobs pushed in batches are a few cells.
//
//   head ──▶ [first,count][first,count]… ──▶ [first,count]… ◀── tail      chunks of 8 to 1,024 runs
//             ▲ headAt                                     ▲ tailAt
//
// 1. The runs are those from `head[headAt]` up to, not including, `tail[tailAt]`; each has count >= 1.
// 2. Empty means size 0, head === tail, headAt === tailAt === 0 and `following` -1.
// 3. `following` is the sequence that would extend the last run.
// 4. Growing never copies: a full chunk gets a successor. A consumed chunk is given up, one is kept.

import type { Seq } from './job-id.ts'

const CELLS_MIN = 16
const CELLS_MAX = 2048

class Chunk {
  readonly cells: Float64Array
  next: Chunk | null = null

  constructor(length: number) {
    this.cells = new Float64Array(length)
  }
}

export class RunFifo {
  /** Entries, not runs. */
  size = 0
  /** Where the run taken by the last `shiftRun` begins; valid when that returned more than 0. */
  shiftedFirst: Seq = -1
  private head = new Chunk(CELLS_MIN)
  private tail = this.head
  private headAt = 0
  private tailAt = 0
  private following: Seq = -1
  private spare: Chunk | null = null

  push(seq: Seq): void {
    this.pushRun(seq, 1)
  }

  /** Adds firstSeq, firstSeq + 1, … `count` >= 1 of them. */
  pushRun(firstSeq: Seq, count: number): void {
    if (firstSeq === this.following) {
      const at = this.tailAt - 1
      this.tail.cells[at] = (this.tail.cells[at] as number) + count
    } else {
      if (this.tailAt === this.tail.cells.length) this.grow()
      this.tail.cells[this.tailAt] = firstSeq
      this.tail.cells[this.tailAt + 1] = count
      this.tailAt += 2
    }
    this.following = firstSeq + count
    this.size += count
  }

  /** The oldest entry, -1 when empty. */
  peek(): Seq {
    return this.size === 0 ? -1 : (this.head.cells[this.headAt] as number)
  }

  /** Entries of the run that the oldest entry begins, 0 when empty. */
  headRun(): number {
    return this.size === 0 ? 0 : (this.head.cells[this.headAt + 1] as number)
  }

  /** Removes the oldest entry; -1 when empty. */
  shift(): Seq {
    return this.shiftRun(1) === 0 ? -1 : this.shiftedFirst
  }

  /** Removes up to `max` entries of the oldest run: returns how many, the first in `shiftedFirst`. */
  shiftRun(max: number): number {
    if (this.size === 0 || max <= 0) return 0
    const cells = this.head.cells
    const at = this.headAt
    const first = cells[at] as number
    const count = cells[at + 1] as number
    this.shiftedFirst = first
    if (count > max) {
      cells[at] = first + max
      cells[at + 1] = count - max
      this.size -= max
      return max
    }
    this.size -= count
    this.dropHeadRun()
    return count
  }

  clear(): void {
    if (this.head.cells.length > CELLS_MIN || this.head.next !== null) {
      this.head = new Chunk(CELLS_MIN)
    }
    this.tail = this.head
    this.size = 0
    this.reset()
  }

  private dropHeadRun(): void {
    this.headAt += 2
    if (this.size === 0) {
      this.reset()
    } else if (this.headAt === this.head.cells.length) {
      const consumed = this.head
      this.head = consumed.next as Chunk
      this.headAt = 0
      consumed.next = null
      this.spare = consumed
    }
  }

  /** An idle FIFO holds one chunk, so that many idle queues stay small. */
  private reset(): void {
    this.headAt = 0
    this.tailAt = 0
    this.following = -1
    this.spare = null
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
