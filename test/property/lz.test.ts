// Any bytes are packed and unpacked; any others are refused the same way by the kernel and in JavaScript.

import fc from 'fast-check'
import { afterEach, expect, it } from 'vitest'
import { ByteWriter } from '../../src/engine/byte-writer.ts'
import { lzKernel, PIECE_BYTES, useLzKernel } from '../../src/storage/lz/lz-kernel.ts'
import { packInto } from '../../src/storage/lz/pack.ts'
import { unpackInto } from '../../src/storage/lz/unpack.ts'
import { alikeBytes, jobs } from '../support/alike-bytes.ts'

const RUNS = Number(process.env['FLASHQ_LZ_RUNS'] ?? 300)

afterEach(() => useLzKernel(true))

function packed(bytes: Buffer): Buffer | null {
  const out = new ByteWriter(0)
  return packInto(out, bytes, 0, bytes.length) ? out.toBuffer() : null
}

/** The same, with and without the kernel. */
function unpacked(bytes: Buffer, length: number): Buffer | null {
  const outs = [true, false].map((on) => {
    useLzKernel(on)
    const out = Buffer.alloc(length)
    return unpackInto(out, 0, bytes, 0) ? out : null
  })
  useLzKernel(true)
  const [one, other] = outs
  if (one === null || one === undefined || other === null || other === undefined) {
    expect(one).toBe(other)
    return null
  }
  expect(one.equals(other)).toBe(true)
  return one
}

const anyBytes = fc.oneof(
  { weight: 4, arbitrary: alikeBytes },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)) },
  { weight: 1, arbitrary: fc.nat(3000).map((count) => jobs(count)) },
)

it('whatever is packed is given back', () => {
  let count = 0
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      const small = packed(bytes)
      if (small === null) return
      count++
      const blocks = Math.ceil(bytes.length / PIECE_BYTES)
      expect(small.length).toBeLessThanOrEqual((bytes.length * 7) / 8 + 5 * blocks)
      expect(unpacked(small, bytes.length)?.equals(bytes)).toBe(true)
    }),
    { numRuns: RUNS },
  )
  expect(count).toBeGreaterThan(RUNS / 2)
})

it('whatever was damaged is refused, or is as long as it should be', () => {
  const change = fc.record({ at: fc.nat(), to: fc.nat(255) })
  const damage = fc.record({
    changes: fc.array(change, { minLength: 1, maxLength: 4 }),
    cut: fc.oneof(fc.constant(0), fc.nat(20)),
    longer: fc.oneof(fc.constant(0), fc.integer({ min: -20, max: 20 })),
  })
  fc.assert(
    fc.property(alikeBytes, damage, (bytes, { changes, cut, longer }) => {
      const small = packed(bytes)
      if (small === null || bytes.length === 0) return
      // The size of a block is changed with its end, so that what is wrong is found within it.
      const bad = Buffer.from(small.subarray(0, Math.max(5, small.length - cut)))
      for (const { at, to } of changes) bad[4 + (at % (bad.length - 4))] = to
      bad.writeUInt32LE(bad.length - 4, 0)
      unpacked(bad, Math.max(0, bytes.length + longer))
    }),
    { numRuns: RUNS },
  )
})

it('whatever anybody wrote is unpacked within its bounds', () => {
  const kernel = lzKernel()
  if (kernel === null) throw new Error('there is no kernel here')
  const memory = Buffer.from(kernel.plain.buffer)
  const outside = [kernel.plain, kernel.packed].map((area, i, areas) =>
    memory.subarray(area.byteOffset + PIECE_BYTES + 32, areas[i + 1]?.byteOffset ?? memory.length),
  )
  const token = fc.oneof(fc.constantFrom(0, 0x0f, 0xf0, 0xff, 0x1f), fc.nat(255))
  const wild = fc.array(fc.oneof(token, fc.constantFrom(255, 0, 1)), { maxLength: 300 })
  for (const area of outside) area.fill(0x5a)
  fc.assert(
    fc.property(wild, fc.oneof(fc.nat(300), fc.nat(PIECE_BYTES)), (bytes, length) => {
      const small = Buffer.from([0, 0, 0, 0, ...bytes])
      small.writeUInt32LE(bytes.length, 0)
      const out = Buffer.alloc(length)
      unpackInto(out, 0, small, 0)
    }),
    { numRuns: RUNS * 3 },
  )
  for (const area of outside) expect(area.every((byte) => byte === 0x5a)).toBe(true)
  fc.assert(
    fc.property(wild, fc.nat(400), (bytes, length) => {
      const small = Buffer.from([0, 0, 0, 0, ...bytes])
      small.writeUInt32LE(bytes.length, 0)
      unpacked(small, length)
    }),
    { numRuns: RUNS },
  )
})
