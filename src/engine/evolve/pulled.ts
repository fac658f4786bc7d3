// Record `pulled`: the best ready jobs of a queue go to a consumer. Which ones follows from the state, so the record
// only says how many.

import { TimerKind, timerKey } from '../due-heap.ts'
import {
  type JobPage,
  JobState,
  openLeases,
  openStartedAt,
  openTokens,
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
  let token = pulled.firstToken
  for (let i = 0; i < count; i++) {
    const seq = seqs[i] as number
    const page = state.jobs.get(seq)
    const row = rowOf(seq)
    page.state[row] = JobState.active
    openStartedAt(page)[row] = nowMs
    openTokens(page)[row] = token++
    if (page.options !== null) {
      const timeout = page.options.timeout[row] as number
      if (timeout > 0) state.due.add(nowMs + timeout + 1, timerKey(TimerKind.timeout, seq))
    }
    if (leaseMs > 0 || holder > 0) hold(state, page, seq, pulled)
  }
  state.nextToken = token
  state.waiting -= count
  state.active += count
  queue.active += count
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
