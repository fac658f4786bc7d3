// The answer to one LISTJOBS, put together from the parts of all workers, in as many rounds as it takes.
//
//   worker 0   9 7 6 4 │ end 3            the newest of the heads is taken, until one of them is an `end`:
//   worker 1   8 5     │ end 5            9 8 7 6 5, and the next round goes on behind these
//
// 1. Each round takes something, or moves the worker on whose `end` came first. So it ends, whatever clocks say.
// 2. After the rounds it may have fewer jobs than were asked for, and a place to go on from (`place`).

import { type Seq, seqOfId, shardOfId } from '../job-id.ts'
import { limits } from '../limits.ts'
import type { JobQuery } from './job-query.ts'
import { compareKeys, type JobKey, type ListPart } from './list-jobs.ts'
import type { ListPlace } from './list-place.ts'

export interface ListShare {
  readonly part: ListPart
  /** The JSON of the part's jobs, one behind the other. */
  readonly body: Buffer
}

interface Head {
  readonly share: ListShare
  taken: number
  bodyAt: number
}

export class JobList {
  readonly bodies: Buffer[] = []
  /** No more can be taken, or nothing is left. */
  isFull: boolean
  private readonly asked: JobQuery
  private skip: number
  private readonly below: Seq[]
  private bytes = 0
  private isThrough = false

  constructor(query: JobQuery) {
    this.asked = query
    this.skip = query.place.skip
    this.below = [...query.place.below]
    this.isFull = query.limit === 0
  }

  /** What the next round asks for. */
  get query(): JobQuery {
    const limit = this.asked.limit - this.bodies.length
    return { ...this.asked, limit, place: { skip: this.skip, below: [...this.below] } }
  }

  /** Where the list goes on; null at its end. */
  get place(): ListPlace | null {
    return this.isThrough ? null : this.query.place
  }

  /** The shares of one round. */
  take(shares: readonly ListShare[]): void {
    const skips = this.skip > 0
    const heads = shares.map((share): Head => ({ share, taken: 0, bodyAt: 0 }))
    for (let head = firstOf(heads); head !== null; head = firstOf(heads)) {
      if (isAtEnd(head)) break
      if (skips ? this.skip === 0 : !this.takeJob(head)) break
      if (skips) this.skip--
      head.taken++
    }
    for (const head of heads) this.noteHowFar(head)
    this.isThrough = heads.every((head) => isAtEnd(head) && head.share.part.end === null)
    if (this.isThrough || this.bodies.length === this.asked.limit) this.isFull = true
  }

  /** False: there is no room for it. */
  private takeJob(head: Head): boolean {
    const { part, body } = head.share
    const size = part.sizes[head.taken] as number
    if (this.bodies.length === this.asked.limit) return false
    if (this.bytes + size > limits.listBytesMax && this.bodies.length > 0) {
      this.isFull = true
      return false
    }
    this.bodies.push(body.subarray(head.bodyAt, head.bodyAt + size))
    head.bodyAt += size
    this.bytes += size
    return true
  }

  /** Behind all that its worker has looked at, but not behind what was not taken. */
  private noteHowFar({ share: { part }, taken }: Head): void {
    for (const [shard, below] of part.below) this.below[shard] = below
    for (let i = part.keys.length - 1; i >= taken; i--) {
      const [, id] = part.keys[i] as JobKey
      this.below[shardOfId(id)] = seqOfId(id) + 1
    }
  }
}

function isAtEnd({ share, taken }: Head): boolean {
  return taken === share.part.keys.length
}

function keyOf({ share: { part }, taken }: Head): JobKey | null {
  return part.keys[taken] ?? part.end
}

/** The one whose next job, or end, comes first; null when nobody has any. */
function firstOf(heads: readonly Head[]): Head | null {
  let first: Head | null = null
  let firstKey: JobKey | null = null
  for (const head of heads) {
    const key = keyOf(head)
    if (key === null || (firstKey !== null && compareKeys(key, firstKey) < 0)) continue
    first = head
    firstKey = key
  }
  return first
}
