import { describe, expect, it } from 'vitest'
import { DueHeap, kindOf, seqOf, TimerKind, timerKey } from '../../../src/engine/due-heap.ts'

describe('a timer key', () => {
  it('carries kind and sequence, large ones too', () => {
    for (const kind of Object.values(TimerKind)) {
      for (const seq of [0, 1, 4096, 2 ** 40, 2 ** 48]) {
        const key = timerKey(kind, seq)
        expect([kindOf(key), seqOf(key)]).toEqual([kind, seq])
      }
    }
  })
})

describe('the due heap', () => {
  it('says so when it is empty', () => {
    const heap = new DueHeap()
    expect([heap.topDueMs(), heap.topKey(), heap.popKey()]).toEqual([
      Number.POSITIVE_INFINITY,
      -1,
      -1,
    ])
  })

  it('gives what is due first, and by key what is due at the same time', () => {
    const heap = new DueHeap()
    for (const [dueMs, key] of [
      [30, 1],
      [10, 9],
      [20, 5],
      [10, 2],
      [10, 7],
    ] as const) {
      heap.add(dueMs, key)
    }
    const out: number[][] = []
    while (heap.size > 0) out.push([heap.topDueMs(), heap.popKey()])
    expect(out).toEqual([
      [10, 2],
      [10, 7],
      [10, 9],
      [20, 5],
      [30, 1],
    ])
  })

  it('wants a sweep only when stale entries outnumber the rest', () => {
    const heap = new DueHeap()
    for (let i = 0; i < 4000; i++) heap.add(i, i)
    heap.noteStale(3000)
    expect(heap.wantsSweep).toBe(false)
    heap.noteStale(100)
    expect(heap.wantsSweep).toBe(true)
  })

  it('looks at no more entries in a sweep than it may', () => {
    const heap = new DueHeap()
    for (let i = 0; i < 20_000; i++) heap.add(i, i)
    heap.noteStale(19_000)
    let sweeps = 0
    let looked = 0
    while (heap.wantsSweep) {
      let calls = 0
      heap.sweep((_dueMs, key) => {
        calls++
        return key % 20 === 0
      }, 1000)
      expect(calls).toBeLessThanOrEqual(2000)
      looked += calls
      sweeps++
    }
    expect(sweeps).toBeGreaterThan(10)
    expect(looked).toBeGreaterThanOrEqual(20_000)
    expect([heap.size, heap.stale]).toEqual([1000, 0])
    for (let i = 0; i < 1000; i++) expect(heap.popKey()).toBe(i * 20)
  })

  it('counts a popped stale entry back', () => {
    const heap = new DueHeap()
    heap.add(1, 1)
    heap.noteStale()
    heap.popKey()
    heap.noteStale(-1)
    expect(heap.stale).toBe(0)
  })
})
