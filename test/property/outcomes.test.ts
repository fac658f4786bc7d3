import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Outcome, Outcomes } from '../../src/engine/outcomes.ts'

it('outcomes behave like a map with completed as its default', () => {
  const outcome = fc.constantFrom<Outcome>('completed', 'failed', 'cancelled', 'expired')
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(20_000), outcome), { maxLength: 300 }), (sets) => {
      const outcomes = new Outcomes()
      const model = new Map<number, Outcome>()
      for (const [seq, how] of sets) {
        outcomes.set(seq, how)
        model.set(seq, how)
      }
      for (const [seq] of sets) {
        for (const near of [seq, seq + 1]) {
          expect(outcomes.get(near)).toBe(model.get(near) ?? 'completed')
        }
      }
      const pages = [...model].filter(([, how]) => how !== 'completed').map(([seq]) => seq >> 12)
      expect(outcomes.size).toBe(new Set(pages).size)
    }),
  )
})
