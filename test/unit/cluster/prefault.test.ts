import { afterEach, describe, expect, it } from 'vitest'
import { Prefault } from '../../../src/cluster/prefault.ts'
import { type JobPage, PAGE_BYTES } from '../../../src/engine/job-store.ts'
import { SLAB_BYTES_MAX } from '../../../src/engine/payload-store.ts'
import { SpareMemory } from '../../../src/engine/spare-memory.ts'
import { eventually } from '../../support/eventually.ts'

const MIB = 1024 * 1024
let prefault: Prefault

afterEach(() => prefault.stop())

function spareOf(bytesMax: number): SpareMemory<JobPage> {
  const spare = new SpareMemory<JobPage>(PAGE_BYTES, bytesMax)
  prefault = new Prefault(spare)
  prefault.start()
  return spare
}

/** Asks as a large store does, until `isReady`. */
async function wantMemory(spare: SpareMemory<JobPage>, isReady: () => boolean): Promise<void> {
  await eventually('memory is ready', 5000, () => {
    spare.largeTakes = 1
    prefault.keepAhead()
    return isReady()
  })
}

describe('memory ahead of its use', () => {
  it('is there when a large store has taken some', async () => {
    const spare = spareOf(128 * MIB)
    await wantMemory(spare, () => spare.slabCount > 0 && spare.pageCount > 0)
    expect(spare.takeSlab(1, false)?.length).toBe(SLAB_BYTES_MAX)
    expect(spare.takePage()?.state.every((state) => state === 0)).toBe(true)
  })

  it('is not made for a store that is small', async () => {
    const spare = spareOf(128 * MIB)
    await wantMemory(spare, () => spare.slabCount === 6 && spare.pageCount === 64)
    const { bytes } = spare
    spare.takeSlab(1, false)
    prefault.keepAhead()
    expect(spare.largeTakes).toBe(0)
    expect(spare.bytes).toBe(bytes - SLAB_BYTES_MAX)
  })

  it('is made up to the bound of spare memory, and none that would not be kept', async () => {
    const spare = spareOf(2 * SLAB_BYTES_MAX + PAGE_BYTES)
    await wantMemory(spare, () => spare.slabCount === 2)
    expect(spare.room).toBe(PAGE_BYTES)
    spare.largeTakes = 1
    prefault.keepAhead()
    expect(spare.bytes).toBe(2 * SLAB_BYTES_MAX)
  })
})
