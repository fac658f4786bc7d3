// Whether jobs that were handed out have reached anybody, as far as an owner that died can tell.
//
//   pulled ──batch k──▶ durable ──▶ replies are sent ──▶ batch k + 2, or `confirmed` when nothing else comes
//
// 1. When batch k is durable, the next one is on its way at once, then the replies are sent. Only when k + 1 is durable, too,
//    does k + 2 begin. So a batch two behind says that they were sent; of the last two nobody knows.
// 2. A job that was handed out with a lease comes back by itself. One without does not: when it is of the last two batches,
//    the next owner gives it back, uncounted. If it did reach its consumer, it runs twice; otherwise it would never run.
// 3. So that this happens only to what was handed out in the moment before a crash, an owner with nothing more to record
//    says `confirmed`.

import type { Seq } from './job-id.ts'
import { RecordKind } from './recorder.ts'

/** A delivery: of which job, and its token. */
export interface Unconfirmed {
  readonly seq: Seq
  readonly token: number
}

/** Of a record `pulled`: kind u8, queue u32, count u32, nowMs f64, firstToken f64. */
const LEASE_AT = 25

/** Jobs handed out without a lease. */
export function isUnleasedDelivery(record: Buffer): boolean {
  return record[0] === RecordKind.pulled && record.readDoubleLE(LEASE_AT) === 0
}

export function isConfirmation(record: Buffer): boolean {
  return record[0] === RecordKind.confirmed
}

export const confirmedRecord: Buffer = Buffer.from([RecordKind.confirmed])
