import fc from 'fast-check'
import { expect, it } from 'vitest'
import { DueHeap } from '../../src/engine/due-heap.ts'

const step = fc.oneof(
  { weight: 5, arbitrary: fc.tuple(fc.constant('add' as const), fc.nat(50), fc.nat(1000)) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('pop' as const), fc.nat(9), fc.constant(0)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('sweep' as const), fc.nat(6), fc.nat(40)) },
)

it('the due heap behaves like a sorted array, swept or not', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 500, size: 'max' }), (steps) => {
      const heap = new DueHeap()
      const model: [number, number][] = []
      const dead = new Set<number>()
      let next = 0
      for (const [op, a, b] of steps) {
        if (op === 'add') {
          for (let i = 0; i <= b % 20; i++) {
            const key = next++ * 8
            heap.add(a, key)
            model.push([a, key])
          }
          model.sort((x, y) => x[0] - y[0] || x[1] - y[1])
        } else if (op === 'pop') {
          for (let i = 0; i < a; i++) {
            const top = model.shift()
            expect(heap.popKey()).toBe(top?.[1] ?? -1)
            if (top !== undefined) dead.delete(top[1])
          }
        } else {
          for (const [, key] of model) if (key % 7 === a) dead.add(key)
          heap.sweep((_dueMs, key) => !dead.has(key), b)
          heap.sweep((_dueMs, key) => !dead.has(key), Number.POSITIVE_INFINITY)
          heap.sweep((_dueMs, key) => !dead.has(key), Number.POSITIVE_INFINITY)
          const kept = model.filter(([, key]) => !dead.has(key))
          model.splice(0, model.length, ...kept)
          dead.clear()
        }
        expect(heap.size).toBe(model.length)
        expect(heap.topDueMs()).toBe(model[0]?.[0] ?? Number.POSITIVE_INFINITY)
      }
      for (const [, key] of model) expect(heap.popKey()).toBe(key)
    }),
    { numRuns: 150 },
  )
})

it('a heap of many chunks gives a hundred thousand timers in order', () => {
  const heap = new DueHeap()
  let random = 7
  for (let key = 0; key < 100_000; key++) {
    random = (random * 48_271) % 0x7fffffff
    heap.add(random % 1000, key)
  }
  let last = -1
  while (heap.size > 0) {
    const rank = heap.topDueMs() * 100_000 + heap.popKey()
    if (rank <= last) throw new Error(`${rank} came after ${last}`)
    last = rank
  }
})
