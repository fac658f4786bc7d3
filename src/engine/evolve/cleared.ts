// Record `cleared`: jobs of a queue are taken out, those that are in some states and in a stretch of sequences.

import type { Seq } from '../job-id.ts'
import { JobState, PAGE_ROWS, rowOf } from '../job-store.ts'
import type { ShardState } from '../shard-state.ts'
import { evolveRemoved, type RemovedAs } from './job-changed.ts'

/** Of a set of states. `none` has no bit. */
export function stateBit(state: JobState): number {
  return state === JobState.none ? 0 : 1 << state
}

export function clearedAs(state: JobState): RemovedAs {
  return state === JobState.failed ? 'failed' : 'cancelled'
}

export function evolveCleared(
  state: ShardState,
  queueNo: number,
  states: number,
  from: Seq,
  to: Seq,
): void {
  for (let seq = from; seq < to; ) {
    const page = state.jobs.pageOf(seq)
    const pageEnd = Math.min(to, seq - rowOf(seq) + PAGE_ROWS)
    if (page === undefined) {
      seq = pageEnd
      continue
    }
    // With its last job a page is given up; its rows are empty then, and nobody has it before this is over.
    for (; seq < pageEnd; seq++) {
      const own = page.state[rowOf(seq)] as JobState
      if ((states & stateBit(own)) === 0 || page.queue[rowOf(seq)] !== queueNo) continue
      evolveRemoved(state, seq, clearedAs(own))
    }
  }
}
