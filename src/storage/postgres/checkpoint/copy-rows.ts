// Rows as bytes of PostgreSQL's binary COPY format, cell by cell, in chunks for a stream.
//
// 1. Whoever writes a row calls `begin` with its greatest size, then one method per column, in the table's order. Only
//    `text`, whose size is not known before, makes room for itself, and for so many bytes besides as the row may
//    still have to come.
// 2. Chunks belong to whoever took them: a stream may keep them for as long as it likes.

import { COPY_HEADER, COPY_TRAILER } from './copy-tuples.ts'

/** What is sent at once; a row may make a chunk longer. */
export const CHUNK_BYTES = 256 * 1024
/** Behind the bytes of a chunk there is room for most rows. */
const CHUNK_SLACK_BYTES = 32 * 1024
/** Microseconds from 1970 to 2000, where PostgreSQL counts from. */
const EPOCH_US = 946_684_800_000_000
/** A call into the runtime costs more than a loop of so many bytes. */
const COPY_BY_HAND_MAX = 64

const NO_BYTES = Buffer.alloc(0)

export class CopyRows {
  private bytes = NO_BYTES
  private view = new DataView(new ArrayBuffer(0))
  private at = 0

  constructor() {
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

  /** A row of `fields` cells, at most `bytesMax` long without those of `text`. */
  begin(fields: number, bytesMax: number): void {
    this.reserve(bytesMax)
    this.view.setInt16(this.at, fields)
    this.at += 2
  }

  int16(value: number): void {
    this.view.setInt32(this.at, 2)
    this.view.setInt16(this.at + 4, value)
    this.at += 6
  }

  nothing(): void {
    this.view.setInt32(this.at, -1)
    this.at += 4
  }

  int16OrNull(value: number): void {
    if (value === 0) this.nothing()
    else this.int16(value)
  }

  int32(value: number): void {
    this.view.setInt32(this.at, 4)
    this.view.setInt32(this.at + 4, value)
    this.at += 8
  }

  int64(value: number): void {
    this.view.setInt32(this.at, 8)
    this.view.setInt32(this.at + 4, Math.floor(value / 0x1_0000_0000))
    this.view.setUint32(this.at + 8, value % 0x1_0000_0000)
    this.at += 12
  }

  double(value: number): void {
    this.view.setInt32(this.at, 8)
    this.view.setFloat64(this.at + 4, value)
    this.at += 12
  }

  doubleOrNull(value: number): void {
    if (value === 0) this.nothing()
    else this.double(value)
  }

  blob(value: Buffer): void {
    const { bytes, at } = this
    const { length } = value
    this.view.setInt32(at, length)
    if (length > COPY_BY_HAND_MAX) bytes.set(value, at + 4)
    else for (let i = 0; i < length; i++) bytes[at + 4 + i] = value[i] as number
    this.at = at + 4 + length
  }

  blobOrNull(value: Buffer | null): void {
    if (value === null) this.nothing()
    else this.blob(value)
  }

  /** `more`: what the row may need behind it. */
  text(value: string, more = 0): void {
    this.reserve(4 + value.length * 3 + more)
    const length = this.bytes.write(value, this.at + 4, 'utf8')
    this.view.setInt32(this.at, length)
    this.at += 4 + length
  }

  /** timestamptz, of Unix ms. */
  moment(ms: number): void {
    this.int64(Math.round(ms * 1000) - EPOCH_US)
  }

  momentOrNull(ms: number): void {
    if (ms === 0) this.nothing()
    else this.moment(ms)
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
