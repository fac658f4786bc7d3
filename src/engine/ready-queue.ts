// The jobs of one queue that may run now, best first: priority (high first), then runAt, then sequence.
//
//   lanes   priority 9: [runs of sequences] ─┐
//           priority 0: [runs of sequences] ─┼─▶ first lane's head or heap's top, whichever is before
//   heap    whatever came out of order      ─┘
//
// 1. A lane's entries are in (runAt, seq) order and of one priority. What would break that, and what
//    finds all lanes taken, goes to the heap. Lanes are sorted by priority; empty ones may stand between.
// 2. An entry is live while its job is `waiting`. A cancelled or expired job leaves a tombstone, which is
//    skipped when met: cancelling is O(1). The owner of the queue says so with `gone`.
// 3. `live` counts live entries. Too many tombstones are swept out a few at a time, by `gone` itself: the
//    work is spread over what caused it, and nothing ever walks the whole queue at once.
// 4. A lane under sweep is `swept` followed by `rest`; in order, each tombstone in `rest` only.
//
// `runAt` of lane entries is read from the store; the heap keeps its own.

import type { Seq } from './job-id.ts'
import { type JobPage, JobState, type JobStore, rowOf } from './job-store.ts'
import { RunFifo } from './run-fifo.ts'

const LANES_MAX = 8
/** Tombstones that are let be, plus one for this many live entries. */
const TOMBSTONES_MIN = 1024
const LIVE_PER_TOMBSTONE = 16
/** Entries looked at for each job gone while there are too many: several times what one pass needs. */
const SWEEP_ENTRIES = 16

class Lane {
  priority: number
  lastRunAt = 0
  lastSeq: Seq = -1
  swept: RunFifo | null = null
  rest = new RunFifo()

  constructor(priority: number) {
    this.priority = priority
  }

  isEmpty(): boolean {
    return this.rest.size === 0 && (this.swept === null || this.swept.size === 0)
  }

  /** Where the lane's head is. */
  front(): RunFifo {
    return this.swept !== null && this.swept.size > 0 ? this.swept : this.rest
  }
}

export class ReadyQueue {
  live = 0
  private readonly jobs: JobStore
  private readonly lanes: Lane[] = []
  private readonly heap = new ReadyHeap()
  private tombstones = 0
  private sweepLane = 0
  /** Where the last `peekSeq` found its answer: a lane, or null for the heap. */
  private best: Lane | null = null
  private bytesLeft = 0

  constructor(jobs: JobStore) {
    this.jobs = jobs
  }

  /** Entries held, tombstones included. For tests and memory accounts. */
  get entries(): number {
    return this.live + this.tombstones
  }

  add(seq: Seq, priority: number, runAt: number): void {
    this.addRun(seq, 1, priority, runAt)
  }

  /** Adds firstSeq, firstSeq + 1, … `count` of them, alike in priority and runAt. */
  addRun(firstSeq: Seq, count: number, priority: number, runAt: number): void {
    this.live += count
    const lane = this.laneOf(priority)
    if (lane !== null && (isAfter(lane, firstSeq, runAt) || lane.isEmpty())) {
      lane.rest.pushRun(firstSeq, count)
      lane.lastRunAt = runAt
      lane.lastSeq = firstSeq + count - 1
      return
    }
    for (let i = 0; i < count; i++) this.heap.push(priority, runAt, firstSeq + i)
  }

  /** The best live entry, -1 when there is none. Drops the tombstones before it. */
  peekSeq(): Seq {
    if (this.live === 0) return this.dropAll()
    const lane = this.firstLane()
    this.skipInHeap()
    const heap = this.heap
    this.best = lane
    if (lane === null) return heap.size === 0 ? -1 : heap.seq
    const seq = lane.front().peek()
    if (heap.size === 0 || heap.priority < lane.priority) return seq
    if (heap.priority === lane.priority) {
      const runAt = (this.jobs.find(seq) as JobPage).runAt[rowOf(seq)] as number
      if (runAt < heap.runAt || (runAt === heap.runAt && seq < heap.seq)) return seq
    }
    this.best = null
    return heap.seq
  }

  /**
   * Removes the best entries, in order, up to `max` of them, into `seqs[0..)`; returns how many. Stops before
   * their data would exceed `bytesMax`, but never before the first.
   */
  takeInto(seqs: Float64Array, max: number, bytesMax = Number.POSITIVE_INFINITY): number {
    this.bytesLeft = bytesMax
    let taken = 0
    while (taken < max) {
      const seq = this.peekSeq()
      if (seq === -1) break
      const before = taken
      if (this.best !== null) {
        taken = this.takeFromLane(this.best, seqs, taken, max)
      } else if (this.fits(this.jobs.get(seq), rowOf(seq), taken)) {
        this.heap.pop()
        seqs[taken++] = seq
      }
      if (taken === before) break
      this.live -= taken - before
    }
    return taken
  }

