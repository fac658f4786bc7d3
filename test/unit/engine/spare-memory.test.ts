import { describe, expect, it } from 'vitest'
import { type Piece, SpareMemory } from '../../../src/engine/spare-memory.ts'

const MIB = 1024 * 1024

describe('spare memory', () => {
  it('gives what it got last, counts what it has, and keeps no more than its bound', () => {
    const spare = new SpareMemory(100, 1000)
    spare.giveSlab(Buffer.alloc(60))
    spare.giveSlab(Buffer.alloc(40))
    spare.giveSlab(Buffer.alloc(901))
    expect(spare.bytes).toBe(100)
    expect(spare.takeSlab(1, true)?.length).toBe(40)
    expect(spare.largeTakes).toBe(1)
    expect(spare.takePage()).toBeUndefined()
    expect(spare.bytes).toBe(60)
  })

  it('cuts fresh pieces, all zero, which do not overlap, from one extent after another', () => {
    const spare = new SpareMemory(MIB, 0, 64 * MIB)
    const slabs = Array.from({ length: 33 }, () => spare.cut(2 * MIB))
    expect(new Set(slabs.map(({ buffer }) => buffer)).size).toBe(2)
    expect(
      new Set(slabs.map(({ buffer, byteOffset }) => `${buffer === slabs[0]?.buffer} ${byteOffset}`))
        .size,
    ).toBe(33)
    expect(slabs.every((slab) => slab[0] === 0 && slab[slab.length - 1] === 0)).toBe(true)
    expect(spare.extentBytes).toBe(128 * MIB)
  })

  it('opens larger extents the more there is, up to the most', () => {
    const spare = new SpareMemory(MIB, 0, 256 * MIB)
    const sizes = new Set<number>()
    for (let i = 0; i < 64; i++) sizes.add(spare.cut(32 * MIB).buffer.byteLength / MIB)
    expect([...sizes]).toEqual([64, 96, 144, 216, 256])
  })

  it('has pieces of their own for what is larger than an extent, and where there are none', () => {
    expect(new SpareMemory(MIB, 0, MIB).cut(2 * MIB).buffer.byteLength).toBe(2 * MIB)
    expect(new SpareMemory(MIB).cut(100).buffer.byteLength).toBe(100)
  })

  it('keeps pieces beyond its bound while their extent is in use, and gives the extent back with the last', () => {
    const spare = new SpareMemory<Piece>(MIB, 8 * MIB, 64 * MIB)
    const first = Array.from({ length: 16 }, () => spare.cut(4 * MIB))
    const second = spare.cut(4 * MIB)
    const kept = first.pop() as Buffer
    for (const slab of first) spare.giveSlab(slab)
    expect(spare.bytes).toBe(60 * MIB)
    expect(spare.room).toBeLessThan(0)
    expect(spare.boundBytes).toBe(8 * MIB)
    const again = spare.takeSlab(1, false) as Buffer
    expect(again.buffer).toBe(kept.buffer)
    spare.giveSlab(kept)
    expect(spare.extentBytes).toBe(128 * MIB)
    spare.giveSlab(again)
    expect(spare.extentBytes).toBe(64 * MIB)
    expect([spare.bytes, spare.slabCount]).toEqual([0, 0])
    // Within the bound, and of the extent that is being cut.
    spare.giveSlab(second)
    expect([spare.bytes, spare.slabCount]).toEqual([4 * MIB, 1])
  })

  it('counts the pages of a block one by one', () => {
    const spare = new SpareMemory<Piece>(MIB, 0, 64 * MIB)
    const block = spare.cut(64 * MIB, 64)
    spare.cut(MIB)
    for (let i = 0; i < 63; i++) spare.givePage({ buffer: block.buffer })
    expect(spare.pageCount).toBe(63)
    spare.givePage({ buffer: block.buffer })
    expect([spare.pageCount, spare.bytes, spare.extentBytes]).toEqual([0, 0, 64 * MIB])
  })
})
