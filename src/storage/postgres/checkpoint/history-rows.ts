// Which jobs of a checkpoint are new in `history`, and their rows in PostgreSQL's binary COPY format.
//
// 1. Each finished job is written once: those that the checkpoint before had as finished were written with it, in one
//    transaction. No clock and no order is needed to know them: their ids are gathered while its rows are read.
// 2. A job in the dead letter queue counts as finished, at the moment of the checkpoint that sees it there first; if
//    it is retried and fails again, it is written again.
// 3. Every row is of a day between `oldestDay` and tomorrow, so that few days are ever made, whatever clocks say.

import type { JobRow, ShardReader } from '../../../engine/storage-port.ts'
import { CopyRows } from './copy-rows.ts'
import { dayOf } from './history-days.ts'

export const historyColumnList =
  'shard, id, queue, state, priority, attempts, created_at, started_at, finished_at, data, result, rest'
const COLUMNS = 12
const DAY_MS = 24 * 60 * 60 * 1000
/** A row without data, result and rest. */
const ROW_BYTES_MAX = 2 + COLUMNS * 12 + 3 * 256 + 16
const IDS_MIN = 1024

/** Passes a checkpoint on, and remembers which of its jobs had finished. */
export class FinishedBefore implements ShardReader {
  private readonly into: ShardReader
  private ids = new Float64Array(IDS_MIN)
  private count = 0
  private sorted = true

  constructor(into: ShardReader) {
    this.into = into
  }

  meta(bytes: Buffer): void {
    this.into.meta(bytes)
  }

  job(row: JobRow): void {
    if (isFinished(row)) this.add(row.id)
    this.into.job(row)
  }

  checkpointEnded(): void {
    this.into.checkpointEnded()
  }

  batch(bytes: Buffer): void {
    this.into.batch(bytes)
  }

  has(id: number): boolean {
    if (!this.sorted) {
      this.ids.subarray(0, this.count).sort()
      this.sorted = true
    }
    let from = 0
    let to = this.count
    while (from < to) {
      const middle = (from + to) >>> 1
      if ((this.ids[middle] as number) < id) from = middle + 1
      else to = middle
    }
    return from < this.count && this.ids[from] === id
  }

  private add(id: number): void {
    if (this.count === this.ids.length) {
      const wider = new Float64Array(this.count * 2)
      wider.set(this.ids)
      this.ids = wider
    }
    if (this.count > 0 && id < (this.ids[this.count - 1] as number)) this.sorted = false
    this.ids[this.count++] = id
  }
}

export class HistoryRows {
  private readonly shard: number
  private readonly before: FinishedBefore
  private readonly nowMs: number
  private readonly oldestDay: number

  /** `nowMs` is PostgreSQL's. */
  constructor(shard: number, before: FinishedBefore, nowMs: number, keptDays: number) {
    this.shard = shard
    this.before = before
    this.nowMs = nowMs
    this.oldestDay = dayOf(nowMs) - keptDays
  }

  /** The days that `chunks` needs, and tomorrow, which is made ahead. `rows`: completed ones come first. */
  days(rows: Iterable<JobRow>): ReadonlySet<number> {
    const today = dayOf(this.nowMs)
    const days = new Set([today, today + 1])
    for (const row of rows) {
      if (row.state !== 'completed') break
      if (this.isNew(row)) days.add(dayOf(this.finishedAtMs(row)))
    }
    return days
  }

  *chunks(rows: Iterable<JobRow>): Generator<Buffer> {
    const out = new CopyRows()
    for (const row of rows) {
      if (!this.isNew(row)) continue
      this.write(out, row)
      if (out.full) yield out.take()
    }
    yield out.end()
  }

  private isNew(row: JobRow): boolean {
    return (
      isFinished(row) && !this.before.has(row.id) && dayOf(this.finishedAtMs(row)) >= this.oldestDay
    )
  }

  private finishedAtMs(row: JobRow): number {
    return row.state === 'completed' ? Math.min(row.finishedAtMs, this.nowMs + DAY_MS) : this.nowMs
  }

  private write(out: CopyRows, row: JobRow): void {
    const { data, result, rest } = row
    out.begin(COLUMNS, ROW_BYTES_MAX + data.length + (result === null ? 0 : result.length))
    out.int32(this.shard)
    out.int64(row.id)
    out.blob(Buffer.from(row.queue))
    out.blob(Buffer.from(row.state))
    out.int32(row.priority)
    out.int64(row.attempts)
    out.moment(row.createdAtMs)
    out.momentOrNull(row.startedAtMs)
    out.moment(this.finishedAtMs(row))
    out.blob(data)
    out.blobOrNull(result)
    if (rest === null) out.nothing()
    else out.text(rest)
  }
}

function isFinished(row: JobRow): boolean {
  return row.state === 'completed' || row.state === 'failed'
}
