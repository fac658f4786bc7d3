// Record `pulled`: the best ready jobs of a queue go to a consumer. Which ones follows from the state, so the record
// only says how many.

import { TimerKind, timerKey } from '../due-heap.ts'
import {
  type JobPage,
  JobState,
  openLeases,
  openStartedAt,
  openTokens,
  PAGE_ROWS,
  RowFlag,
  rowOf,
} from '../job-store.ts'
import { limits } from '../limits.ts'
import type { SeqList } from '../ports.ts'
import type { Queue } from '../queue.ts'
import type { ShardState } from '../shard-state.ts'

export interface Pulled {
  readonly queue: Queue
  /** At most; fewer when their data would exceed `pullBytesMax`. */
  readonly count: number
  readonly nowMs: number
  readonly firstToken: number
  /** 0 = no lease. */
  readonly leaseMs: number
  /** The session that gives the jobs back when it closes; 0 = none. */
  readonly holder: number
}

/** Fills `taken` with the jobs, in order. */
export function evolvePulled(state: ShardState, pulled: Pulled, taken: SeqList): void {
  const { queue, nowMs, leaseMs, holder } = pulled
  const { seqs } = taken
  const count = queue.ready.takeInto(seqs, pulled.count, limits.pullBytesMax)
  taken.count = count
  queue.rate?.take(count, nowMs)
  const firstToken = pulled.firstToken
  for (let i = 0; i < count; ) {
    const seq = seqs[i] as number
    const page = state.jobs.get(seq)
    const length = runInPage(seqs, i, count)
    startRun(page, rowOf(seq), length, nowMs, firstToken + i)
    if (page.options !== null || leaseMs > 0 || holder > 0) {
      for (let j = 0; j < length; j++) watch(state, page, seq + j, pulled)
    }
    i += length
  }
  state.nextToken = firstToken + count
  state.waiting -= count
  state.active += count
  queue.active += count
}

/** How many of `seqs` from `i` on are consecutive and in one page. */
function runInPage(seqs: Float64Array, i: number, count: number): number {
  const first = seqs[i] as number
  const max = Math.min(count - i, PAGE_ROWS - rowOf(first))
  let length = 1
  while (length < max && seqs[i + length] === first + length) length++
  return length
}

function startRun(
  page: JobPage,
  firstRow: number,
  count: number,
  nowMs: number,
  firstToken: number,
): void {
  const { state } = page
  const startedAt = openStartedAt(page)
  const tokens = openTokens(page)
  for (let row = firstRow; row < firstRow + count; row++) {
    state[row] = JobState.active
    startedAt[row] = nowMs
    tokens[row] = firstToken + row - firstRow
  }
}

/** The timers and holders of a job that has just started. */
function watch(state: ShardState, page: JobPage, seq: number, pulled: Pulled): void {
  const timeout = page.options === null ? 0 : (page.options.timeout[rowOf(seq)] as number)
  if (timeout > 0) state.due.add(pulled.nowMs + timeout + 1, timerKey(TimerKind.timeout, seq))
  if (pulled.leaseMs > 0 || pulled.holder > 0) hold(state, page, seq, pulled)
}

function hold(state: ShardState, page: JobPage, seq: number, pulled: Pulled): void {
  const row = rowOf(seq)
  const leases = openLeases(page)
  let flags = page.flags[row] as number
  if (pulled.leaseMs > 0) {
    flags |= RowFlag.leased
    leases.lengthMs[row] = pulled.leaseMs
    const until = pulled.nowMs + pulled.leaseMs
    leases.untilMs[row] = until
    leases.timerMs[row] = until + 1
    state.due.add(until + 1, timerKey(TimerKind.lease, seq))
  }
  if (pulled.holder > 0) {
    flags |= RowFlag.held
    leases.holder[row] = pulled.holder
    state.holders.add(pulled.holder, seq)
  }
  page.flags[row] = flags
}

/** Record `leaseExtended`. */
export function evolveLeaseExtended(
  state: ShardState,
  seq: number,
  lengthMs: number,
  untilMs: number,
): void {
  const page = state.jobs.get(seq)
  const row = rowOf(seq)
  const leases = openLeases(page)
  const leased = ((page.flags[row] as number) & RowFlag.leased) !== 0
  leases.lengthMs[row] = lengthMs
  leases.untilMs[row] = untilMs
  // The timer that is set moves itself when it fires early; only a sooner deadline needs a new one.
  if (!leased || untilMs + 1 < (leases.timerMs[row] as number)) {
    leases.timerMs[row] = untilMs + 1
    state.due.add(untilMs + 1, timerKey(TimerKind.lease, seq))
  }
  page.flags[row] = (page.flags[row] as number) | RowFlag.leased
}

/** Record `holderRenamed`: a session goes on under another number, with the jobs that it holds. */
export function evolveHolderRenamed(state: ShardState, from: number, to: number): void {
  for (const seq of state.holders.take(from)) {
    openLeases(state.jobs.get(seq)).holder[rowOf(seq)] = to
    state.holders.add(to, seq)
  }
}
