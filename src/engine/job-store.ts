// The jobs of one shard as columns of numbers: no object per job.
//
//   seq ──▶ page (seq / 4096) ──▶ row (seq % 4096) ──▶ one cell in each column
//
// 1. A row is live when its `state` is not `none`; only then are its other cells meaningful.
// 2. A page is made when its first job arrives and given up when its last job leaves. A page is
//    re-used for other sequences, so all its states are `none` by then.
// 3. A column that few jobs need is null until a job of the page needs it; from then on every
//    newcomer writes its cell.
// 4. What is rare (a key, dependencies, tags, an error) lives in `rare`, and the row's flag says so.

import type { Seq } from './job-id.ts'
import type { JobLog } from './job-log.ts'
import { SpareMemory } from './spare-memory.ts'

export const PAGE_ROWS = 4096
const ROW_MASK = PAGE_ROWS - 1
/** Memory of a page whose jobs are plain, in bytes. */
export const PAGE_BYTES = PAGE_ROWS * 46
/** An entry of `rare` without its texts, and each parent in it, in bytes: measured, rounded up. */
const RARE_BYTES = 200
const PARENT_BYTES = 64
const PAGES_BEFORE_BLOCKS = 32
const BLOCK_PAGES = 16

export const JobState = {
  none: 0,
  waiting: 1,
  delayed: 2,
  active: 3,
  completed: 4,
  failed: 5,
  parked: 6,
} as const
export type JobState = (typeof JobState)[keyof typeof JobState]

/** The wire's name of each state, by number. */
export const stateNames = [
  'unknown',
  'waiting',
  'delayed',
  'active',
  'completed',
  'failed',
  'waiting-children',
] as const
export type StateName = (typeof stateNames)[number]

export const RowFlag = {
  /** `rare` has an entry. */
  rare: 1,
  /** A result is stored: the result columns are valid. */
  result: 2,
  /** Held for one connection: `holder` is valid while active. */
  held: 4,
  /** Pulled with a lease: `leaseUntil` is valid while active. */
  leased: 8,
} as const

/** What only few jobs have. */
export interface RareFields {
  uniqueKey: string | null
  /** Parent ids as pushed. */
  dependsOn: readonly number[] | null
  /** Parents that are not known to be completed; while parked, and when dead-lettered for one of them. */
  openParents: Set<number> | null
  /** `tags` as raw JSON text, as pushed. */
  tags: string | null
  /** `progress_msg`: a progress message, or the error of the last failed run. */
  message: string | null
  /** Why the last run failed. */
  error: string | null
  logs: JobLog | null
  /** What it was counted as in `rareBytes`. */
  bytes: number
}

export class JobPage {
  firstSeq: Seq = 0
  live = 0
  readonly createdAt: Float64Array
  readonly runAt: Float64Array
  readonly priority: Int32Array
  /** Index into the shard's queues. */
  readonly queue: Uint32Array
  readonly attempts: Uint32Array
  readonly maxAttempts: Uint32Array
  /** Where `data` lies: slab, offset, length in bytes. */
  readonly slab: Uint32Array
  readonly from: Uint32Array
  readonly length: Uint32Array
  readonly state: Uint8Array
  readonly flags: Uint8Array

  /** Since the last pull; 0 before and after. */
  startedAt: Float64Array | null = null
  /** While active the current delivery's token; of what is completed or failed, when it ended, in Unix ms. Else 0. */
  token: Float64Array | null = null
  /** Options in ms, 0 when not given. */
  options: JobOptions | null = null
  progress: Uint8Array | null = null
  leases: Leases | null = null
  results: Results | null = null

  /** `PAGE_BYTES` of `memory` from `from` on, widest cells first: a page is no allocation of its own. */
  constructor(memory: ArrayBufferLike, from: number) {
    const eight = (column: number): Float64Array =>
      new Float64Array(memory, from + column * 8 * PAGE_ROWS, PAGE_ROWS)
    const four = (column: number): number => from + (16 + column * 4) * PAGE_ROWS
    this.createdAt = eight(0)
    this.runAt = eight(1)
    this.priority = new Int32Array(memory, four(0), PAGE_ROWS)
    this.queue = new Uint32Array(memory, four(1), PAGE_ROWS)
    this.attempts = new Uint32Array(memory, four(2), PAGE_ROWS)
    this.maxAttempts = new Uint32Array(memory, four(3), PAGE_ROWS)
    this.slab = new Uint32Array(memory, four(4), PAGE_ROWS)
    this.from = new Uint32Array(memory, four(5), PAGE_ROWS)
    this.length = new Uint32Array(memory, four(6), PAGE_ROWS)
    this.state = new Uint8Array(memory, four(7), PAGE_ROWS)
    this.flags = new Uint8Array(memory, four(7) + PAGE_ROWS, PAGE_ROWS)
  }

