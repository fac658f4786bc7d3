// Jobs, and the meta before them, as rows of `job` in PostgreSQL's binary COPY format: no object per job.
//
//   meta ──pieces──▶ rows -1, -2, …      JobRow (scratch) ──▶ row      chunks of about 256 KiB ──▶ COPY … FROM STDIN

import type { JobRow } from '../../../engine/storage-port.ts'
import { CopyRows } from './copy-rows.ts'
import { Column, jobWidths, META_STATE, stateBytes } from './job-columns.ts'

/** Pieces that the meta is cut into. */
const META_PIECE_BYTES = 1024 * 1024
/** A row without data, result and rest: lengths, fixed cells, and a queue's name and a state at their longest. */
const ROW_BYTES_MAX = 2 + jobWidths.length * 4 + jobWidths.length * 8 + 3 * 256 + 16

const META_BYTES = Buffer.from(META_STATE)
const NO_BYTES = Buffer.alloc(0)

export class JobEncoder {
  /** Jobs so far. */
  jobs = 0
  private readonly slot: number
  private readonly out = new CopyRows()
  private queueName = ''
  private queueBytes = NO_BYTES

  constructor(slot: number) {
    this.slot = slot
  }

  /** All of a checkpoint, as chunks to be sent. */
  *chunks(meta: Buffer, rows: Iterable<JobRow>): Generator<Buffer> {
    for (let from = 0, piece = 1; piece === 1 || from < meta.length; piece++) {
      const to = Math.min(from + META_PIECE_BYTES, meta.length)
      this.addPiece(-piece, meta.subarray(from, to))
      from = to
      if (this.out.full) yield this.out.take()
    }
    for (const row of rows) {
      this.add(row)
      if (this.out.full) yield this.out.take()
    }
    yield this.out.end()
  }

  private add(row: JobRow): void {
    const { out } = this
    const { data, result, rest } = row
    if (row.queue !== this.queueName) {
      this.queueName = row.queue
      this.queueBytes = Buffer.from(row.queue)
    }
    const state = stateBytes.get(row.state)
    if (state === undefined) throw new Error(`a job cannot be stored as ${row.state}`)
    const payloadBytes = data.length + (result === null ? 0 : result.length)
    out.begin(jobWidths.length, ROW_BYTES_MAX + payloadBytes)
    out.int16(this.slot)
    out.int64(row.id)
    out.blob(this.queueBytes)
    out.blob(state)
    out.int32(row.priority)
    out.int64(row.attempts)
    out.int64(row.maxAttempts)
    out.double(row.createdAtMs)
    out.double(row.runAtMs)
    out.doubleOrNull(row.startedAtMs)
    out.doubleOrNull(row.finishedAtMs)
    out.doubleOrNull(row.backoffMs)
    out.doubleOrNull(row.ttlMs)
    out.doubleOrNull(row.timeoutMs)
    out.int16OrNull(row.progress)
    out.doubleOrNull(row.token)
    out.doubleOrNull(row.leaseMs)
    out.doubleOrNull(row.leaseUntilMs)
    out.doubleOrNull(row.holder)
    out.blob(data)
    out.blobOrNull(result)
    if (rest === null) out.nothing()
    else out.text(rest)
    this.jobs++
  }

  private addPiece(id: number, piece: Buffer): void {
    const { out } = this
    out.begin(jobWidths.length, ROW_BYTES_MAX + piece.length)
    out.int16(this.slot)
    out.int64(id)
    out.blob(NO_BYTES)
    out.blob(META_BYTES)
    for (let column: number = Column.priority; column < Column.data; column++) out.nothing()
    out.blob(piece)
    out.nothing()
    out.nothing()
  }
}
