// The bytes of an append: pinned, because a journal outlives the build that wrote it.

import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { StorageFault } from '../../../src/engine/storage-port.ts'
import {
  bytesInBatch,
  HEADER_BYTES,
  RecordBatchReader,
  RecordBatchWriter,
} from '../../../src/storage/record-batch.ts'
import pinned from './record-batches.json' with { type: 'json' }

function batchOf(...records: Buffer[]): Buffer {
  const writer = new RecordBatchWriter()
  for (const record of records) writer.append(record)
  return Buffer.from(writer.seal())
}

function read(bytes: Buffer): Buffer[] {
  const reader = new RecordBatchReader(bytes)
  const records: Buffer[] = []
  for (let record = reader.next(); record !== null; record = reader.next()) records.push(record)
  expect(records).toHaveLength(reader.count)
  return records
}

function faultOf(bytes: Buffer): StorageFault {
  try {
    read(bytes)
  } catch (fault) {
    if (fault instanceof StorageFault) return fault
    throw fault
  }
  throw new Error('it was read')
}

/** With a checksum that matches, so that what is wrong is found behind it. */
function resealed(bytes: Buffer, change: (bytes: Buffer) => void): Buffer {
  const changed = Buffer.from(bytes)
  change(changed)
  changed.writeUInt32LE(crc32(changed.subarray(8)), 4)
  return changed
}

const records = pinned.records.map((hex) => Buffer.from(hex, 'hex'))

describe('a batch of records', () => {
  it('of every version is read', () => {
    for (const hex of Object.values(pinned.versions)) {
      expect(read(Buffer.from(hex, 'hex'))).toEqual(records)
    }
  })

  it('is written as these bytes', () => {
    expect(batchOf(...records).toString('hex')).toBe(pinned.versions['1'])
  })

  it('gives back what was put in, empty records and large ones too', () => {
    const large = Buffer.alloc(300_000, 'ab')
    const put = [Buffer.alloc(0), Buffer.from([0]), large, Buffer.alloc(96, 1), Buffer.alloc(97, 2)]
    const bytes = batchOf(...put)
    expect(read(bytes).every((record, i) => record.equals(put[i] as Buffer))).toBe(true)
    expect(bytes.length).toBe(put.reduce((sum, each) => sum + bytesInBatch(each), HEADER_BYTES))
    expect(read(batchOf())).toEqual([])
  })

  it('gives its records as views', () => {
    const bytes = batchOf(Buffer.from('abc'))
    bytes.write('x', HEADER_BYTES + 4)
    expect(() => read(bytes)).toThrow('checksum')
    const [view] = read(batchOf(Buffer.from('abc')))
    expect(view?.buffer.byteLength).toBeGreaterThan(3)
  })

  it('is written by a writer that is used again', () => {
    const writer = new RecordBatchWriter()
    writer.append(Buffer.alloc(100_000, 7))
    const { capacity } = writer
    writer.seal()
    writer.clear()
    for (const record of records) writer.append(record)
    expect(writer.count).toBe(records.length)
    expect(writer.seal().toString('hex')).toBe(pinned.versions['1'])
    expect(writer.byteLength).toBe(writer.seal().length)
    expect(writer.capacity).toBe(capacity)
  })
})

describe('a damaged batch', () => {
  const good = batchOf(...records)

  it('is refused wherever a bit has flipped', () => {
    for (let bit = 0; bit < good.length * 8; bit++) {
      const bad = Buffer.from(good)
      bad[bit >> 3] = (bad[bit >> 3] as number) ^ (1 << (bit & 7))
      const fault = faultOf(bad)
      expect([fault.code, fault.retryable], `bit ${bit}`).toEqual(['corrupt', false])
    }
  })

  it('is refused wherever it is cut, and when something follows', () => {
    for (let length = 0; length < good.length; length++) {
      expect(faultOf(good.subarray(0, length)).code, `${length} bytes`).toBe('corrupt')
    }
    expect(faultOf(Buffer.concat([good, Buffer.alloc(1)])).code).toBe('corrupt')
  })

  it('is refused when its lengths do not add up, even with a good checksum', () => {
    const lengthAt = HEADER_BYTES
    const wrong = [
      resealed(good, (bytes) => bytes.writeUInt32LE(records.length + 1, 12)),
      resealed(good, (bytes) => bytes.writeUInt32LE(records.length - 1, 12)),
      resealed(good, (bytes) => bytes.writeUInt32LE(0xffff_ffff, 12)),
      resealed(good, (bytes) => bytes.writeUInt32LE(0xffff_ffff, lengthAt)),
      resealed(good, (bytes) => bytes.writeUInt32LE(0, lengthAt)),
    ]
    for (const bytes of wrong) expect(faultOf(bytes).code).toBe('corrupt')
  })

  it('is told from one of a newer build', () => {
    const version = resealed(good, (bytes) => bytes.writeUInt8(2, 8))
    const flags = resealed(good, (bytes) => bytes.writeUInt8(1, 9))
    for (const bytes of [version, flags]) {
      const fault = faultOf(bytes)
      expect([fault.code, fault.retryable]).toEqual(['format_newer', false])
    }
  })
})
