// Record `pushed`: jobs enter the shard. All of one PUSH or PUSHB that were accepted, with consecutive sequences.
//
// The frame's job region is copied once; each row then points to its own `data` in it. When some jobs were
// refused, `rows` names the accepted ones and their data are copied one by one.

import { TimerKind, timerKey } from '../due-heap.ts'
import { type JobId, type Seq, seqOfId, shardOfId } from '../job-id.ts'
import { type JobPage, JobState, openOptions, PAGE_ROWS, rowOf } from '../job-store.ts'
import {
  INT_STRIDE,
  IntColumn,
  JobFlag,
  type JobTable,
  NUM_STRIDE,
  NumColumn,
  TEXT_STRIDE,
  TextColumn,
} from '../job-table.ts'
import type { Queue } from '../queue.ts'
import type { ShardState } from '../shard-state.ts'

const TIMED = JobFlag.ttl | JobFlag.timeout | JobFlag.backoff
const RARE = JobFlag.uniqueKey | JobFlag.dependsOn | JobFlag.tags

export interface Pushed {
  readonly queue: Queue
  readonly firstSeq: Seq
  readonly count: number
  readonly nowMs: number
  /** The frame, and what the scanner saw in it. */
  readonly bytes: Buffer
  readonly table: JobTable
  /** Rows of the accepted jobs; null = the first `count`. */
  readonly rows: Int32Array | null
}

export function evolvePushed(state: ShardState, pushed: Pushed): void {
  const { queue, firstSeq, count } = pushed
  if (pushed.rows === null) placeRegion(state, pushed)
  else placeEach(state, pushed)

  const plain = (pushed.table.flagsSeen & ~JobFlag.maxAttempts) === 0
  if (plain) {
    queue.ready.addRun(firstSeq, count, 0, pushed.nowMs)
    state.waiting += count
  } else {
    for (let i = 0; i < count; i++) applyOptions(state, pushed, i)
  }
  queue.used = true
  state.nextSeq = firstSeq + count
  state.totalPushed += count
}

/** Rows for all jobs, their data in one copy of the region that holds them. */
function placeRegion(state: ShardState, pushed: Pushed): void {
  const { jobs, payloads } = state
  const { queue, firstSeq, count, nowMs, bytes, table } = pushed
  const { ints } = table
  const regionFrom = ints[IntColumn.dataFrom] as number
  const regionTo = ints[(count - 1) * INT_STRIDE + IntColumn.dataTo] as number
  payloads.put(bytes, regionFrom, regionTo, firstSeq, count)
  const slabNo = payloads.slabNo
  const shift = payloads.offset - regionFrom

  let live = 0
  let at = 0
  for (let done = 0; done < count; ) {
    const page = jobs.open(firstSeq + done)
    const firstRow = rowOf(firstSeq + done)
    const rows = Math.min(count - done, PAGE_ROWS - firstRow)
    const { from, length } = page
    for (let row = firstRow; row < firstRow + rows; row++) {
      const dataFrom = ints[at] as number
      const size = (ints[at + 1] as number) - dataFrom
      from[row] = dataFrom + shift
      length[row] = size
      live += size
      at += INT_STRIDE
    }
    fillNew(page, firstRow, rows, queue.no, nowMs)
    if (rows === 1) page.slab[firstRow] = slabNo
    else page.slab.fill(slabNo, firstRow, firstRow + rows)
    jobs.added(page, rows)
    done += rows
  }
  payloads.addLive(slabNo, live)
  if ((table.flagsSeen & JobFlag.maxAttempts) !== 0) setMaxAttempts(state, pushed)
}

function placeEach(state: ShardState, pushed: Pushed): void {
  const { jobs, payloads } = state
  const { queue, firstSeq, count, nowMs, bytes, table } = pushed
  for (let i = 0; i < count; i++) {
    const at = tableRow(pushed, i) * INT_STRIDE
    const dataFrom = table.ints[at + IntColumn.dataFrom] as number
    const dataTo = table.ints[at + IntColumn.dataTo] as number
    const seq = firstSeq + i
    const page = jobs.open(seq)
    const row = rowOf(seq)
    payloads.put(bytes, dataFrom, dataTo, seq, 1)
    fillNew(page, row, 1, queue.no, nowMs)
    page.slab[row] = payloads.slabNo
    page.from[row] = payloads.offset
    page.length[row] = dataTo - dataFrom
    jobs.added(page, 1)
    payloads.addLive(payloads.slabNo, dataTo - dataFrom)
  }
  if ((table.flagsSeen & JobFlag.maxAttempts) !== 0) setMaxAttempts(state, pushed)
}

