// Packed bytes, where they are most likely to be wrong: borders of pieces and of 16 bytes, lengths that need more bytes.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ByteWriter } from '../../../../src/engine/byte-writer.ts'
import { PIECE_BYTES, useLzKernel } from '../../../../src/storage/lz/lz-kernel.ts'
import { packInto } from '../../../../src/storage/lz/pack.ts'
import { canUnpack, unpackInto } from '../../../../src/storage/lz/unpack.ts'
import { jobs, noise } from '../../../support/alike-bytes.ts'

function packed(bytes: Buffer): Buffer | null {
  const out = new ByteWriter(0)
  return packInto(out, bytes, 0, bytes.length) ? out.toBuffer() : null
}

function unpacked(bytes: Buffer, length: number): Buffer | null {
  const out = Buffer.alloc(length)
  return unpackInto(out, 0, bytes, 0) ? out : null
}

/** One block of these bytes as packed bytes. */
function block(...bytes: number[]): Buffer {
  const out = Buffer.from([0, 0, 0, 0, ...bytes])
  out.writeUInt32LE(bytes.length, 0)
  return out
}

afterEach(() => useLzKernel(true))

describe('what was packed', () => {
  it('is a fraction of what it was, for jobs that look alike', () => {
    const bytes = jobs(1000)
    expect(packed(bytes)?.length).toBeLessThan(bytes.length / 8)
  })

  it('is given back, whatever its length', () => {
    const lengths = Array.from({ length: 80 }, (_, i) => i)
    for (const near of [PIECE_BYTES, 2 * PIECE_BYTES]) {
      lengths.push(...[-17, -13, -12, -6, -5, -1, 0, 1, 5, 12, 13, 17].map((more) => near + more))
    }
    const texts = [jobs(3000), Buffer.alloc(3 * PIECE_BYTES, 'abc'), Buffer.alloc(3 * PIECE_BYTES)]
    let count = 0
    for (const text of texts) {
      for (const length of lengths) {
        const bytes = text.subarray(0, length)
        const small = packed(bytes)
        if (small === null) continue
        count++
        expect(unpacked(small, length)?.equals(bytes), `${length}`).toBe(true)
      }
    }
    expect(count).toBeGreaterThan(150)
  })

  it('has literals and matches of every length, at every distance', () => {
    for (const literals of [1, 14, 15, 16, 17, 269, 270, 271, 525, 600]) {
      for (const match of [6, 18, 19, 20, 34, 273, 274, 275, 1000]) {
        const text = noise(2000, literals)
        const pieces = [text.subarray(0, match), text.subarray(1000, 1000 + literals)]
        const bytes = Buffer.concat([...pieces, ...pieces, ...pieces, pieces[0] as Buffer])
        const small = packed(bytes)
        if (small !== null) expect(unpacked(small, bytes.length)?.equals(bytes)).toBe(true)
      }
    }
    for (let distance = 1; distance < 40; distance++) {
      const bytes = Buffer.alloc(500, noise(distance))
      expect(unpacked(packed(bytes) as Buffer, 500)?.equals(bytes), `${distance}`).toBe(true)
    }
    const far = Buffer.concat([noise(PIECE_BYTES / 2), noise(PIECE_BYTES / 2)])
    expect(unpacked(packed(far) as Buffer, far.length)?.equals(far)).toBe(true)
  })

  it('is left as it is when it would hardly be smaller, and what was written before stays', () => {
    const out = new ByteWriter()
    out.ascii('before')
    const piece = jobs(2000).subarray(0, PIECE_BYTES)
    for (const bytes of [noise(5000), Buffer.concat([piece, noise(PIECE_BYTES)])]) {
      expect(packInto(out, bytes, 0, bytes.length)).toBe(false)
      expect(out.toBuffer().toString()).toBe('before')
    }
  })

  it('is a part of what it is packed from, and unpacked to a part', () => {
    const bytes = jobs(50)
    const out = new ByteWriter(3)
    out.ascii('head')
    expect(packInto(out, bytes, 100, 2100)).toBe(true)
    const into = Buffer.alloc(2007)
    expect(unpackInto(into, 7, out.toBuffer(), 4)).toBe(true)
    expect(into.equals(Buffer.concat([Buffer.alloc(7), bytes.subarray(100, 2100)]))).toBe(true)
  })
})

