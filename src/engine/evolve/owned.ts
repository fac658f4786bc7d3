// Record `owned`: a new owner of the shard begins.

import type { Seq } from '../job-id.ts'
import type { ShardState } from '../shard-state.ts'

/** What an earlier owner may have given out in its last turns, and nobody knows of, is not given out again. */
export function evolveOwned(state: ShardState, nextSeq: Seq, nextToken: number): void {
  const forgotten = state.gaps.add(state.nextSeq, nextSeq)
  if (forgotten > 0) state.outcomes.forgetBefore(forgotten)
  state.nextSeq = Math.max(state.nextSeq, nextSeq)
  state.nextToken = Math.max(state.nextToken, nextToken)
}
