// The jobs of one PUSH or PUSHB as the scanner saw them: numbers and extents, no object per job.
//
//   ints   [ dataFrom dataTo flags priority ]                        per job: all that most jobs have
//   texts  [ keyFrom keyTo dependsFrom dependsTo tagsFrom tagsTo ]   per job
//   nums   [ delay ttl timeout maxAttempts backoff ]                 per job
//
// Extents are byte offsets into the frame, end exclusive. A column is valid only when its bit in
// `flags` is set (dataFrom, dataTo and flags always are), so a row is never cleared. Extents of
// a key exclude its quotes; those of lists include their brackets.

import { limits } from './limits.ts'

export const JobFlag = {
  priority: 1,
  delay: 2,
  ttl: 4,
  timeout: 8,
  maxAttempts: 16,
  backoff: 32,
  uniqueKey: 64,
  dependsOn: 128,
  tags: 256,
  /** The unique key holds an escape, so it must be decoded as a JSON string. */
  keyEscaped: 512,
} as const

export const IntColumn = {
  dataFrom: 0,
  dataTo: 1,
  flags: 2,
  priority: 3,
} as const

export const TextColumn = {
  keyFrom: 0,
  keyTo: 1,
  dependsFrom: 2,
  dependsTo: 3,
  tagsFrom: 4,
  tagsTo: 5,
} as const

export const NumColumn = { delay: 0, ttl: 1, timeout: 2, maxAttempts: 3, backoff: 4 } as const

export const INT_STRIDE = 4
export const TEXT_STRIDE = 6
export const NUM_STRIDE = 5
/** In a record, the ints of a job and then its texts. */
export const RECORDED_INTS = INT_STRIDE + TEXT_STRIDE

/** One row more than a legal batch, so that a scanner can see that there are too many. */
export class JobTable {
  readonly ints = new Int32Array(INT_STRIDE * (limits.batchMax + 1))
  readonly texts = new Int32Array(TEXT_STRIDE * (limits.batchMax + 1))
  readonly nums = new Float64Array(NUM_STRIDE * (limits.batchMax + 1))
  count = 0
  /** The OR of all rows' flags: 0 means that every job is plain data. */
  flagsSeen = 0
}
