// Where a list of jobs goes on: a position in each shard, and how many jobs are left to be skipped.
//
//   cursor   base64url of: version | jobs to skip uint | per shard: 0 from its newest job, else position + 1 uint
//
// A position is the sequence that every job still to be listed is below; 0 when the shard is through. Jobs that are pushed
// after a shard's first page have higher ones, and so are in no later page.

import type { Seq } from '../job-id.ts'
import { limits } from '../limits.ts'
import { RecordReader, RecordWriter } from '../record-bytes.ts'

export interface ListPlace {
  /** Jobs that are asked for, but left out: what is left of `offset`. */
  readonly skip: number
  /** By shard; Infinity where nobody has looked yet. */
  readonly below: readonly Seq[]
}

const VERSION = 1
/** More than any place takes. */
const CURSOR_LENGTH_MAX = 512

export function startOfList(skip: number): ListPlace {
  return { skip, below: new Array<Seq>(limits.shards).fill(Number.POSITIVE_INFINITY) }
}

export function writePlace({ skip, below }: ListPlace): string {
  const w = new RecordWriter().begin(VERSION).uint(skip)
  for (const seq of below) w.uint(Number.isFinite(seq) ? seq + 1 : 0)
  return w.end().toString('base64url')
}

/** Null when no `writePlace` can have written it. */
export function readPlace(cursor: string): ListPlace | null {
  if (cursor.length > CURSOR_LENGTH_MAX) return null
  const place = decode(new RecordReader(Buffer.from(cursor, 'base64url')))
  return place !== null && writePlace(place) === cursor ? place : null
}

function decode(r: RecordReader): ListPlace | null {
  try {
    if (r.u8() !== VERSION) return null
    const skip = r.uint()
    const below: Seq[] = []
    for (let shard = 0; shard < limits.shards; shard++) {
      const cell = r.uint()
      below.push(cell === 0 ? Number.POSITIVE_INFINITY : cell - 1)
    }
    const isSafe = Math.max(...below.filter(Number.isFinite), skip) < Number.MAX_SAFE_INTEGER
    return isSafe && skip <= limits.listOffsetMax ? place(skip, below) : null
  } catch {
    // Cut short.
    return null
  }
}

function place(skip: number, below: Seq[]): ListPlace {
  return { skip, below }
}
