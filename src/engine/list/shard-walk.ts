// A walk through the jobs of one shard, from the newest to the oldest, looking for those that a query asks for.
//
//   pages  [ oldest … ] … [ … newest ]         ◀── seq: the job that it is at
//
// 1. The job that it is at either is one that was asked for (`isMatch`), or nobody has looked at it yet.
// 2. `look` goes through one page at most, and `spent` counts what that took, so that whoever walks can stop in time.
// 3. Jobs have been created in the order of their sequences, but for clocks that were set back between two owners: what
//    is older than `sinceMs` by more than `SLACK_MS` ends the walk, and a page newer than `untilMs` by as much is passed.

import type { Seq } from '../job-id.ts'
import { type JobPage, JobState, PAGE_ROWS, rowOf } from '../job-store.ts'
import type { ShardState } from '../shard-state.ts'
import type { JobQuery } from './job-query.ts'

const SLACK_MS = 60_000
/** In looks at a row, of which one takes some 2 ns. */
const TAGS_COST = 200
const TEXT_COST = 60
const TEXT_BYTES_PER_LOOK = 8

export class ShardWalk {
  readonly source: ShardState
  /** -1: it is through. */
  seq: Seq = -1
  createdAtMs = 0
  isMatch = false
  spent = 0
  private readonly query: JobQuery
  private readonly queueNo: number
  private readonly needle: Buffer | null
  private pages: readonly JobPage[] = []
  private pageAt = -1

  /** Jobs below `below`. */
  constructor(source: ShardState, query: JobQuery, below: Seq) {
    this.source = source
    this.query = query
    const { queue, text } = query
    this.queueNo = queue === null ? -1 : (source.queuesByName.get(queue)?.no ?? -1)
    this.needle = text === null ? null : Buffer.from(text)
    if (below === 0 || (queue !== null && this.queueNo === -1)) return
    this.pages = source.jobs.pagesInOrder()
    this.pageAt = this.pages.findLastIndex((page) => page.firstSeq < below)
    const page = this.pages[this.pageAt]
    if (page !== undefined) this.goTo(Math.min(PAGE_ROWS, below - page.firstSeq) - 1)
  }

  /** Where another walk would go on. */
  get below(): Seq {
    return this.seq + 1
  }

  /** From the match that it is at to the job before. */
  next(): void {
    this.goTo(rowOf(this.seq) - 1)
  }

  /** From the job that it is at to the next one that is asked for, if that is in its page and `costMax` is enough. */
  look(costMax: number): void {
    const page = this.pages[this.pageAt] as JobPage
    const { sinceMs, untilMs } = this.query
    if (untilMs !== Number.POSITIVE_INFINITY && this.isTooNew(page)) return this.goTo(-1)
    const stopAt = this.spent + costMax
    let row = rowOf(this.seq)
    while (row >= 0 && this.spent < stopAt) {
      const found = this.candidate(page, row, Math.max(0, row - Math.ceil(stopAt - this.spent)))
      this.spent += row - found + 1
      row = found - 1
      if (!this.isWanted(page, found)) continue
      const createdAtMs = page.createdAt[found] as number
      if (createdAtMs < sinceMs - SLACK_MS) return this.end()
      if (createdAtMs < sinceMs || createdAtMs > untilMs) continue
      if (!this.hasTag(page, found) || !this.hasText(page, found)) continue
      this.stand(page, found)
      this.isMatch = true
      return
    }
    this.goTo(row)
  }

  /** The first row from `from` down that may be of the state and queue that are asked for; `to` when none before it is. */
  private candidate(page: JobPage, from: number, to: number): number {
    const { state, queue } = page
    const wanted = this.query.state
    const { queueNo } = this
    let row = from
    // Most rows are passed here: the runtime's own search takes a fifth of what a loop does.
    if (wanted !== JobState.none) row = Math.max(to, state.lastIndexOf(wanted, row))
    if (queueNo < 0) return row
    while (row > to && queue[row] !== queueNo) row--
    return row
  }

  /** Its first job was created after `untilMs`, and by more than clocks may be apart. */
  private isTooNew(page: JobPage): boolean {
    let first = 0
    while (page.state[first] === JobState.none) first++
    this.spent += first + 1
    return (page.createdAt[first] as number) > this.query.untilMs + SLACK_MS
  }

  private isWanted(page: JobPage, row: number): boolean {
    const own = page.state[row]
    const wanted = this.query.state
    if (own === JobState.none || (wanted !== JobState.none && own !== wanted)) return false
    return this.queueNo < 0 || page.queue[row] === this.queueNo
  }

  /** To the first live row at or below `row` of this page. */
  private goTo(row: number): void {
    let at = row
    for (;;) {
      const page = this.pages[this.pageAt]
      if (page === undefined) return this.end()
      const from = at
      const { state } = page
      while (at >= 0 && state[at] === JobState.none) at--
      this.spent += from - at + 1
      if (at >= 0) return this.stand(page, at)
      this.pageAt--
      at = PAGE_ROWS - 1
    }
  }

  private stand(page: JobPage, row: number): void {
    this.seq = page.firstSeq + row
    this.createdAtMs = page.createdAt[row] as number
    this.isMatch = false
  }

  private end(): void {
    this.seq = -1
    this.isMatch = false
  }

  private hasTag(page: JobPage, row: number): boolean {
    const { tag } = this.query
    if (tag === null) return true
    const tags = this.source.jobs.rareOf(page, page.firstSeq + row)?.tags ?? null
    if (tags === null) return false
    this.spent += TAGS_COST
    return (JSON.parse(tags) as string[]).includes(tag)
  }

  private hasText(page: JobPage, row: number): boolean {
    if (this.needle === null) return true
    const from = page.from[row] as number
    const length = page.length[row] as number
    this.spent += TEXT_COST + length / TEXT_BYTES_PER_LOOK
    const bytes = this.source.payloads.bytesOf(page.slab[row] as number)
    return bytes.subarray(from, from + length).includes(this.needle)
  }
}
