import { describe, expect, it } from 'vitest'
import { FinishedRing } from '../../../src/engine/finished-ring.ts'

describe('the finished jobs', () => {
  it('say so when there are none', () => {
    const ring = new FinishedRing()
    expect([ring.count, ring.oldestSeq(), ring.oldestAtMs(), ring.dropOldest()]).toEqual([
      0,
      -1,
      Number.POSITIVE_INFINITY,
      -1,
    ])
  })

  it('are given up in the order they finished', () => {
    const ring = new FinishedRing()
    ring.add(7, 100, 10)
    ring.add(8, 100, 20)
    ring.add(3, 100, 1)
    ring.add(4, 101, 1)
    expect([ring.count, ring.oldestSeq(), ring.oldestAtMs(), ring.oldestRunBytes()]).toEqual([
      4, 7, 100, 30,
    ])
    expect([ring.dropOldest(), ring.dropOldest(), ring.dropOldest()]).toEqual([7, 8, 3])
    expect([ring.oldestSeq(), ring.oldestAtMs()]).toEqual([4, 101])
    expect([ring.dropOldest(), ring.count]).toEqual([4, 0])
  })

  it('of one batch can be added to while the first of it are dropped', () => {
    const ring = new FinishedRing()
    ring.add(0, 5, 1)
    ring.add(1, 5, 1)
    ring.dropOldest()
    ring.add(2, 5, 1)
    expect([ring.dropOldest(), ring.dropOldest(), ring.count]).toEqual([1, 2, 0])
    ring.add(3, 5, 1)
    expect([ring.oldestSeq(), ring.oldestAtMs()]).toEqual([3, 5])
  })

  it('keep their order over many chunks', () => {
    const ring = new FinishedRing()
    let dropped = 0
    for (let i = 0; i < 50_000; i++) {
      ring.add(i * 3, 1000 + i, 1)
      if (ring.count > 5000 && ring.dropOldest() !== dropped++ * 3) throw new Error('out of order')
    }
    while (ring.count > 0) {
      expect(ring.oldestAtMs()).toBe(1000 + dropped)
      expect(ring.dropOldest()).toBe(dropped++ * 3)
    }
    expect(dropped).toBe(50_000)
  })
})