describe.each([true, false])('bytes that nobody packed, with a kernel: %s', (on) => {
  beforeEach(() => useLzKernel(on))

  it('are refused where they are damaged', () => {
    const good = [0x20, 97, 98, 2, 0, 0x50, 49, 50, 51, 52, 53]
    expect(unpacked(block(...good), 11)?.toString()).toBe('ababab12345')
    const bad: [string, number, Buffer][] = [
      ['a length that is not theirs', 10, block(...good)],
      ['a length that is not theirs', 12, block(...good)],
      ['nothing', 1, Buffer.alloc(0)],
      ['a block of nothing', 1, block()],
      ['a size that is cut', 1, Buffer.alloc(3)],
      ['a size beyond the end', 11, block(...good).subarray(0, -1)],
      ['something behind', 11, Buffer.concat([block(...good), Buffer.alloc(1)])],
      ['a block too many', 11, Buffer.concat([block(...good), block(0)])],
      ['no distance', 11, block(0x20, 97, 98, 0, 0, 0x50, 49, 50, 51, 52, 53)],
      ['a distance to before the piece', 11, block(0x20, 97, 98, 3, 0, 0x50, 49, 50, 51, 52, 53)],
      ['a distance that is cut', 6, block(0x20, 97, 98, 2)],
      ['no last literals', 6, block(0x20, 97, 98, 2, 0)],
      ['literals beyond the end', 4, block(0x40, 97, 98, 99)],
      ['a length that is cut', 300, block(0xf0, 255, 255)],
      ['a length that is not there', 15, block(0xf0)],
      ['a match length that is cut', 300, block(0x1f, 97, 1, 0, 255)],
      ['more literals than asked for', 2, block(0x30, 97, 98, 99)],
      ['a longer match than asked for', 100, block(0x1f, 97, 1, 0, 255, 255, 0)],
    ]
    for (const [what, length, bytes] of bad) expect(unpacked(bytes, length), what).toBe(null)
  })

  it('are refused when a block is larger than a kernel can take', () => {
    const bytes = Buffer.concat([block(), Buffer.alloc(PIECE_BYTES + 1)])
    bytes.writeUInt32LE(PIECE_BYTES + 1, 0)
    expect(unpacked(bytes, PIECE_BYTES)).toBe(null)
    bytes.writeUInt32LE(0xffff_ffff, 0)
    expect(unpacked(bytes, PIECE_BYTES)).toBe(null)
  })

  it('say no more than they can', () => {
    const most = Buffer.alloc(PIECE_BYTES)
    const small = on ? (packed(most) as Buffer) : Buffer.alloc(300)
    expect(canUnpack(small.length, most.length)).toBe(true)
    expect(canUnpack(10, 2551)).toBe(false)
  })
})

describe('without WebAssembly', () => {
  it('nothing is packed, and everything is unpacked', async () => {
    const bytes = jobs(2000)
    const small = packed(bytes) as Buffer
    vi.resetModules()
    vi.stubGlobal('WebAssembly', undefined)
    try {
      const { lzKernel } = await import('../../../../src/storage/lz/lz-kernel.ts')
      const { packInto: pack } = await import('../../../../src/storage/lz/pack.ts')
      const { unpackInto: unpack } = await import('../../../../src/storage/lz/unpack.ts')
      expect(lzKernel()).toBe(null)
      expect(pack(new ByteWriter(), bytes, 0, bytes.length)).toBe(false)
      const out = Buffer.alloc(bytes.length)
      expect(unpack(out, 0, small, 0)).toBe(true)
      expect(out.equals(bytes)).toBe(true)
    } finally {
      vi.unstubAllGlobals()
      vi.resetModules()
    }
  })
})