/** What new rows have in common, column by column; one row is quicker cell by cell. */
function fillNew(
  page: JobPage,
  firstRow: number,
  rows: number,
  queueNo: number,
  nowMs: number,
): void {
  const end = firstRow + rows
  if (rows === 1) {
    page.state[firstRow] = JobState.waiting
    page.flags[firstRow] = 0
    page.queue[firstRow] = queueNo
    page.priority[firstRow] = 0
    page.createdAt[firstRow] = nowMs
    page.runAt[firstRow] = nowMs
    page.attempts[firstRow] = 0
    page.maxAttempts[firstRow] = 0
    clearOptionalCells(page, firstRow)
    return
  }
  page.state.fill(JobState.waiting, firstRow, end)
  page.flags.fill(0, firstRow, end)
  page.queue.fill(queueNo, firstRow, end)
  page.priority.fill(0, firstRow, end)
  page.createdAt.fill(nowMs, firstRow, end)
  page.runAt.fill(nowMs, firstRow, end)
  page.attempts.fill(0, firstRow, end)
  page.maxAttempts.fill(0, firstRow, end)
  clearOptional(page, firstRow, end)
}

/** A page is re-used, and its optional columns keep the cells of former jobs. */
function clearOptional(page: JobPage, firstRow: number, end: number): void {
  page.startedAt?.fill(0, firstRow, end)
  page.token?.fill(0, firstRow, end)
  page.progress?.fill(0, firstRow, end)
  if (page.options !== null) {
    page.options.backoff.fill(0, firstRow, end)
    page.options.ttl.fill(0, firstRow, end)
    page.options.timeout.fill(0, firstRow, end)
  }
}

function clearOptionalCells(page: JobPage, row: number): void {
  const { startedAt, token, progress, options } = page
  if (startedAt !== null) startedAt[row] = 0
  if (token !== null) token[row] = 0
  if (progress !== null) progress[row] = 0
  if (options !== null) {
    options.backoff[row] = 0
    options.ttl[row] = 0
    options.timeout[row] = 0
  }
}

function setMaxAttempts(state: ShardState, pushed: Pushed): void {
  const { table, firstSeq } = pushed
  for (let i = 0; i < pushed.count; i++) {
    const from = tableRow(pushed, i)
    const flags = table.ints[from * INT_STRIDE + IntColumn.flags] as number
    if ((flags & JobFlag.maxAttempts) === 0) continue
    const page = state.jobs.get(firstSeq + i)
    page.maxAttempts[rowOf(firstSeq + i)] = table.nums[
      from * NUM_STRIDE + NumColumn.maxAttempts
    ] as number
  }
}

/** One job's options, and its place: parked, delayed or ready. */
function applyOptions(state: ShardState, pushed: Pushed, i: number): void {
  const { queue, nowMs, table, firstSeq } = pushed
  const seq = firstSeq + i
  const from = tableRow(pushed, i)
  const flags = table.ints[from * INT_STRIDE + IntColumn.flags] as number
  const page = state.jobs.get(seq)
  const row = rowOf(seq)
  if ((flags & JobFlag.priority) !== 0) {
    page.priority[row] = table.ints[from * INT_STRIDE + IntColumn.priority] as number
  }
  if ((flags & JobFlag.delay) !== 0) {
    page.runAt[row] = nowMs + (table.nums[from * NUM_STRIDE + NumColumn.delay] as number)
  }
  if ((flags & TIMED) !== 0) setTimed(state, pushed, page, seq, from)
  if ((flags & RARE) !== 0) setRare(state, pushed, page, seq, from)

  if (state.parkedSeqs.has(seq)) {
    page.state[row] = JobState.parked
    queue.parked++
    state.parked++
  } else {
    enqueue(state, page, seq, nowMs)
  }
}

