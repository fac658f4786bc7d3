// One worker's part of LISTJOBS: the jobs of its shards that are asked for, the newest first, as far as it gets.
//
//   walks, one per shard ──▶ whichever is at the newest job: a match is listed, anything else is looked at
//
// 1. What one call does is bounded (`listLooksMax`, `listBytesMax`), whatever the shards hold. It says how far it got:
//    no job that it has not looked at comes before `end`.
// 2. While jobs are to be skipped, only their keys are listed: another worker's may come first.
// 3. A part that is full looks on for the next match, within the same bounds: so `end` is null when there is none, and
//    whether an answer has a cursor does not depend on what other jobs happen to lie in the same shards.

import { ByteWriter } from '../byte-writer.ts'
import { type JobId, jobIdOf, type Seq, type ShardId } from '../job-id.ts'
import { limits } from '../limits.ts'
import type { JobSource } from '../ports.ts'
import type { ShardState } from '../shard-state.ts'
import type { JobQuery } from './job-query.ts'
import { ShardWalk } from './shard-walk.ts'

/** What a job is sorted by: the newest first, of several the one with the highest id. */
export type JobKey = readonly [createdAtMs: number, id: JobId]

/** The part of a list that one worker has. */
export interface ListPart {
  /** Of the jobs that it lists, in order. */
  readonly keys: readonly JobKey[]
  /** Bytes of each one in the body; none while jobs are skipped. */
  readonly sizes: readonly number[]
  /** Where a walk behind all of these goes on, by shard. */
  readonly below: readonly (readonly [ShardId, Seq])[]
  /** It has not looked at this job and those behind it; null: it is through. */
  readonly end: JobKey | null
}

/** Keys that a part has at most while jobs are skipped. */
const SKIPPED_MAX = 5000
const MATCH_COST = 20

/** What one call may do. */
export interface ListBounds {
  readonly looks: number
  readonly bytes: number
}

const usualBounds: ListBounds = { looks: limits.listLooksMax, bytes: limits.listBytesMax }

export type WriteJob = (out: ByteWriter, source: JobSource, seq: Seq) => void

export function listJobs(
  states: readonly ShardState[],
  query: JobQuery,
  write: WriteJob,
  bounds = usualBounds,
): { part: ListPart; body: Buffer } {
  const { skip, below } = query.place
  const walks = states.map((state) => new ShardWalk(state, query, below[state.shard] as Seq))
  const keys: JobKey[] = []
  const sizes: number[] = []
  const out = new ByteWriter()
  const countMax = skip > 0 ? Math.min(skip, SKIPPED_MAX) : query.limit
  // To begin a walk is bounded by itself, and not counted: otherwise a round might do nothing else.
  let spent = 0
  while (spent < bounds.looks) {
    const walk = newest(walks)
    if (walk === null) break
    const before = walk.spent
    if (walk.isMatch) {
      if (keys.length >= countMax || out.length >= bounds.bytes) break
      keys.push(keyOf(walk))
      if (skip === 0) sizes.push(add(out, walk, write))
      walk.next()
      spent += MATCH_COST
    } else {
      walk.look(bounds.looks - spent)
    }
    spent += walk.spent - before
  }
  const last = newest(walks)
  const part = {
    keys,
    sizes,
    below: walks.map((walk) => [walk.source.shard, walk.below] as const),
    end: last === null ? null : keyOf(last),
  }
  return { part, body: out.bytes.subarray(0, out.length) }
}

/** Above 0 when `a` comes before `b`. */
export function compareKeys(a: JobKey, b: JobKey): number {
  return a[0] - b[0] || a[1] - b[1]
}

function add(out: ByteWriter, { source, seq }: ShardWalk, write: WriteJob): number {
  const from = out.length
  write(out, source, seq)
  return out.length - from
}

function keyOf(walk: ShardWalk): JobKey {
  return [walk.createdAtMs, jobIdOf(walk.seq, walk.source.shard)]
}

/** The walk that is at the newest job; null when all are through. */
function newest(walks: readonly ShardWalk[]): ShardWalk | null {
  let best: ShardWalk | null = null
  for (const walk of walks) {
    if (walk.seq >= 0 && (best === null || isBefore(walk, best))) best = walk
  }
  return best
}

function isBefore(a: ShardWalk, b: ShardWalk): boolean {
  if (a.createdAtMs !== b.createdAtMs) return a.createdAtMs > b.createdAtMs
  return jobIdOf(a.seq, a.source.shard) > jobIdOf(b.seq, b.source.shard)
}
