import { describe, expect, it } from 'vitest'
import { Outcomes } from '../../../src/engine/outcomes.ts'

describe('outcomes', () => {
  it('are completed unless something else is known', () => {
    const outcomes = new Outcomes()
    outcomes.set(5, 'failed')
    outcomes.set(6, 'cancelled')
    outcomes.set(7, 'expired')
    expect([4, 5, 6, 7, 8, 999_999].map((seq) => outcomes.get(seq))).toEqual([
      'completed',
      'failed',
      'cancelled',
      'expired',
      'completed',
      'completed',
    ])
  })

  it('cost nothing while every job completes', () => {
    const outcomes = new Outcomes()
    for (let seq = 0; seq < 100_000; seq++) outcomes.set(seq, 'completed')
    expect(outcomes.size).toBe(0)
  })

  it('can be corrected, and a page of completed jobs is given up', () => {
    const outcomes = new Outcomes()
    outcomes.set(1, 'failed')
    outcomes.set(2, 'failed')
    outcomes.set(1, 'completed')
    expect([outcomes.get(1), outcomes.get(2), outcomes.size]).toEqual(['completed', 'failed', 1])
    outcomes.set(2, 'cancelled')
    outcomes.set(2, 'completed')
    expect([outcomes.get(2), outcomes.size]).toEqual(['completed', 0])
  })

  it('are unknown before the oldest page that was kept', () => {
    const outcomes = new Outcomes(2)
    for (const page of [3, 5, 9]) outcomes.set(page * 4096 + 1, 'failed')
    expect(outcomes.size).toBe(2)
    expect(outcomes.get(3 * 4096 + 1)).toBe('unknown')
    expect(outcomes.get(0)).toBe('unknown')
    expect(outcomes.get(4 * 4096)).toBe('completed')
    expect(outcomes.get(5 * 4096 + 1)).toBe('failed')
    outcomes.set(0, 'failed')
    expect([outcomes.size, outcomes.get(0)]).toEqual([2, 'unknown'])
  })

  it('do not give up newer pages for one that is older than all', () => {
    const outcomes = new Outcomes(2)
    for (const page of [7, 9, 2]) outcomes.set(page * 4096, 'expired')
    expect([2, 7, 9].map((page) => outcomes.get(page * 4096))).toEqual([
      'unknown',
      'expired',
      'expired',
    ])
    expect(outcomes.get(5 * 4096)).toBe('completed')
  })

  it('hold for sequences beyond 32 bits', () => {
    const outcomes = new Outcomes()
    const seq = 2 ** 47 + 3
    outcomes.set(seq, 'cancelled')
    expect([outcomes.get(seq - 1), outcomes.get(seq), outcomes.get(seq + 1)]).toEqual([
      'completed',
      'cancelled',
      'completed',
    ])
  })
})
