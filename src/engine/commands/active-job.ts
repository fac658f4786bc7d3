// The active job that a consumer speaks of, or why it may not.

import { type JobId, seqOfId } from '../job-id.ts'
import { type JobPage, JobState, rowOf } from '../job-store.ts'
import { type Refusal, refusals } from '../refusal.ts'
import type { ShardContext } from '../shard-context.ts'

/** `token` NaN: none was given, the id is enough. `absent`: the refusal when the job is not active. */
export function findActive(
  ctx: ShardContext,
  id: JobId,
  token: number,
  absent: (id: JobId) => Refusal = refusals.jobNotFound,
): JobPage | Refusal {
  const seq = seqOfId(id)
  const page = ctx.state.jobs.find(seq)
  const row = rowOf(seq)
  const given = !Number.isNaN(token)
  if (page === undefined || page.state[row] !== JobState.active) {
    return given && ctx.state.wasIssued(seq) ? refusals.staleToken(id) : absent(id)
  }
  if (given && page.token?.[row] !== token) return refusals.staleToken(id)
  return page
}