  get buffer(): ArrayBufferLike {
    return this.state.buffer
  }
}

/** Columns of a page in which some job has a backoff, ttl or timeout. */
export interface JobOptions {
  readonly backoff: Float64Array
  readonly ttl: Float64Array
  readonly timeout: Float64Array
}

/** Columns of a page in which some active job has a lease or a holder. */
export interface Leases {
  /** The lease's length in ms as asked at the pull. */
  readonly lengthMs: Float64Array
  readonly untilMs: Float64Array
  /** Due time of the one timer that counts; others of the same job are stale. */
  readonly timerMs: Float64Array
  readonly holder: Float64Array
}

/** Columns of a page in which some job is completed with a result. */
export interface Results {
  readonly slab: Uint32Array
  readonly from: Uint32Array
  readonly length: Uint32Array
}

export class JobStore {
  readonly rare = new Map<Seq, RareFields>()
  /** About what `rare` takes in memory. */
  rareBytes = 0
  /** Rows that are live, in any state. */
  live = 0
  private readonly pages = new Map<number, JobPage>()
  private readonly spare: SpareMemory<JobPage>
  private lastPage: JobPage = new JobPage(new ArrayBuffer(PAGE_BYTES), 0)
  private lastPageNo = -1

  constructor(spare: SpareMemory<JobPage> = new SpareMemory(PAGE_BYTES)) {
    this.spare = spare
  }

  get pageCount(): number {
    return this.pages.size
  }

  /** The page of a live job, or undefined when there is no such job. */
  find(seq: Seq): JobPage | undefined {
    const pageNo = Math.floor(seq / PAGE_ROWS)
    if (pageNo !== this.lastPageNo) {
      const page = this.pages.get(pageNo)
      if (page === undefined) return undefined
      this.lastPage = page
      this.lastPageNo = pageNo
    }
    return this.lastPage.state[seq & ROW_MASK] === JobState.none ? undefined : this.lastPage
  }

  /** The page of a job that is known to be live. */
  get(seq: Seq): JobPage {
    const page = this.find(seq)
    if (page === undefined) throw new Error(`job ${seq} is not in the store`)
    return page
  }

  stateOf(seq: Seq): JobState {
    const page = this.find(seq)
    return page === undefined ? JobState.none : (page.state[seq & ROW_MASK] as JobState)
  }

  /** The page that will hold `seq`, made when missing; the caller sets `state` and counts with `added`. */
  open(seq: Seq): JobPage {
    const pageNo = Math.floor(seq / PAGE_ROWS)
    if (pageNo === this.lastPageNo) return this.lastPage
    let page = this.pages.get(pageNo)
    if (page === undefined) {
      page = this.spare.takePage() ?? this.newPage()
      page.firstSeq = pageNo * PAGE_ROWS
      this.pages.set(pageNo, page)
    }
    this.lastPage = page
    this.lastPageNo = pageNo
    return page
  }

  /** The page that the row of `seq` is in, live or not; undefined when no job of it is. */
  pageOf(seq: Seq): JobPage | undefined {
    return this.pages.get(Math.floor(seq / PAGE_ROWS))
  }

  /** No live job has a lower sequence. Walks over the pages. */
  firstPageSeq(): Seq {
    let first = Number.POSITIVE_INFINITY
    for (const pageNo of this.pages.keys()) first = Math.min(first, pageNo)
    return first * PAGE_ROWS
  }

  added(page: JobPage, count: number): void {
    page.live += count
    this.live += count
  }

  /** Forgets a live row. Its payload must have been released. */
  remove(page: JobPage, seq: Seq): void {
    const row = seq & ROW_MASK
    const rare = this.rareOf(page, seq)
    if (rare !== undefined) {
      this.rareBytes -= rare.bytes
      this.rare.delete(seq)
    }
    page.state[row] = JobState.none
    page.live--
    this.live--
    if (page.live === 0) this.giveUp(page)
  }

  /** The same for `count` rows without anything rare. */
  removeRun(page: JobPage, firstRow: number, count: number): void {
    page.state.fill(JobState.none, firstRow, firstRow + count)
    page.live -= count
    this.live -= count
    if (page.live === 0) this.giveUp(page)
  }

  rareOf(page: JobPage, seq: Seq): RareFields | undefined {
    const flags = page.flags[seq & ROW_MASK] as number
    return (flags & RowFlag.rare) === 0 ? undefined : this.rare.get(seq)
  }

