import fc from 'fast-check'
import { expect, it } from 'vitest'
import { RunFifo } from '../../src/engine/run-fifo.ts'

it('a FIFO of runs behaves like an array', () => {
  const step = fc.oneof(
    fc.record({
      op: fc.constant('push' as const),
      gap: fc.nat(2),
      count: fc.integer({ min: 1, max: 40 }),
    }),
    fc.record({ op: fc.constant('take' as const), gap: fc.constant(0), count: fc.nat(60) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const fifo = new RunFifo()
      const model: number[] = []
      let next = 0
      for (const { op, gap, count } of steps) {
        if (op === 'push') {
          next += gap
          fifo.pushRun(next, count)
          for (let i = 0; i < count; i++) model.push(next++)
        } else {
          const taken = fifo.shiftRun(count)
          for (let i = 0; i < taken; i++) expect(fifo.shiftedFirst + i).toBe(model.shift())
        }
        expect(fifo.size).toBe(model.length)
        expect(fifo.peek()).toBe(model[0] ?? -1)
      }
    }),
  )
})
