// Finds the record that storage refuses for good in a batch that holds it, and lets what came before it through.
//
//   refused: [a b c d e f]          always the front of what is left is tried, so nothing overtakes anything,
//     durable: [a b c]              and what came before the refused record is durable by the time it is found
//     refused: [d e f]
//       refused: [d]  → it is d     about log2(records) refusals
//
// Only for a batch of which storage says that it did not happen. One that may have happened must not be sent again
// in parts: they would be stored beside the whole.

import { bytesInBatch, RecordBatchWriter, readRecordBatch } from './record-batch.ts'

export class Bisection {
  /** Of the refused batch; its parts go there too. */
  readonly side: number
  private readonly records: Buffer[] = []
  private from = 0
  /** Ends of the parts that are left, nested ones: the last is the one that is tried. */
  private readonly ends: number[]

  /** `bytes` must stay as they are for as long as this is in use. */
  constructor(bytes: Buffer, side: number) {
    this.side = side
    readRecordBatch(bytes, (record) => void this.records.push(record))
    this.ends = [this.records.length]
    this.refused()
  }

  /** Records of the part that is tried; 0 when all are through. */
  get count(): number {
    return (this.ends.at(-1) ?? this.from) - this.from
  }

  /** Bytes of the records of that part, with their lengths. */
  get size(): number {
    const part = this.records.slice(this.from, this.from + this.count)
    return part.reduce((size, record) => size + bytesInBatch(record), 0)
  }

  /** The part that is tried, in bytes of its own: whoever was given an earlier part may still be reading that. */
  seal(): Buffer {
    const part = new RecordBatchWriter()
    const to = this.from + this.count
    for (let i = this.from; i < to; i++) part.append(this.records[i] as Buffer)
    return part.seal()
  }

  durable(): void {
    this.from = this.ends.pop() ?? this.from
  }

  /** False when there is nothing left to divide: the front record is the one. */
  refused(): boolean {
    const { count } = this
    if (count < 2) return false
    this.ends.push(this.from + (count >> 1))
    return true
  }
}