  /** The rare fields of a live job, made when missing. */
  openRare(page: JobPage, seq: Seq): RareFields {
    const known = this.rareOf(page, seq)
    if (known !== undefined) return known
    const made: RareFields = {
      uniqueKey: null,
      dependsOn: null,
      openParents: null,
      tags: null,
      message: null,
      error: null,
      logs: null,
      bytes: 0,
    }
    const row = seq & ROW_MASK
    page.flags[row] = (page.flags[row] as number) | RowFlag.rare
    this.rare.set(seq, made)
    return made
  }

  /** Counts what rare fields take: call when they have changed. */
  weigh(rare: RareFields): void {
    const { uniqueKey, dependsOn, tags, message, error, logs } = rare
    let bytes = RARE_BYTES + (dependsOn === null ? 0 : dependsOn.length * PARENT_BYTES)
    if (uniqueKey !== null) bytes += uniqueKey.length
    if (tags !== null) bytes += tags.length
    if (message !== null) bytes += message.length
    if (error !== null && error !== message) bytes += error.length
    if (logs !== null) bytes += logs.bytes
    this.rareBytes += bytes - rare.bytes
    rare.bytes = bytes
  }

  /** In order of their sequences. For recovery, checkpoints, hashes and tests; never on a hot path. */
  pagesInOrder(): JobPage[] {
    return [...this.pages.values()].sort((a, b) => a.firstSeq - b.firstSeq)
  }

  /** Every live sequence, in order. */
  *liveSeqs(): Generator<Seq> {
    for (const page of this.pagesInOrder()) {
      for (let row = 0; row < PAGE_ROWS; row++) {
        if (page.state[row] !== JobState.none) yield page.firstSeq + row
      }
    }
  }

  /** A large store gets its pages in blocks: fresh memory is quicker in large pieces. */
  private newPage(): JobPage {
    const count = this.pages.size < PAGES_BEFORE_BLOCKS ? 1 : BLOCK_PAGES
    const [first, ...others] = pagesIn(this.spare.cut(count * PAGE_BYTES, count))
    for (const page of others) this.spare.givePage(page)
    return first as JobPage
  }

  private giveUp(page: JobPage): void {
    const pageNo = page.firstSeq / PAGE_ROWS
    this.pages.delete(pageNo)
    if (this.lastPageNo === pageNo) this.lastPageNo = -1
    this.spare.givePage(page)
  }
}

/** As many pages as there is room for. The memory must be zero. */
export function pagesIn({ buffer, byteOffset, byteLength }: Buffer): JobPage[] {
  const count = Math.floor(byteLength / PAGE_BYTES)
  return Array.from({ length: count }, (_, i) => new JobPage(buffer, byteOffset + i * PAGE_BYTES))
}

export function rowOf(seq: Seq): number {
  return seq & ROW_MASK
}

export function openStartedAt(page: JobPage): Float64Array {
  page.startedAt ??= new Float64Array(PAGE_ROWS)
  return page.startedAt
}

/** What a completed job counts for retention: its data, result and log. */
export function keptBytes(jobs: JobStore, page: JobPage, row: number): number {
  const flags = page.flags[row] as number
  let bytes = page.length[row] as number
  if ((flags & RowFlag.result) !== 0) bytes += page.results?.length[row] ?? 0
  if ((flags & RowFlag.rare) !== 0) {
    bytes += jobs.rareOf(page, page.firstSeq + row)?.logs?.bytes ?? 0
  }
  return bytes
}

/** When a completed or failed job ended, in Unix ms; 0 when that is not known, or it has not. */
export function endedAtMs(page: JobPage, row: number): number {
  const state = page.state[row]
  if (page.token === null || (state !== JobState.completed && state !== JobState.failed)) return 0
  return page.token[row] as number
}

export function openTokens(page: JobPage): Float64Array {
  page.token ??= new Float64Array(PAGE_ROWS)
  return page.token
}

export function openProgress(page: JobPage): Uint8Array {
  page.progress ??= new Uint8Array(PAGE_ROWS)
  return page.progress
}

export function openOptions(page: JobPage): JobOptions {
  page.options ??= {
    backoff: new Float64Array(PAGE_ROWS),
    ttl: new Float64Array(PAGE_ROWS),
    timeout: new Float64Array(PAGE_ROWS),
  }
  return page.options
}

export function openLeases(page: JobPage): Leases {
  page.leases ??= {
    lengthMs: new Float64Array(PAGE_ROWS),
    untilMs: new Float64Array(PAGE_ROWS),
    timerMs: new Float64Array(PAGE_ROWS),
    holder: new Float64Array(PAGE_ROWS),
  }
  return page.leases
}

export function openResults(page: JobPage): Results {
  page.results ??= {
    slab: new Uint32Array(PAGE_ROWS),
    from: new Uint32Array(PAGE_ROWS),
    length: new Uint32Array(PAGE_ROWS),
  }
  return page.results
}
