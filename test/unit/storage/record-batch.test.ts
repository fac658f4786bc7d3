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
import { jobs, noise } from '../../support/alike-bytes.ts'
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

/** As pinned.packed has them. */
function alikeRecords(): Buffer[] {
  return Array.from({ length: pinned.packed.records }, (_, n) => jobs(1, 1000 + n))
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

  it('that is packed is read', () => {
    const bytes = Buffer.from(pinned.packed.version1, 'hex')
    expect(bytes.length).toBeLessThan(bytes.readUInt32LE(HEADER_BYTES) / 3)
    expect(read(bytes)).toEqual(alikeRecords())
  })

  it('gives back what was put in, empty records and large ones too', () => {
    const large = noise(300_000)
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
    writer.seal()
    const { capacity } = writer
    writer.clear()
    for (const record of records) writer.append(record)
    expect(writer.count).toBe(records.length)
    expect(writer.seal().toString('hex')).toBe(pinned.versions['1'])
    expect(writer.byteLength).toBe(writer.seal().length)
    expect(writer.capacity).toBeGreaterThan(100_000)
    expect(writer.capacity).toBe(capacity)
  })
})

describe('a batch that can be packed', () => {
  it('is, with a checksum of what is stored', () => {
    const put = alikeRecords()
    const plain = put.reduce((sum, record) => sum + bytesInBatch(record), 0)
    const bytes = batchOf(...put)
    expect(bytes.length).toBeLessThan(plain / 4)
    expect([bytes[8], bytes[9], bytes.readUInt32LE(HEADER_BYTES)]).toEqual([1, 1, plain])
    expect(bytes.readUInt32LE(4)).toBe(crc32(bytes.subarray(8)))
    expect(read(bytes)).toEqual(put)
  })

  it('is not when it is short, or would hardly be smaller', () => {
    for (const record of [jobs(15), noise(5000)]) {
      const bytes = batchOf(record)
      expect(bytes.length).toBe(HEADER_BYTES + bytesInBatch(record))
      expect(bytes[9]).toBe(0)
    }
    expect(batchOf(jobs(18))[9]).toBe(1)
  })

  it('of many pieces is, and of more than a reader takes is not', () => {
    const large = jobs(20_000)
    const bytes = batchOf(large, large)
    expect(bytes[9]).toBe(1)
    expect(read(bytes).every((record) => record.equals(large))).toBe(true)
    expect(batchOf(Buffer.alloc(64 * 1024 * 1024))[9]).toBe(0)
  })

  it('stays as it is while other batches are packed, and until its writer is cleared', () => {
    const writer = new RecordBatchWriter()
    writer.append(jobs(100))
    const sealed = writer.seal()
    const before = Buffer.from(sealed)
    batchOf(jobs(200, 7))
    read(batchOf(jobs(300, 8)))
    expect(sealed.equals(before)).toBe(true)
    writer.append(jobs(1))
    expect(read(writer.seal())).toEqual([jobs(100), jobs(1)])
    writer.clear()
    writer.append(Buffer.from('short'))
    expect(read(writer.seal())).toEqual([Buffer.from('short')])
  })

  it('gives records that nobody else has', () => {
    const put = alikeRecords()
    const bytes = batchOf(...put)
    const given = read(bytes)
    bytes.fill(0)
    read(batchOf(jobs(500)))
    expect(given).toEqual(put)
  })
})

describe.each([
  ['a damaged batch', (): Buffer => batchOf(...records)],
  ['a damaged batch that is packed', (): Buffer => batchOf(...alikeRecords())],
])('%s', (_, make) => {
  const good = make()

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

  it('is told from one of a newer build', () => {
    const version = resealed(good, (bytes) => bytes.writeUInt8(2, 8))
    const flags = resealed(good, (bytes) => bytes.writeUInt8(2, 9))
    const both = resealed(good, (bytes) => bytes.writeUInt8(3, 9))
    const reserved = resealed(good, (bytes) => bytes.writeUInt8(1, 10))
    for (const bytes of [version, flags, both, reserved]) {
      const fault = faultOf(bytes)
      expect([fault.code, fault.retryable]).toEqual(['format_newer', false])
    }
  })
})

describe('a batch with a good checksum', () => {
  const good = batchOf(...records)
  const packed = batchOf(...alikeRecords())

  it('is refused when its lengths do not add up', () => {
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

  it('is refused when it is not what it says it is packed from', () => {
    const sizeAt = HEADER_BYTES
    const wrong = [
      resealed(packed, (bytes) => bytes.writeUInt32LE(bytes.readUInt32LE(sizeAt) + 1, sizeAt)),
      resealed(packed, (bytes) => bytes.writeUInt32LE(bytes.readUInt32LE(sizeAt) - 1, sizeAt)),
      resealed(packed, (bytes) => bytes.writeUInt32LE(0, sizeAt)),
      resealed(packed, (bytes) => bytes.writeUInt32LE(0xffff_ffff, sizeAt)),
      resealed(packed, (bytes) => bytes.writeUInt32LE(64 * 1024 * 1024, sizeAt)),
      resealed(packed, (bytes) => bytes.writeUInt32LE(records.length, 12)),
      resealed(good, (bytes) => bytes.writeUInt8(1, 9)),
      resealed(packed, (bytes) => bytes.writeUInt8(0, 9)),
      resealed(packed.subarray(0, HEADER_BYTES + 2), () => {}),
      resealed(packed.subarray(0, HEADER_BYTES + 6), () => {}),
      resealed(packed.subarray(0, -1), () => {}),
    ]
    for (const [i, bytes] of wrong.entries()) expect(faultOf(bytes).code, `${i}`).toBe('corrupt')
  })
})
