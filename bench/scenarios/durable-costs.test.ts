import { describe, expect, it } from 'vitest'
import { costOf, medianCost, sumOf } from './durable-costs.ts'

const before = { databaseCpuMs: 100, ownCpuMs: 50, walBytes: 1000 }
const after = { databaseCpuMs: 160, ownCpuMs: 90, walBytes: 31_000 }

describe('the cost of a job', () => {
  it('is what was used meanwhile, for each job', () => {
    expect(costOf(before, after, 100)).toEqual({
      databaseCpuUs: 600,
      ownCpuUs: 400,
      walBytes: 300,
    })
  })

  it('of two halves is that of both', () => {
    const half = costOf(before, after, 100)
    expect(sumOf(half, costOf(before, after, 200))).toEqual({
      databaseCpuUs: 900,
      ownCpuUs: 600,
      walBytes: 450,
    })
  })

  it('of many rounds is the median of each figure', () => {
    const rounds = [1, 9, 2].map((n) => ({ databaseCpuUs: n, ownCpuUs: 10 - n, walBytes: n * n }))
    expect(medianCost(rounds)).toEqual({ databaseCpuUs: 2, ownCpuUs: 8, walBytes: 4 })
  })
})
