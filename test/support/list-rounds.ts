// LISTJOBS without a cluster: the shards are dealt to several workers, and each round asks them all.

import { JobList } from '../../src/engine/list/job-list.ts'
import { type JobQuery, queryOf, queryText } from '../../src/engine/list/job-query.ts'
import { type ListBounds, listJobs } from '../../src/engine/list/list-jobs.ts'
import { writePlace } from '../../src/engine/list/list-place.ts'
import type { Reply } from '../../src/engine/ports.ts'
import type { Shard } from '../../src/engine/shard.ts'
import { wireCodec } from '../../src/transports/wire/codec.ts'

const ROUNDS_MAX = 100_000

export interface Rounds {
  readonly workers: number
  readonly bounds?: ListBounds
  /** Until the list is full, unless told otherwise. */
  readonly max?: number
}

export function listInRounds(
  shards: readonly Shard[],
  query: JobQuery,
  { workers, bounds, max = ROUNDS_MAX }: Rounds,
): { list: JobList; rounds: number } {
  const list = new JobList(query)
  let rounds = 0
  for (; !list.isFull && rounds < max; rounds++) {
    const shares = Array.from({ length: workers }, (_, worker) => {
      const states = shards.filter(({ id }) => id % workers === worker).map(({ state }) => state)
      const { part, body } = listJobs(
        states,
        queryOf(queryText(list.query)),
        wireCodec.listed,
        bounds,
      )
      return { part: JSON.parse(JSON.stringify(part)) as typeof part, body: Buffer.from(body) }
    })
    list.take(shares)
  }
  if (rounds === ROUNDS_MAX) throw new Error('a list that does not end')
  return { list, rounds }
}

export function answerList(shards: readonly Shard[], query: JobQuery, reply: Reply): void {
  const { list } = listInRounds(shards, query, { workers: 3 })
  reply.jobs(list.bodies, list.place === null ? null : writePlace(list.place))
}
