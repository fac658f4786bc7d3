// Records of an active job's run coming to an end: completed, retried, dead-lettered, released.

import type { Seq } from '../job-id.ts'
import { type JobPage, JobState, openResults, openTokens, RowFlag, rowOf } from '../job-store.ts'
import { limits } from '../limits.ts'
import type { Queue } from '../queue.ts'
import type { ShardState } from '../shard-state.ts'
import { enqueue } from './pushed.ts'

/** Record `completed`; the result is `bytes[from..to)`, none when from < 0. */
export function evolveCompleted(
  state: ShardState,
  seq: Seq,
  nowMs: number,
  bytes: Buffer,
  from: number,
  to: number,
): void {
  const page = state.jobs.get(seq)
  const row = rowOf(seq)
  const queue = leaveActive(state, page, seq)
  page.state[row] = JobState.completed
  openTokens(page)[row] = nowMs
  // What `keptBytes` says of it from now on.
  let kept = page.length[row] as number
  if (page.options !== null && (page.options.ttl[row] as number) > 0) state.due.noteStale()
  if (from >= 0) {
    state.payloads.put(bytes, from, to, seq, 1)
    state.payloads.addLive(state.payloads.slabNo, to - from)
    const results = openResults(page)
    results.slab[row] = state.payloads.slabNo
    results.from[row] = state.payloads.offset
    results.length[row] = to - from
    page.flags[row] = (page.flags[row] as number) | RowFlag.result
    kept += to - from
  }
  if (((page.flags[row] as number) & RowFlag.rare) !== 0) {
    freeKey(state, page, seq, queue)
    kept += state.jobs.rareOf(page, seq)?.logs?.bytes ?? 0
  }
  state.finished.add(seq, nowMs, kept)
  queue.finished++
  state.finishedBytes += kept
  state.totalCompleted++
}

/** Record `retried`: the run failed and the job waits until `runAtMs` for its next one. */
export function evolveRetried(
  state: ShardState,
  seq: Seq,
  nowMs: number,
  runAtMs: number,
  error: string | null,
): void {
  const page = state.jobs.get(seq)
  const row = rowOf(seq)
  leaveActive(state, page, seq)
  countRun(page, row)
  page.runAt[row] = runAtMs
  resetRun(page, row)
  if (error !== null) {
    const rare = state.jobs.openRare(page, seq)
    rare.message = error
    rare.error = error
    state.jobs.weigh(rare)
  }
  enqueue(state, page, seq, nowMs)
}

/**
 * Record `deadLetteredAt`: the last run failed, or a parent did (then the job was parked and no run is counted).
 * `nowMs` 0: nobody knows when, as in the record `deadLettered` of before.
 */
export function evolveDeadLettered(
  state: ShardState,
  seq: Seq,
  nowMs: number,
  error: string | null,
): void {
  const page = state.jobs.get(seq)
  const row = rowOf(seq)
  const queue = state.queueOf(page.queue[row] as number)
  if (page.state[row] === JobState.active) {
    leaveActive(state, page, seq)
    countRun(page, row)
  } else {
    unpark(state, seq, queue)
  }
  page.state[row] = JobState.failed
  openTokens(page)[row] = nowMs
  if (error !== null) {
    const rare = state.jobs.openRare(page, seq)
    rare.message = error
    rare.error = error
    state.jobs.weigh(rare)
  }
  queue.dead.add(seq)
  state.dead++
  state.totalFailed++
}

/** Record `released`: given back by its consumer, no run counted; it keeps its place in line. */
export function evolveReleased(state: ShardState, seq: Seq): void {
  const page = state.jobs.get(seq)
  const row = rowOf(seq)
  const queue = leaveActive(state, page, seq)
  if (page.startedAt !== null) page.startedAt[row] = 0
  page.state[row] = JobState.waiting
  queue.ready.add(seq, page.priority[row] as number, page.runAt[row] as number)
  state.waiting++
}

/** Takes a job out of `active`; the caller gives it its next state. */
export function leaveActive(state: ShardState, page: JobPage, seq: Seq): Queue {
  const row = rowOf(seq)
  const queue = state.queueOf(page.queue[row] as number)
  queue.active--
  state.active--
  const flags = page.flags[row] as number
  if ((flags & RowFlag.leased) !== 0) state.due.noteStale()
  if (page.options !== null && (page.options.timeout[row] as number) > 0) state.due.noteStale()
  page.flags[row] = flags & ~(RowFlag.held | RowFlag.leased)
  if (page.token !== null) page.token[row] = 0
  return queue
}

export function unpark(state: ShardState, seq: Seq, queue: Queue): void {
  queue.parked--
  state.parked--
  state.parkedSeqs.delete(seq)
}

export function freeKey(state: ShardState, page: JobPage, seq: Seq, queue: Queue): void {
  const rare = state.jobs.rareOf(page, seq)
  if (rare === undefined || rare.uniqueKey === null) return
  if (queue.keys.get(rare.uniqueKey) === seq) queue.keys.delete(rare.uniqueKey)
}

function countRun(page: JobPage, row: number): void {
  const attempts = page.attempts[row] as number
  if (attempts < limits.attemptsMax) page.attempts[row] = attempts + 1
}

export function resetRun(page: JobPage, row: number): void {
  if (page.startedAt !== null) page.startedAt[row] = 0
  if (page.progress !== null) page.progress[row] = 0
}
