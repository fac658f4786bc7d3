// Jobs, and the meta before them, out of PostgreSQL's binary COPY format: no object per job.
//
//   COPY job_<slot> TO STDOUT ──push──▶ pieces of a stream, cut anywhere ──▶ meta, then JobRow (scratch) by JobRow
//
// The meta comes first because it was written first, and a table that nothing was deleted from is read in that order
// (with `synchronize_seqscans` off); anything else is a StorageFault `corrupt`.

import { emptyJobRow, type ShardReader } from '../../../engine/storage-port.ts'
import { CopyTuples, corrupt, readInt64 } from './copy-tuples.ts'
import { Column, jobWidths, stateBytes } from './job-columns.ts'

const NO_BYTES = Buffer.alloc(0)

export class JobDecoder {
  /** Of jobs. */
  bytes = 0
  private readonly slot: number
  private readonly into: Pick<ShardReader, 'meta' | 'job'>
  private readonly tuples: CopyTuples
  private pieces: Buffer[] = []
  private metaGiven = false
  private queueBytes = NO_BYTES
  private readonly row = emptyJobRow()

  constructor(slot: number, into: Pick<ShardReader, 'meta' | 'job'>) {
    this.slot = slot
    this.into = into
    this.tuples = new CopyTuples(jobWidths, (bytes, view) => this.tuple(bytes, view))
  }

  /** Jobs so far. */
  get jobs(): number {
    return this.tuples.count - this.pieces.length
  }

  push(chunk: Buffer): void {
    this.tuples.push(chunk)
    this.bytes += chunk.length
  }

  end(): void {
    this.tuples.end()
    if (!this.metaGiven) this.giveMeta()
  }

  private tuple(bytes: Buffer, view: DataView): void {
    const { froms } = this.tuples
    if (view.getInt16(froms[Column.slot] as number) !== this.slot)
      throw corrupt('a job of another slot')
    const id = this.int64(view, Column.id)
    if (id < 0) return this.keepPiece(id, bytes)
    if (!this.metaGiven) this.giveMeta()
    const { row } = this
    row.id = id
    this.readTexts(bytes)
    row.priority = view.getInt32(froms[Column.priority] as number)
    row.attempts = this.int64(view, Column.attempts)
    row.maxAttempts = this.int64(view, Column.maxAttempts)
    row.createdAtMs = this.double(view, Column.createdAtMs)
    row.runAtMs = this.double(view, Column.runAtMs)
    row.startedAtMs = this.double(view, Column.startedAtMs)
    row.finishedAtMs = this.double(view, Column.finishedAtMs)
    row.backoffMs = this.double(view, Column.backoffMs)
    row.ttlMs = this.double(view, Column.ttlMs)
    row.timeoutMs = this.double(view, Column.timeoutMs)
    row.progress = this.isNull(Column.progress)
      ? 0
      : view.getInt16(froms[Column.progress] as number)
    row.token = this.double(view, Column.token)
    row.leaseMs = this.double(view, Column.leaseMs)
    row.leaseUntilMs = this.double(view, Column.leaseUntilMs)
    row.holder = this.double(view, Column.holder)
    row.data = this.blob(bytes, Column.data)
    row.result = this.isNull(Column.result) ? null : this.blob(bytes, Column.result)
    row.rest = this.isNull(Column.rest) ? null : this.blob(bytes, Column.rest).toString('utf8')
    this.into.job(row)
  }

  /** Neighbouring rows are mostly of one queue, and there are six states. */
  private readTexts(bytes: Buffer): void {
    const { row } = this
    const queueFrom = this.tuples.froms[Column.queue] as number
    const queueTo = queueFrom + (this.tuples.lengths[Column.queue] as number)
    if (!isSame(bytes, queueFrom, queueTo, this.queueBytes)) {
      this.queueBytes = Buffer.from(bytes.subarray(queueFrom, queueTo))
      row.queue = this.queueBytes.toString('utf8')
    }
    const from = this.tuples.froms[Column.state] as number
    const to = from + (this.tuples.lengths[Column.state] as number)
    const known = stateBytes.get(row.state)
    if (known !== undefined && isSame(bytes, from, to, known)) return
    row.state = bytes.toString('latin1', from, to)
    if (!stateBytes.has(row.state)) throw corrupt(`a job is stored as ${row.state}`)
  }

  private isNull(column: number): boolean {
    return (this.tuples.lengths[column] as number) < 0
  }

  private int64(view: DataView, column: number): number {
    if ((this.tuples.lengths[column] as number) < 0) return 0
    return readInt64(view, this.tuples.froms[column] as number)
  }

  private double(view: DataView, column: number): number {
    if ((this.tuples.lengths[column] as number) < 0) return 0
    return view.getFloat64(this.tuples.froms[column] as number)
  }

  private blob(bytes: Buffer, column: number): Buffer {
    const from = this.tuples.froms[column] as number
    return bytes.subarray(from, from + Math.max(0, this.tuples.lengths[column] as number))
  }

  private keepPiece(id: number, bytes: Buffer): void {
    if (this.metaGiven || id !== -1 - this.pieces.length) {
      throw corrupt('the pieces of the meta are not in order')
    }
    this.pieces.push(Buffer.from(this.blob(bytes, Column.data)))
  }

  private giveMeta(): void {
    if (this.pieces.length === 0) throw corrupt('a checkpoint without its meta')
    this.metaGiven = true
    this.into.meta(
      this.pieces.length === 1 ? (this.pieces[0] as Buffer) : Buffer.concat(this.pieces),
    )
  }
}

function isSame(bytes: Buffer, from: number, to: number, other: Buffer): boolean {
  const { length } = other
  if (to - from !== length) return false
  for (let i = 0; i < length; i++) if (bytes[from + i] !== other[i]) return false
  return true
}
