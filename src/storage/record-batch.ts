// The bytes of one append: what a shard recorded in one or more turns.
//
//   offset  0  'FQRB'            magic
//           4  u32               CRC-32 of everything behind it
//           8  u8                format version
//           9  u8                flags, none defined: 0
//          10  u16               0
//          12  u32               count of records
//          16  (u32 length, record) × count                                 numbers are little-endian
//
// 1. A reader gives back exactly what was written, or throws a StorageFault that no retry mends.
// 2. Magic and checksum stay where they are in every version, so that damage is told from a newer format.
// 3. What a record says is the engine's affair (`recorder.ts`): new kinds of record are no new version of this.
//
// To change the format: 1. raise VERSION; 2. write only the new one; 3. read every old one, by the version byte;
// 4. add a fixture of the new one to test/unit/storage/record-batches.json and keep the old ones; 5. a release that
// reads the new version comes before the first one that writes it, or nobody can go back.

import { crc32 } from 'node:zlib'
import { ByteWriter } from '../engine/byte-writer.ts'
import { StorageFault } from '../engine/storage-port.ts'

const MAGIC = 0x42525146
const VERSION = 1
const CRC_AT = 4
const VERSION_AT = 8
const COUNT_AT = 12
/** Of a batch without records. */
export const HEADER_BYTES = 16
const LENGTH_BYTES = 4
/** What a turn of single commands fills; a writer that is used again keeps what it has grown to. */
const CAPACITY_MIN = 16 * 1024

/** Bytes that a record takes in a batch. */
export function bytesInBatch(record: Buffer): number {
  return LENGTH_BYTES + record.length
}

/** Gathers records into one buffer, which grows and is used again. */
export class RecordBatchWriter {
  count = 0
  private readonly out = new ByteWriter(CAPACITY_MIN)

  constructor() {
    this.out.length = HEADER_BYTES
  }

  /** Of the batch so far, header included. */
  get byteLength(): number {
    return this.out.length
  }

  /** What it holds in memory. */
  get capacity(): number {
    return this.out.bytes.length
  }

  /** Copies the record. */
  append(record: Buffer): void {
    const { out } = this
    const { length } = record
    out.reserve(LENGTH_BYTES + length)
    writeU32(out.bytes, out.length, length)
    out.length += LENGTH_BYTES
    out.copy(record, 0, length)
    this.count++
  }

  /** The batch: a view that is valid until `clear`; a record that is appended later needs another `seal`. */
  seal(): Buffer {
    const { bytes, length } = this.out
    writeU32(bytes, 0, MAGIC)
    bytes[VERSION_AT] = VERSION
    bytes.fill(0, VERSION_AT + 1, COUNT_AT)
    writeU32(bytes, COUNT_AT, this.count)
    writeU32(bytes, CRC_AT, crc32(bytes.subarray(VERSION_AT, length)))
    return bytes.subarray(0, length)
  }

  clear(): void {
    this.count = 0
    this.out.length = HEADER_BYTES
  }
}

/** Reads a batch front to back. The whole of it is checked before the first record is given out. */
export class RecordBatchReader {
  /** Records in it. */
  readonly count: number
  private readonly bytes: Buffer
  private at = HEADER_BYTES
  private given = 0

  constructor(bytes: Buffer) {
    if (bytes.length < HEADER_BYTES) throw corrupt(`has ${bytes.length} bytes`)
    if (bytes.readUInt32LE(0) !== MAGIC) throw corrupt('does not begin like one')
    if (bytes.readUInt32LE(CRC_AT) !== crc32(bytes.subarray(VERSION_AT))) {
      throw corrupt('does not match its checksum')
    }
    const version = bytes[VERSION_AT] as number
    if (version !== VERSION || bytes.readUIntLE(VERSION_AT + 1, 3) !== 0) throw newer(version)
    this.bytes = bytes
    this.count = bytes.readUInt32LE(COUNT_AT)
    checkLengths(bytes, this.count)
  }

  /** The next record, a view; null behind the last one. */
  next(): Buffer | null {
    if (this.given === this.count) return null
    const from = this.at + LENGTH_BYTES
    const to = from + this.bytes.readUInt32LE(this.at)
    this.given++
    this.at = to
    return this.bytes.subarray(from, to)
  }
}

/** Calls `each` with every record of a batch, in order: views. */
export function readRecordBatch(bytes: Buffer, each: (record: Buffer) => void): void {
  const reader = new RecordBatchReader(bytes)
  for (let record = reader.next(); record !== null; record = reader.next()) each(record)
}

function checkLengths(bytes: Buffer, count: number): void {
  let at = HEADER_BYTES
  for (let i = 0; i < count; i++) {
    if (at + LENGTH_BYTES > bytes.length) throw corrupt(`ends within record ${i} of ${count}`)
    at += LENGTH_BYTES + bytes.readUInt32LE(at)
  }
  if (at !== bytes.length) throw corrupt(`has ${bytes.length} bytes, its records end at ${at}`)
}

function corrupt(what: string): StorageFault {
  return new StorageFault('corrupt', `a batch of records ${what}`, false)
}

function newer(version: number): StorageFault {
  const text = `a batch of records has format ${version}; this build reads ${VERSION}`
  return new StorageFault('format_newer', text, false)
}

/** By hand: for numbers this short the runtime's own way costs more than the bytes. */
function writeU32(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}
