// Jobs, and the meta before them, as bytes of PostgreSQL's binary COPY format: no object per job.
//
//   JobRow (scratch) ──add──▶ chunk of about 256 KiB ──take──▶ COPY job_<slot> FROM STDIN
//
// Chunks belong to whoever took them: a stream may keep them for as long as it likes.

import type { JobRow } from '../../../engine/storage-port.ts'
import { COPY_HEADER, COPY_TRAILER } from './copy-tuples.ts'
import { Column, jobWidths, META_STATE, stateBytes } from './job-columns.ts'

/** What is sent at once; a row may make a chunk longer. */
export const CHUNK_BYTES = 256 * 1024
/** Behind the bytes of a chunk there is room for most rows. */
const CHUNK_SLACK_BYTES = 32 * 1024
/** Pieces that the meta is cut into. */
const META_PIECE_BYTES = 1024 * 1024
/** A row's field lengths and fixed cells, and a queue's name and a state at their longest. */
const ROW_BYTES_MAX = 2 + jobWidths.length * 4 + 12 * 8 + 3 * 8 + 8 + 3 * 256 + 16

const META_BYTES = Buffer.from(META_STATE)
const NO_BYTES = Buffer.alloc(0)

export class JobEncoder {
  /** Jobs so far. */
  jobs = 0
  private readonly slot: number
  private bytes = NO_BYTES
  private view = new DataView(new ArrayBuffer(0))
  private at = 0
  private queueName = ''
  private queueBytes = NO_BYTES

  constructor(slot: number) {
    this.slot = slot
    this.open(CHUNK_BYTES + CHUNK_SLACK_BYTES)
    this.at = COPY_HEADER.copy(this.bytes)
  }

  /** True when `take` is due. */
  get full(): boolean {
    return this.at >= CHUNK_BYTES
  }

  /** What was written since the last time, for the caller to keep. */
  take(): Buffer {
    const taken = this.bytes.subarray(0, this.at)
    this.open(CHUNK_BYTES + CHUNK_SLACK_BYTES)
    return taken
  }

  /** The last chunk. */
  end(): Buffer {
    this.reserve(COPY_TRAILER.length)
    this.at += COPY_TRAILER.copy(this.bytes, this.at)
    return this.bytes.subarray(0, this.at)
  }

  /** Before the first job: the meta, as chunks to be sent. */
  *meta(bytes: Buffer): Generator<Buffer> {
    for (let from = 0, piece = 1; piece === 1 || from < bytes.length; piece++) {
      const to = Math.min(from + META_PIECE_BYTES, bytes.length)
      this.addPiece(-piece, bytes.subarray(from, to))
      from = to
      yield this.take()
    }
  }

  add(row: JobRow): void {
    if (row.queue !== this.queueName) {
      this.queueName = row.queue
      this.queueBytes = Buffer.from(row.queue)
    }
    const state = stateBytes.get(row.state)
    if (state === undefined) throw new Error(`a job cannot be stored as ${row.state}`)
    const { data, result, rest } = row
    this.reserve(ROW_BYTES_MAX + data.length + (result === null ? 0 : result.length))
    this.begin(row.id)
    this.blob(this.queueBytes)
    this.blob(state)
    this.int32(row.priority)
    this.int64(row.attempts)
    this.int64(row.maxAttempts)
    this.double(row.createdAtMs)
    this.double(row.runAtMs)
    this.doubleOrNull(row.startedAtMs)
    this.doubleOrNull(row.finishedAtMs)
    this.doubleOrNull(row.backoffMs)
    this.doubleOrNull(row.ttlMs)
    this.doubleOrNull(row.timeoutMs)
    this.int16OrNull(row.progress)
    this.doubleOrNull(row.token)
    this.doubleOrNull(row.leaseMs)
    this.doubleOrNull(row.leaseUntilMs)
    this.doubleOrNull(row.holder)
    this.blob(data)
    if (result === null) this.nothing()
    else this.blob(result)
    if (rest === null) this.nothing()
    else this.text(rest)
    this.jobs++
  }

  private addPiece(id: number, piece: Buffer): void {
    this.reserve(ROW_BYTES_MAX + piece.length)
    this.begin(id)
    this.blob(NO_BYTES)
    this.blob(META_BYTES)
    for (let column = Column.priority; column < Column.data; column++) this.nothing()
    this.blob(piece)
    this.nothing()
    this.nothing()
  }

  private begin(id: number): void {
    const { view, at } = this
    view.setInt16(at, jobWidths.length)
    view.setInt32(at + 2, 2)
    view.setInt16(at + 6, this.slot)
    this.at = at + 8
    this.int64(id)
  }

  private nothing(): void {
    this.view.setInt32(this.at, -1)
    this.at += 4
  }

  private int16OrNull(value: number): void {
    if (value === 0) return this.nothing()
    this.view.setInt32(this.at, 2)
    this.view.setInt16(this.at + 4, value)
    this.at += 6
  }

  private int32(value: number): void {
    this.view.setInt32(this.at, 4)
    this.view.setInt32(this.at + 4, value)
    this.at += 8
  }

  private int64(value: number): void {
    this.view.setInt32(this.at, 8)
    this.view.setInt32(this.at + 4, Math.floor(value / 0x1_0000_0000))
    this.view.setUint32(this.at + 8, value % 0x1_0000_0000)
    this.at += 12
  }

  private double(value: number): void {
    this.view.setInt32(this.at, 8)
    this.view.setFloat64(this.at + 4, value)
    this.at += 12
  }

  private doubleOrNull(value: number): void {
    if (value === 0) this.nothing()
    else this.double(value)
  }

  private blob(value: Buffer): void {
    const { bytes, at } = this
    const { length } = value
    this.view.setInt32(at, length)
    // A call into the runtime costs more than a short loop.
    if (length > 64) bytes.set(value, at + 4)
    else for (let i = 0; i < length; i++) bytes[at + 4 + i] = value[i] as number
    this.at = at + 4 + length
  }

  private text(value: string): void {
    this.reserve(4 + value.length * 3 + COPY_TRAILER.length)
    const length = this.bytes.write(value, this.at + 4, 'utf8')
    this.view.setInt32(this.at, length)
    this.at += 4 + length
  }

  private reserve(more: number): void {
    const needed = this.at + more
    if (needed <= this.bytes.length) return
    const { bytes, at } = this
    this.open(Math.max(bytes.length * 2, needed))
    this.bytes.set(bytes.subarray(0, at))
    this.at = at
  }

  private open(size: number): void {
    this.bytes = Buffer.allocUnsafeSlow(size)
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, size)
    this.at = 0
  }
}