  /** One live entry's job has just left `waiting` without being taken. */
  gone(): void {
    this.live--
    this.tombstones++
    if (this.tombstones > TOMBSTONES_MIN + this.live / LIVE_PER_TOMBSTONE) {
      this.sweepLanes(SWEEP_ENTRIES)
      this.sweepHeap(SWEEP_ENTRIES)
    }
  }

  /** Takes from one run of the lane while its entries are before the heap's top. */
  private takeFromLane(lane: Lane, seqs: Float64Array, from: number, max: number): number {
    const fifo = lane.front()
    const heap = this.heap
    const rival = heap.size > 0 && heap.priority === lane.priority
    const run = fifo.headRun()
    const first = fifo.peek()
    let taken = from
    let used = 0
    let tombstones = 0
    for (; used < run && taken < max; used++) {
      const seq = first + used
      const page = this.jobs.find(seq)
      const row = rowOf(seq)
      if (page === undefined || page.state[row] !== JobState.waiting) {
        tombstones++
        continue
      }
      if (rival) {
        const runAt = page.runAt[row] as number
        if (runAt > heap.runAt || (runAt === heap.runAt && seq > heap.seq)) break
      }
      if (!this.fits(page, row, taken)) break
      seqs[taken++] = seq
    }
    fifo.shiftRun(used)
    this.tombstones -= tombstones
    return taken
  }

  private fits(page: JobPage, row: number, taken: number): boolean {
    this.bytesLeft -= page.length[row] as number
    return this.bytesLeft >= 0 || taken === 0
  }

  /** The first lane that has a live entry, that entry at its head; or null. */
  private firstLane(): Lane | null {
    for (let i = 0; i < this.lanes.length; i++) {
      const lane = this.lanes[i] as Lane
      while (!lane.isEmpty()) {
        const fifo = lane.front()
        if (this.jobs.stateOf(fifo.peek()) === JobState.waiting) return lane
        fifo.shiftRun(1)
        this.tombstones--
      }
    }
    return null
  }

  private skipInHeap(): void {
    while (this.heap.size > 0 && this.jobs.stateOf(this.heap.seq) !== JobState.waiting) {
      this.heap.pop()
      this.tombstones--
    }
  }

  /** Nothing is live: what is left are tombstones, forgotten without a look. */
  private dropAll(): -1 {
    if (this.tombstones > 0) {
      for (const lane of this.lanes) {
        lane.swept = null
        lane.rest.clear()
      }
      this.heap.clear()
      this.tombstones = 0
    }
    return -1
  }

  /** The lane for a priority: its own, a new one, an empty one re-used, or null when all are taken. */
  private laneOf(priority: number): Lane | null {
    const lanes = this.lanes
    for (let i = 0; i < lanes.length; i++) {
      const lane = lanes[i] as Lane
      if (lane.priority === priority) return lane
    }
    let lane: Lane
    if (lanes.length < LANES_MAX) {
      lane = new Lane(priority)
    } else {
      const at = lanes.findIndex((candidate) => candidate.isEmpty())
      if (at === -1) return null
      lane = lanes.splice(at, 1)[0] as Lane
      lane.priority = priority
    }
    let at = 0
    while (at < lanes.length && (lanes[at] as Lane).priority > priority) at++
    lanes.splice(at, 0, lane)
    return lane
  }

  /** Moves entries of one lane from `rest` to `swept`, tombstones left out. */
  private sweepLanes(max: number): void {
    const lane = this.lanes[this.sweepLane]
    if (lane === undefined) {
      this.sweepLane = 0
      return
    }
    lane.swept ??= new RunFifo()
    for (let looked = 0; looked < max && lane.rest.size > 0; looked++) {
      const seq = lane.rest.shift()
      if (this.jobs.stateOf(seq) === JobState.waiting) lane.swept.push(seq)
      else this.tombstones--
    }
    if (lane.rest.size > 0) return
    const emptied = lane.rest
    lane.rest = lane.swept
    lane.swept = emptied
    this.sweepLane++
  }

  private sweepHeap(max: number): void {
    for (let looked = 0; looked < max && this.heap.size > 0; looked++) {
      const seq = this.heap.sweepSeq()
      if (this.jobs.stateOf(seq) === JobState.waiting) {
        this.heap.sweepKeep()
      } else {
        this.heap.sweepDrop()
        this.tombstones--
      }
    }
  }
}

function isAfter(lane: Lane, seq: Seq, runAt: number): boolean {
  return runAt > lane.lastRunAt || (runAt === lane.lastRunAt && seq > lane.lastSeq)
}

const CHUNK_SHIFT = 11
const CHUNK_ENTRIES = 1 << CHUNK_SHIFT
const CHUNK_MASK = CHUNK_ENTRIES - 1
const FIRST_ENTRIES = 16
const CELLS = 3

/**
 * A 4-ary heap of (priority, runAt, seq), three cells an entry, in chunks: growing copies nothing.
 * `priority`, `runAt` and `seq` are those of the top, valid while `size` > 0.
 */
