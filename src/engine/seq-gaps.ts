// Sequences that no job has: an earlier owner of the shard may have reserved or even given them out, but what
// it did with them did not survive. To clients they are ids that never were.
//
// 1. Gaps are kept in order and do not touch. At most `gapsMax`: with one more the oldest is forgotten, and whoever
//    keeps them must forget what was before it (`outcomes.ts`).

import type { Seq } from './job-id.ts'
import type { RecordReader, RecordWriter } from './record-bytes.ts'

/** One a change of owner at most, and none when nothing was pushed between two changes. */
const GAPS_MAX = 4096

export class SeqGaps {
  /** from, to, from, to, …: ends exclusive. */
  private readonly bounds: Seq[] = []
  private readonly gapsMax: number

  constructor(gapsMax = GAPS_MAX) {
    this.gapsMax = gapsMax
  }

  /** Sequences `from` to `to` - 1; they are above all that came before. Returns where the gap that is forgotten ended, or 0. */
  add(from: Seq, to: Seq): Seq {
    const { bounds } = this
    if (from >= to) return 0
    if (bounds.at(-1) === from) bounds[bounds.length - 1] = to
    else bounds.push(from, to)
    if (bounds.length <= 2 * this.gapsMax) return 0
    return bounds.splice(0, 2)[1] as Seq
  }

  has(seq: Seq): boolean {
    const { bounds } = this
    let low = 0
    let high = bounds.length
    // The number of bounds that are not after `seq`: odd means within a gap.
    while (low < high) {
      const middle = (low + high) >> 1
      if ((bounds[middle] as Seq) <= seq) low = middle + 1
      else high = middle
    }
    return low % 2 === 1
  }

  all(): readonly Seq[] {
    return this.bounds
  }

  write(w: RecordWriter): void {
    w.uint(this.bounds.length)
    for (const bound of this.bounds) w.uint(bound)
  }

  read(r: RecordReader): void {
    for (let left = r.uint(); left > 0; left--) this.bounds.push(r.uint())
  }
}