function setTimed(state: ShardState, pushed: Pushed, page: JobPage, seq: Seq, from: number): void {
  const flags = pushed.table.ints[from * INT_STRIDE + IntColumn.flags] as number
  const { nums } = pushed.table
  const at = from * NUM_STRIDE
  const row = rowOf(seq)
  const options = openOptions(page)
  if ((flags & JobFlag.backoff) !== 0) options.backoff[row] = nums[at + NumColumn.backoff] as number
  if ((flags & JobFlag.timeout) !== 0) options.timeout[row] = nums[at + NumColumn.timeout] as number
  if ((flags & JobFlag.ttl) !== 0) {
    const ttl = nums[at + NumColumn.ttl] as number
    options.ttl[row] = ttl
    if (ttl > 0) state.due.add(pushed.nowMs + ttl + 1, timerKey(TimerKind.ttl, seq))
  }
}

function setRare(state: ShardState, pushed: Pushed, page: JobPage, seq: Seq, from: number): void {
  const { bytes, table, queue } = pushed
  const at = from * TEXT_STRIDE
  const flags = table.ints[from * INT_STRIDE + IntColumn.flags] as number
  if ((flags & JobFlag.uniqueKey) !== 0) {
    const key = uniqueKeyOf(bytes, table, from)
    state.jobs.openRare(page, seq).uniqueKey = key
    queue.keys.set(key, seq)
  }
  if ((flags & JobFlag.tags) !== 0) {
    const tags = bytes.toString(
      'utf8',
      table.texts[at + TextColumn.tagsFrom] as number,
      table.texts[at + TextColumn.tagsTo] as number,
    )
    state.jobs.openRare(page, seq).tags = tags
  }
  if ((flags & JobFlag.dependsOn) !== 0) {
    const parents = parentsOf(bytes, table, from)
    if (parents.length > 0) park(state, page, seq, parents)
  }
  state.jobs.weigh(state.jobs.openRare(page, seq))
}

/** Notes the parents of a job; it is parked when one of them is not known to be completed. */
function park(state: ShardState, page: JobPage, seq: Seq, parents: JobId[]): void {
  const rare = state.jobs.openRare(page, seq)
  rare.dependsOn = parents
  const open = new Set<JobId>()
  for (const parent of parents) if (!isCompletedHere(state, parent)) open.add(parent)
  if (open.size === 0) return
  rare.openParents = open
  state.parkedSeqs.add(seq)
}

function isCompletedHere(state: ShardState, parent: JobId): boolean {
  return shardOfId(parent) === state.shard && state.stateName(seqOfId(parent)) === 'completed'
}

/** Puts a job that waits for nothing but time into its queue: ready, or delayed until `run_at`. */
export function enqueue(state: ShardState, page: JobPage, seq: Seq, nowMs: number): void {
  const row = rowOf(seq)
  const queue = state.queueOf(page.queue[row] as number)
  const runAt = page.runAt[row] as number
  if (runAt > nowMs) {
    page.state[row] = JobState.delayed
    queue.delayed++
    state.delayed++
    state.due.add(runAt, timerKey(TimerKind.delay, seq))
  } else {
    page.state[row] = JobState.waiting
    queue.ready.add(seq, page.priority[row] as number, runAt)
    state.waiting++
  }
}

function tableRow(pushed: Pushed, i: number): number {
  return pushed.rows === null ? i : (pushed.rows[i] as number)
}

export function uniqueKeyOf(bytes: Buffer, table: JobTable, row: number): string {
  const at = row * TEXT_STRIDE
  const from = table.texts[at + TextColumn.keyFrom] as number
  const to = table.texts[at + TextColumn.keyTo] as number
  const escaped =
    ((table.ints[row * INT_STRIDE + IntColumn.flags] as number) & JobFlag.keyEscaped) !== 0
  if (!escaped) return bytes.toString('utf8', from, to)
  return JSON.parse(bytes.toString('utf8', from - 1, to + 1)) as string
}

export function parentsOf(bytes: Buffer, table: JobTable, row: number): JobId[] {
  const at = row * TEXT_STRIDE
  const from = table.texts[at + TextColumn.dependsFrom] as number
  const to = table.texts[at + TextColumn.dependsTo] as number
  return [...new Set(JSON.parse(bytes.toString('utf8', from, to)) as JobId[])]
}
