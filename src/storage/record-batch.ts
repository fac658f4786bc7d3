// The bytes of one append: what a shard recorded in one or more turns.
//
//   offset  0  'FQRB'            magic
//           4  u32               CRC-32 of everything behind it
//           8  u8                format version
//           9  u8                flags: 1 = packed; the others 0
//          10  u16               0
//          12  u32               count of records
//          16  (u32 length, record) × count                                 numbers are little-endian
//              when packed: u32 size of what would be here, and that as lz/pack.ts packs it
//
// 1. A reader gives back exactly what was written, or throws a StorageFault that no retry mends.
// 2. Magic and checksum stay where they are in every version, so that damage is told from a newer format.
//    So the checksum is of what is stored: a reader needs to know neither flag nor version to check it, and it costs
//    what is stored, not what was said.
// 3. What a record says is the engine's affair (`recorder.ts`): new kinds of record are no new version of this.
// 4. Sealed bytes stay as they are until `clear`.
//
// To change the format: 1. raise VERSION, or define a flag: a reader refuses flags that it does not know as newer; 2. write only the new one; 3. read every old one, by the version byte;
// 4. add a fixture of the new one to test/unit/storage/record-batches.json and keep the old ones; 5. a release that
// reads the new version comes before the first one that writes it, or nobody can go back.

import { crc32 } from 'node:zlib'
import { ByteWriter } from '../engine/byte-writer.ts'
import { StorageFault } from '../engine/storage-port.ts'
import { packInto } from './lz/pack.ts'
import { canUnpack, unpackInto } from './lz/unpack.ts'

const MAGIC = 0x42525146
const VERSION = 1
const CRC_AT = 4
const VERSION_AT = 8
const FLAGS_AT = 9
const COUNT_AT = 12
/** Of a batch without records. */
export const HEADER_BYTES = 16
const LENGTH_BYTES = 4
const PACKED_FLAG = 1
const PACKED_AT = HEADER_BYTES + LENGTH_BYTES
/** What is shorter is stored in one piece as it is, beside its row. */
const PACK_BYTES_MIN = 1024
/** Several times the largest frame. Damage must not ask for more memory. */
const PACK_BYTES_MAX = 64 * 1024 * 1024
/** What a turn of single commands fills; a writer that is used again keeps what it has grown to. */
const CAPACITY_MIN = 16 * 1024

/** Bytes that a record takes in a batch. */
export function bytesInBatch(record: Buffer): number {
  return LENGTH_BYTES + record.length
}

/** What a stored batch has in records, in bytes: what replaying it costs, however well it was packed. */
export function plainBytesOf(stored: Buffer): number {
  const isPacked = stored.length >= PACKED_AT && stored[FLAGS_AT] === PACKED_FLAG
  return (
    HEADER_BYTES + (isPacked ? stored.readUInt32LE(HEADER_BYTES) : stored.length - HEADER_BYTES)
  )
}

/** Gathers records into one buffer, which grows and is used again, and so does another one, for what is packed. */
export class RecordBatchWriter {
  count = 0
  private readonly out = new ByteWriter(CAPACITY_MIN)
  private readonly packed = new ByteWriter(0)

  constructor() {
    this.out.length = HEADER_BYTES
  }

  /** Of the batch so far, header included, before it is packed. */
  get byteLength(): number {
    return this.out.length
  }

  /** What it holds in memory. */
  get capacity(): number {
    return this.out.bytes.length + this.packed.bytes.length
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
    const { out, packed } = this
    const isPacked = this.pack()
    const { bytes, length } = isPacked ? packed : out
    writeU32(bytes, 0, MAGIC)
    bytes[VERSION_AT] = VERSION
    bytes.fill(0, FLAGS_AT, COUNT_AT)
    if (isPacked) bytes[FLAGS_AT] = PACKED_FLAG
    writeU32(bytes, COUNT_AT, this.count)
    writeU32(bytes, CRC_AT, crc32(bytes.subarray(VERSION_AT, length)))
    return bytes.subarray(0, length)
  }

  clear(): void {
    this.count = 0
    this.out.length = HEADER_BYTES
  }

  /** False when the records are stored as they are. */
  private pack(): boolean {
    const { out, packed } = this
    const size = out.length - HEADER_BYTES
    if (size < PACK_BYTES_MIN || size > PACK_BYTES_MAX) return false
    packed.length = 0
    packed.reserve(PACKED_AT)
    packed.length = PACKED_AT
    writeU32(packed.bytes, HEADER_BYTES, size)
    return packInto(packed, out.bytes, HEADER_BYTES, out.length)
  }
}

/** Reads a batch front to back. The whole of it is checked before the first record is given out. */
export class RecordBatchReader {
  /** Records in it. */
  readonly count: number
  /** What it was before it was packed. */
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
    const flags = bytes.readUIntLE(FLAGS_AT, COUNT_AT - FLAGS_AT)
    if (version !== VERSION || flags > PACKED_FLAG) throw newer(version, flags)
    this.bytes = flags === PACKED_FLAG ? unpacked(bytes) : bytes
    this.count = bytes.readUInt32LE(COUNT_AT)
    checkLengths(this.bytes, this.count)
  }

  /** The next record, a view of the batch or of what it was unpacked to, which nobody else has; null behind the last one. */
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

/** The records where they are in a batch that is not packed; what is before them there is left out. */
function unpacked(bytes: Buffer): Buffer {
  if (bytes.length < PACKED_AT) throw corrupt(`has ${bytes.length} bytes`)
  const size = bytes.readUInt32LE(HEADER_BYTES)
  if (size > PACK_BYTES_MAX || !canUnpack(bytes.length - PACKED_AT, size)) {
    throw corrupt(`has ${bytes.length} bytes and says that they were ${size}`)
  }
  const out = Buffer.allocUnsafeSlow(HEADER_BYTES + size)
  if (!unpackInto(out, HEADER_BYTES, bytes, PACKED_AT)) throw corrupt('cannot be unpacked')
  return out
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

function newer(version: number, flags: number): StorageFault {
  const text = `a batch of records has format ${version} with flags ${flags}; this build reads ${VERSION} with 0 or ${PACKED_FLAG}`
  return new StorageFault('format_newer', text, false)
}

/** By hand: for numbers this short the runtime's own way costs more than the bytes. */
function writeU32(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}
