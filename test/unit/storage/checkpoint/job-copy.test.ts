import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JobRow } from '../../../../src/engine/storage-port.ts'
import { CHUNK_BYTES } from '../../../../src/storage/postgres/checkpoint/copy-rows.ts'
import { JobDecoder } from '../../../../src/storage/postgres/checkpoint/job-decoder.ts'
import { JobEncoder } from '../../../../src/storage/postgres/checkpoint/job-encoder.ts'
import { jobRow, KeptRows } from '../../../support/job-rows.ts'

const SLOT = 37

function encode(meta: Buffer, rows: readonly JobRow[]): Buffer[] {
  const encoder = new JobEncoder(SLOT)
  const chunks = [...encoder.chunks(meta, rows)]
  expect(encoder.jobs).toBe(rows.length)
  return chunks
}

function decode(chunks: Iterable<Buffer>, slot = SLOT): KeptRows {
  const kept = new KeptRows()
  const decoder = new JobDecoder(slot, kept)
  // Each piece is overwritten after the call, as the memory of a socket is.
  for (const chunk of chunks) {
    const piece = Buffer.from(chunk)
    decoder.push(piece)
    piece.fill(0xee)
  }
  decoder.end()
  expect(decoder.jobs).toBe(kept.rows.length)
  return kept
}

function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...[...cuts].sort((a, b) => a - b), bytes.length]
  return at.slice(1).map((to, i) => bytes.subarray(at[i], to))
}

const lengthOfData = ({ data }: JobRow): number => data.length

const row: JobRow = fc.sample(jobRow, { numRuns: 1, seed: 7 })[0] as JobRow

describe('job rows in the binary COPY format', () => {
  it('come back as they went in, however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(jobRow, { maxLength: 12 }),
        fc.uint8Array({ maxLength: 50 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        (rows, meta, picks) => {
          const bytes = Buffer.concat(encode(Buffer.from(meta), rows))
          const kept = decode(
            cutAt(
              bytes,
              picks.map((pick) => pick % (bytes.length + 1)),
            ),
          )
          expect(kept.rows).toEqual(rows)
          expect(kept.metaBytes).toEqual(Buffer.from(meta))
        },
      ),
      { numRuns: 300 },
    )
  })

  it('come back when the stream is cut in two at any byte, and in single bytes', () => {
    const rows = fc.sample(jobRow, { numRuns: 4, seed: 11 })
    const bytes = Buffer.concat(encode(Buffer.from('meta'), rows))
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(decode(cutAt(bytes, [cut])).rows).toEqual(rows)
    }
    expect(decode([...bytes].map((byte) => Buffer.from([byte]))).rows).toEqual(rows)
  })

  it('take a job of the greatest size, in pieces of a socket', () => {
    const large = { ...row, data: Buffer.alloc(1 << 20, 'd'), result: Buffer.alloc(1 << 20, 'r') }
    const bytes = Buffer.concat(encode(Buffer.alloc(0), [row, large, large, row]))
    const cuts = Array.from({ length: Math.floor(bytes.length / 65_536) }, (_, i) => i * 65_536)
    const kept = decode(cutAt(bytes, cuts)).rows
    expect(kept.map(({ data }) => data.length)).toEqual([row, large, large, row].map(lengthOfData))
    expect(kept[2]?.data.equals(large.data) && kept[2].result?.equals(large.result)).toBe(true)
    expect(kept[3]).toEqual(row)
  })

  it('are handed out in chunks of about one size, which stay as they are', () => {
    const many = Array.from({ length: 5000 }, (_, i) => ({ ...row, id: i }))
    const chunks = encode(Buffer.alloc(0), many)
    for (const chunk of chunks.slice(1, -1)) {
      expect(chunk.length).toBeGreaterThanOrEqual(CHUNK_BYTES)
      expect(chunk.length).toBeLessThan(CHUNK_BYTES * 1.1)
    }
    expect(decode(chunks).rows).toEqual(many)
  })

  it('follow a meta of any size, an empty one too', () => {
    for (const size of [0, 1, 1 << 20, (1 << 20) + 1, 5 << 20]) {
      const meta = Buffer.alloc(size, 'meta')
      const kept = decode(encode(meta, [row]))
      expect(kept.metaBytes?.equals(meta)).toBe(true)
      expect(kept.calls).toEqual(['meta', 'job'])
    }
    expect(decode(encode(Buffer.from('only'), [])).metaBytes?.toString()).toBe('only')
  })
})

describe('bytes that are not what was written', () => {
  const whole = Buffer.concat(encode(Buffer.from('meta'), [row, row]))
  const refused = (bytes: Buffer, slot = SLOT): unknown => {
    try {
      decode([bytes], slot)
    } catch (error) {
      return error
    }
    return null
  }
  const fault = { name: 'StorageFault', code: 'corrupt', retryable: false }

  it('are refused when they end early, wherever', () => {
    for (let cut = 0; cut < whole.length; cut++) {
      expect(refused(whole.subarray(0, cut)), `cut at ${cut}`).toMatchObject(fault)
    }
  })

  it('are refused when something follows, when it is another format, or another slot', () => {
    expect(refused(Buffer.concat([whole, Buffer.from([0])]))).toMatchObject(fault)
    expect(refused(Buffer.from('1\tmail\twaiting\n'))).toMatchObject(fault)
    expect(refused(whole, SLOT + 1)).toMatchObject(fault)
  })

  it('are refused without the meta, or with its pieces out of order', () => {
    const header = whole.subarray(0, 19)
    const [first, second, last] = encode(Buffer.alloc(2 << 20), [row]) as [Buffer, Buffer, Buffer]
    const pieces = first.subarray(header.length)
    const refusedRows = (...rows: Buffer[]): unknown => refused(Buffer.concat([header, ...rows]))
    expect(refused(Buffer.concat([first, second, last]))).toBe(null)
    expect(refusedRows(last)).toMatchObject(fault)
    expect(refusedRows(second, last)).toMatchObject(fault)
    expect(refusedRows(second, pieces, last)).toMatchObject(fault)
  })

  it('are refused with a state or a width of a number that is unknown', () => {
    const bytes = Buffer.from(whole)
    bytes.write('wander-', bytes.indexOf(row.state), row.state.length, 'latin1')
    expect(refused(bytes)).toMatchObject(fault)
    const narrow = Buffer.from(whole)
    narrow.writeInt32BE(4, narrow.lastIndexOf(Buffer.from([0, 0, 0, 8])))
    expect(refused(narrow)).toMatchObject(fault)
  })
})
