// Records of jobs that are not running: removed, evicted, promoted, parents done, retried from the DLQ; and progress.

import type { JobId, Seq } from '../job-id.ts'
import { JobLog } from '../job-log.ts'
import {
  type JobPage,
  JobState,
  keptBytes,
  openProgress,
  PAGE_ROWS,
  RowFlag,
  rowOf,
} from '../job-store.ts'
import type { ShardState } from '../shard-state.ts'
import { forgetRun, plainRunLength } from './plain-run.ts'
import { enqueue } from './pushed.ts'
import { freeKey, leaveActive, resetRun, unpark } from './run-ended.ts'

/** How a job that leaves the shard for good ended; `failed` = purged from the DLQ. */
export type RemovedAs = 'cancelled' | 'expired' | 'failed'

/** Record `removed`: cancelled, expired, or purged from the DLQ. Its outcome stays known. */
export function evolveRemoved(state: ShardState, seq: Seq, outcome: RemovedAs): void {
  const page = state.jobs.get(seq)
  const row = rowOf(seq)
  const queue = state.queueOf(page.queue[row] as number)
  switch (page.state[row]) {
    case JobState.waiting:
      queue.ready.gone()
      state.waiting--
      break
    case JobState.delayed:
      queue.delayed--
      state.delayed--
      state.due.noteStale()
      break
    case JobState.active:
      leaveActive(state, page, seq)
      break
    case JobState.parked:
      unpark(state, seq, queue)
      break
    case JobState.failed:
      queue.dead.delete(seq)
      state.dead--
      break
  }
  if (page.options !== null && (page.options.ttl[row] as number) > 0) state.due.noteStale()
  freeKey(state, page, seq, queue)
  forget(state, page, seq)
  state.outcomes.set(seq, outcome)
}

/** Record `evicted`: the `count` jobs that finished first are no longer readable. */
export function evolveEvicted(state: ShardState, count: number): void {
  const { finished } = state
  for (let left = count; left > 0; ) {
    const seq = finished.oldestSeq()
    const page = state.jobs.get(seq)
    const row = rowOf(seq)
    const queue = state.queueOf(page.queue[row] as number)
    const max = Math.min(left, finished.oldestRun(), PAGE_ROWS - row)
    const plain = plainRunLength(page, row, max)
    finished.dropOfOldestRun(Math.max(1, plain))
    if (plain > 0) {
      state.finishedBytes -= forgetRun(state, page, row, plain)
    } else {
      state.finishedBytes -= keptBytes(state.jobs, page, row)
      forget(state, page, seq)
    }
    queue.finished -= Math.max(1, plain)
    left -= Math.max(1, plain)
  }
}

/** Record `promoted`: a delayed job is due. */
export function evolvePromoted(state: ShardState, seq: Seq): void {
  const page = state.jobs.get(seq)
  const row = rowOf(seq)
  const queue = state.queueOf(page.queue[row] as number)
  queue.delayed--
  state.delayed--
  page.state[row] = JobState.waiting
  queue.ready.add(seq, page.priority[row] as number, page.runAt[row] as number)
  state.waiting++
}

/** Record `promotedNow`: a delayed job is to run now, and its place in line is that of a job due now. */
export function evolvePromotedNow(state: ShardState, seq: Seq, nowMs: number): void {
  state.jobs.get(seq).runAt[rowOf(seq)] = nowMs
  state.due.noteStale()
  evolvePromoted(state, seq)
}

/** Record `parentDone`: one parent of a parked job has completed; with the last one the job is free. */
export function evolveParentDone(state: ShardState, seq: Seq, parent: JobId, nowMs: number): void {
  const page = state.jobs.get(seq)
  const rare = state.jobs.openRare(page, seq)
  rare.openParents?.delete(parent)
  if (rare.openParents !== null && rare.openParents.size > 0) return
  rare.openParents = null
  unpark(state, seq, state.queueOf(page.queue[rowOf(seq)] as number))
  enqueue(state, page, seq, nowMs)
}

/** Record `childAdded`: `child` is to be told when this shard's job `seq` ends. */
export function evolveChildAdded(state: ShardState, seq: Seq, child: JobId): void {
  const children = state.childrenOf.get(seq)
  if (children === undefined) state.childrenOf.set(seq, new Set([child]))
  else children.add(child)
}

/** Record `childrenTold`. */
export function evolveChildrenTold(state: ShardState, seq: Seq): void {
  state.childrenOf.delete(seq)
}

/**
 * Record `dlqRetried`: a dead-lettered job starts anew, its runs and its ttl forgotten. If it is there for
 * its parents, it is parked until those not known to be completed have been asked again.
 */
export function evolveDlqRetried(state: ShardState, seq: Seq, nowMs: number): void {
  const page = state.jobs.get(seq)
  const row = rowOf(seq)
  const queue = state.queueOf(page.queue[row] as number)
  queue.dead.delete(seq)
  state.dead--
  page.attempts[row] = 0
  page.runAt[row] = nowMs
  if (page.token !== null) page.token[row] = 0
  resetRun(page, row)
  if (page.options !== null) page.options.ttl[row] = 0
  const rare = state.jobs.rareOf(page, seq)
  if (rare !== undefined) {
    rare.message = null
    rare.error = null
    state.jobs.weigh(rare)
    if (rare.openParents !== null) {
      page.state[row] = JobState.parked
      queue.parked++
      state.parked++
      state.parkedSeqs.add(seq)
      return
    }
  }
  enqueue(state, page, seq, nowMs)
}

/** Record `progressed`. */
export function evolveProgressed(
  state: ShardState,
  seq: Seq,
  progress: number,
  message: string | null,
): void {
  const page = state.jobs.get(seq)
  openProgress(page)[rowOf(seq)] = progress
  if (message !== null || state.jobs.rareOf(page, seq) !== undefined) {
    const rare = state.jobs.openRare(page, seq)
    rare.message = message
    state.jobs.weigh(rare)
  }
}

/** Record `logged`. */
export function evolveLogged(state: ShardState, seq: Seq, nowMs: number, line: string): void {
  const rare = state.jobs.openRare(state.jobs.get(seq), seq)
  rare.logs ??= new JobLog()
  rare.logs.add(nowMs, line)
  state.jobs.weigh(rare)
}

/** Gives up the row and its payloads. */
function forget(state: ShardState, page: JobPage, seq: Seq): void {
  const row = rowOf(seq)
  state.payloads.release(page.slab[row] as number, page.length[row] as number)
  if (((page.flags[row] as number) & RowFlag.result) !== 0 && page.results !== null) {
    state.payloads.release(page.results.slab[row] as number, page.results.length[row] as number)
  }
  state.jobs.remove(page, seq)
}
