// What follows from all rows of a checkpoint together: counters, what is ready, keys, parked jobs, holders.
//
// One walk over the pages, in order of the ids: `restore.ts` says why. The lists of the meta (dead letters, finished jobs)
// must name exactly the jobs that are there.

import { corrupt } from './corrupt.ts'
import type { Seq } from './job-id.ts'
import { type JobPage, JobState, keptBytes, PAGE_ROWS, RowFlag, rowOf } from './job-store.ts'
import type { ShardState } from './shard-state.ts'

export function deriveFromRows(state: ShardState): void {
  const ready = new ReadyRuns(state)
  const held: [token: number, holder: number, seq: Seq][] = []
  let completed = 0
  let dead = 0
  for (const page of state.jobs.pagesInOrder()) {
    for (let at = 0; at < PAGE_ROWS; at++) {
      const rowState = page.state[at] as JobState
      if (rowState === JobState.none) continue
      const queue = state.queueOf(page.queue[at] as number)
      switch (rowState) {
        case JobState.waiting:
          ready.add(page, at)
          continue
        case JobState.delayed:
          queue.delayed++
          state.delayed++
          break
        case JobState.active:
          queue.active++
          state.active++
          if (((page.flags[at] as number) & RowFlag.held) !== 0) held.push(heldBy(page, at))
          break
        case JobState.parked:
          queue.parked++
          state.parked++
          state.parkedSeqs.add(page.firstSeq + at)
          break
        case JobState.completed:
          queue.finished++
          state.finishedBytes += keptBytes(state.jobs, page, at)
          completed++
          continue
        case JobState.failed:
          dead++
          if (!queue.dead.has(page.firstSeq + at))
            throw corrupt(state, 'a dead letter is in no list')
          break
      }
    }
  }
  ready.end()
  state.dead = dead
  // In the order of their delivery, which is the order in which they are given back.
  held.sort((a, b) => a[0] - b[0])
  for (const [, holder, seq] of held) state.holders.add(holder, seq)
  deriveKeys(state)
  checkLists(state, completed)
}

/** Jobs that are ready, gathered to runs of the same queue, priority and time. */
class ReadyRuns {
  private readonly state: ShardState
  private first: Seq = -1
  private count = 0
  private queueNo = 0
  private priority = 0
  private runAt = 0

  constructor(state: ShardState) {
    this.state = state
  }

  add(page: JobPage, at: number): void {
    const seq = page.firstSeq + at
    const queueNo = page.queue[at] as number
    const priority = page.priority[at] as number
    const runAt = page.runAt[at] as number
    if (
      seq === this.first + this.count &&
      queueNo === this.queueNo &&
      priority === this.priority &&
      runAt === this.runAt
    ) {
      this.count++
      return
    }
    this.end()
    this.first = seq
    this.count = 1
    this.queueNo = queueNo
    this.priority = priority
    this.runAt = runAt
  }

  end(): void {
    const { state, first, count, priority, runAt } = this
    if (count === 0) return
    state.queueOf(this.queueNo).ready.addRun(first, count, priority, runAt)
    state.waiting += count
    this.count = 0
  }
}

/** A key is held until its job is finished; a dead letter holds its own. */
function deriveKeys(state: ShardState): void {
  for (const [seq, { uniqueKey }] of state.jobs.rare) {
    if (uniqueKey === null) continue
    const page = state.jobs.get(seq)
    const at = rowOf(seq)
    if (page.state[at] === JobState.completed) continue
    state.queueOf(page.queue[at] as number).keys.set(uniqueKey, seq)
  }
}

/** The meta's lists name these very jobs. */
function checkLists(state: ShardState, completed: number): void {
  let listed = 0
  for (const queue of state.queuesByName.values()) listed += queue.dead.size
  if (listed !== state.dead) throw corrupt(state, 'dead letters are missing')
  if (completed !== state.finished.count) throw corrupt(state, 'finished jobs are missing')
  state.finished.eachRun((first, count) => {
    for (let seq = first; seq < first + count; seq++) {
      if (state.jobs.stateOf(seq) !== JobState.completed) {
        throw corrupt(state, 'a finished job is missing')
      }
    }
  })
}

function heldBy(page: JobPage, at: number): [token: number, holder: number, seq: Seq] {
  return [page.token?.[at] as number, page.leases?.holder[at] as number, page.firstSeq + at]
}
