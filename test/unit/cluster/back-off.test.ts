import { expect, it } from 'vitest'
import { BackOff } from '../../../src/cluster/back-off.ts'

it('restarts at once, then waits twice as long with each early death, up to 30 s', () => {
  const backOff = new BackOff()
  const delays = Array.from({ length: 10 }, () => backOff.died(100))
  expect(delays).toEqual([0, 250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
})

it('starts over after a life of 10 s', () => {
  const backOff = new BackOff()
  for (let i = 0; i < 5; i++) backOff.died(100)
  expect(backOff.died(10_000)).toBe(0)
  expect(backOff.died(9_999)).toBe(250)
})
