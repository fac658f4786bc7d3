// Batches of the journal out of PostgreSQL's binary COPY format, in order and without a gap.
//
//   COPY (select position, epoch, records … order by position) TO STDOUT ──push──▶ batch, batch, …
//
// A position that is missing, or an epoch that is lower than the one before, means that something acknowledged is
// lost or that somebody wrote who may not have: a StorageFault `corrupt`, and the shard is not served.

import { plainBytesOf } from '../../record-batch.ts'
import { CopyTuples, corrupt, readInt64 } from './copy-tuples.ts'

const WIDTHS = [8, 8, 0]
const Column = { position: 0, epoch: 1, records: 2 } as const

export class JournalDecoder {
  /** Of the newest batch; before the first one, what came before it. */
  position: number
  /** Of the records. */
  bytes = 0
  private epoch = 0
  private readonly tuples: CopyTuples
  private readonly batch: (bytes: Buffer) => void

  /** `after`: the position that the first batch follows. */
  constructor(after: number, batch: (bytes: Buffer) => void) {
    this.position = after
    this.batch = batch
    this.tuples = new CopyTuples(WIDTHS, (bytes, view) => this.tuple(bytes, view))
  }

  push(piece: Buffer): void {
    this.tuples.push(piece)
  }

  end(): void {
    this.tuples.end()
  }

  private tuple(bytes: Buffer, view: DataView): void {
    const { froms, lengths } = this.tuples
    if (lengths.includes(-1))
      throw corrupt('a batch of the journal without its position or records')
    const position = readInt64(view, froms[Column.position] as number)
    const epoch = readInt64(view, froms[Column.epoch] as number)
    if (position !== this.position + 1) {
      throw corrupt(`batch ${this.position} of the journal is followed by ${position}`)
    }
    if (epoch < this.epoch) {
      throw corrupt(`batch ${position} has epoch ${epoch}, the one before ${this.epoch}`)
    }
    this.position = position
    this.epoch = epoch
    const from = froms[Column.records] as number
    const length = lengths[Column.records] as number
    const stored = bytes.subarray(from, from + length)
    this.bytes += plainBytesOf(stored)
    this.batch(stored)
  }
}