class ReadyHeap {
  size = 0
  priority = 0
  runAt = 0
  seq: Seq = -1
  private chunks: Float64Array[] = []
  private sweepAt = 0

  push(priority: number, runAt: number, seq: Seq): void {
    const at = this.size++
    this.makeRoom(at)
    this.siftUp(at, priority, runAt, seq)
    this.readTop()
  }

  pop(): void {
    this.removeAt(0)
    this.readTop()
  }

  clear(): void {
    this.size = 0
    this.chunks = []
    this.sweepAt = 0
  }

  /** The entry that the sweep, which goes round and round, is at. */
  sweepSeq(): Seq {
    if (this.sweepAt >= this.size) this.sweepAt = 0
    const cells = this.chunks[this.sweepAt >> CHUNK_SHIFT] as Float64Array
    return cells[(this.sweepAt & CHUNK_MASK) * CELLS + 2] as number
  }

  sweepKeep(): void {
    this.sweepAt++
  }

  sweepDrop(): void {
    this.removeAt(this.sweepAt)
    this.readTop()
  }

  private readTop(): void {
    if (this.size === 0) return
    const cells = this.chunks[0] as Float64Array
    this.priority = cells[0] as number
    this.runAt = cells[1] as number
    this.seq = cells[2] as number
  }

  private removeAt(at: number): void {
    const last = --this.size
    const cells = this.chunks[last >> CHUNK_SHIFT] as Float64Array
    const cell = (last & CHUNK_MASK) * CELLS
    const priority = cells[cell] as number
    const runAt = cells[cell + 1] as number
    const seq = cells[cell + 2] as number
    if (this.chunks.length > (last >> CHUNK_SHIFT) + 2) this.chunks.pop()
    if (at === last) return
    if (at > 0 && this.siftUp(at, priority, runAt, seq) !== at) return
    this.siftDown(at, priority, runAt, seq)
  }

  private siftUp(from: number, priority: number, runAt: number, seq: Seq): number {
    let at = from
    while (at > 0) {
      const parent = (at - 1) >> 2
      const cells = this.chunks[parent >> CHUNK_SHIFT] as Float64Array
      const cell = (parent & CHUNK_MASK) * CELLS
      const parentPriority = cells[cell] as number
      const parentRunAt = cells[cell + 1] as number
      const parentSeq = cells[cell + 2] as number
      if (!isBefore(priority, runAt, seq, parentPriority, parentRunAt, parentSeq)) break
      this.put(at, parentPriority, parentRunAt, parentSeq)
      at = parent
    }
    this.put(at, priority, runAt, seq)
    return at
  }

  private siftDown(from: number, priority: number, runAt: number, seq: Seq): void {
    let at = from
    for (;;) {
      const first = at * 4 + 1
      if (first >= this.size) break
      const end = Math.min(first + 4, this.size)
      let best = -1
      let bestPriority = priority
      let bestRunAt = runAt
      let bestSeq = seq
      for (let child = first; child < end; child++) {
        const cells = this.chunks[child >> CHUNK_SHIFT] as Float64Array
        const cell = (child & CHUNK_MASK) * CELLS
        const childPriority = cells[cell] as number
        const childRunAt = cells[cell + 1] as number
        const childSeq = cells[cell + 2] as number
        if (isBefore(childPriority, childRunAt, childSeq, bestPriority, bestRunAt, bestSeq)) {
          best = child
          bestPriority = childPriority
          bestRunAt = childRunAt
          bestSeq = childSeq
        }
      }
      if (best === -1) break
      this.put(at, bestPriority, bestRunAt, bestSeq)
      at = best
    }
    this.put(at, priority, runAt, seq)
  }

  private put(at: number, priority: number, runAt: number, seq: Seq): void {
    const cells = this.chunks[at >> CHUNK_SHIFT] as Float64Array
    const cell = (at & CHUNK_MASK) * CELLS
    cells[cell] = priority
    cells[cell + 1] = runAt
    cells[cell + 2] = seq
  }

  /** The chunk of entry `at` exists and is long enough. Only the first one begins small. */
  private makeRoom(at: number): void {
    const chunkNo = at >> CHUNK_SHIFT
    const chunk = this.chunks[chunkNo]
    if (chunkNo > 0) {
      if (chunk === undefined) this.chunks.push(new Float64Array(CHUNK_ENTRIES * CELLS))
    } else if (chunk === undefined) {
      this.chunks.push(new Float64Array(FIRST_ENTRIES * CELLS))
    } else if (chunk.length <= at * CELLS) {
      const longer = new Float64Array(at * 2 * CELLS)
      longer.set(chunk)
      this.chunks[0] = longer
    }
  }
}

function isBefore(
  priority: number,
  runAt: number,
  seq: Seq,
  otherPriority: number,
  otherRunAt: number,
  otherSeq: Seq,
): boolean {
  if (priority !== otherPriority) return priority > otherPriority
  if (runAt !== otherRunAt) return runAt < otherRunAt
  return seq < otherSeq
}
