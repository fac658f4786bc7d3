// Runs of plain jobs: consecutive sequences in one page, of one queue, with nothing rare and no lease, holder or result.
//
// What batches mostly consist of. The same changes as job by job (run-ended.ts, job-changed.ts), over whole columns: a
// batch of acks then costs a few nanoseconds a job. Record `completedRun` has its own kind, so replay takes
// this way too.

import type { Seq } from '../job-id.ts'
import { type JobPage, JobState, openTokens, rowOf } from '../job-store.ts'
import type { PayloadStore } from '../payload-store.ts'
import type { ShardState } from '../shard-state.ts'

/** Record `completedRun`: `count` active jobs from `firstSeq` are done, without results. */
export function evolveCompletedRun(
  state: ShardState,
  firstSeq: Seq,
  count: number,
  nowMs: number,
): void {
  const page = state.jobs.get(firstSeq)
  const firstRow = rowOf(firstSeq)
  const end = firstRow + count
  const queue = state.queueOf(page.queue[firstRow] as number)
  page.state.fill(JobState.completed, firstRow, end)
  openTokens(page).fill(nowMs, firstRow, end)
  let kept = 0
  const { length } = page
  for (let row = firstRow; row < end; row++) kept += length[row] as number
  queue.active -= count
  queue.finished += count
  state.active -= count
  state.finished.add(firstSeq, nowMs, kept, count)
  state.finishedBytes += kept
  state.totalCompleted += count
}

/**
 * How many jobs from `firstSeq` on, `max` at most, can be forgotten as a run: they have no flags. At least the first one's
 * page must be known.
 */
export function plainRunLength(page: JobPage, firstRow: number, max: number): number {
  const { flags, queue } = page
  const queueNo = queue[firstRow]
  let row = firstRow
  for (const end = firstRow + max; row < end; row++) {
    if (flags[row] !== 0 || queue[row] !== queueNo) break
  }
  return row - firstRow
}

/** Gives up the rows and payloads of a plain run; returns the bytes of their data. */
export function forgetRun(
  state: ShardState,
  page: JobPage,
  firstRow: number,
  count: number,
): number {
  const bytes = releaseRun(state.payloads, page, firstRow, count)
  state.jobs.removeRun(page, firstRow, count)
  return bytes
}

/** Neighbours mostly lie in one slab: each slab is told once. */
function releaseRun(
  payloads: PayloadStore,
  page: JobPage,
  firstRow: number,
  count: number,
): number {
  const { slab, length } = page
  let slabNo = slab[firstRow] as number
  let ofSlab = 0
  let total = 0
  for (let row = firstRow; row < firstRow + count; row++) {
    if (slab[row] !== slabNo) {
      payloads.release(slabNo, ofSlab)
      total += ofSlab
      ofSlab = 0
      slabNo = slab[row] as number
    }
    ofSlab += length[row] as number
  }
  payloads.release(slabNo, ofSlab)
  return total + ofSlab
}
