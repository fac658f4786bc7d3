// Which records must not be parted from the one before: a journal stores them in one append, or a crash between two could
// leave an event without its deliveries, or deliveries of what never happened.

import { RecordKind } from './recorder.ts'

/** `last`: the kind of the record before, 0 when there is none. */
export function isWithLast(record: Buffer, last: number): boolean {
  const kind = record[0]
  // A job that is taken out is described while it is there, so its removal comes after.
  const { deliveriesAdded, removed } = RecordKind
  return kind === deliveriesAdded || (kind === removed && last === deliveriesAdded)
}
