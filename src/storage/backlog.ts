// What the shards of one worker have recorded and storage does not have yet.
//
// 1. `bytes` is the sum of `Journal.pendingBytes` over the worker's journals, never more and never less.
// 2. When it is full the runner takes no more commands; nothing that was taken is dropped. So the bound is
//    passed by what is under way, and by what timers record.
// 3. It keeps a few writers, grown to size, for the next batches: no journal holds memory while it has nothing to say.

import { RecordBatchWriter } from './record-batch.ts'

const WRITERS_KEPT_MAX = 16
/** A frame that was larger than this is rare; what it needed is given back. */
const WRITER_BYTES_KEPT_MAX = 2 * 1024 * 1024

export class Backlog {
  bytes = 0
  readonly bytesMax: number
  private readonly writers: RecordBatchWriter[] = []

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  get isFull(): boolean {
    return this.bytes >= this.bytesMax
  }

  takeWriter(): RecordBatchWriter {
    return this.writers.pop() ?? new RecordBatchWriter()
  }

  /** Nobody reads its bytes any more. */
  giveWriter(writer: RecordBatchWriter): void {
    if (this.writers.length >= WRITERS_KEPT_MAX) return
    if (writer.capacity > WRITER_BYTES_KEPT_MAX) return
    writer.clear()
    this.writers.push(writer)
  }
}
