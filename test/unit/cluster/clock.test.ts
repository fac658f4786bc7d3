import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SteadyClock } from '../../../src/cluster/clock.ts'

function fake(wallMs: number) {
  const source = { wall: wallMs, monotonic: 0 }
  const clock = new SteadyClock({
    wallMs: () => source.wall,
    monotonicMs: () => source.monotonic,
  })
  /** Time goes on; the wall clock may be set besides. */
  const pass = (ms: number, setBy = 0): number => {
    source.monotonic += ms
    source.wall += ms + setBy
    return clock.nowMs()
  }
  return { pass }
}

describe('the clock', () => {
  it('follows the wall, and its jumps forward', () => {
    const { pass } = fake(1000)
    expect(pass(10)).toBe(1010)
    expect(pass(10, 3_600_000)).toBe(3_601_020)
    expect(pass(10)).toBe(3_601_030)
  })

  it('goes on at half speed after a step back, until the wall has caught up', () => {
    const { pass } = fake(100_000)
    expect(pass(0, -1000)).toBe(100_000)
    expect(pass(500)).toBe(100_250)
    expect(pass(1000)).toBe(100_750)
    expect(pass(500)).toBe(101_000)
    expect(pass(100)).toBe(101_100)
  })

  it('never goes back', () => {
    const step = fc.tuple(fc.nat(10_000), fc.integer({ min: -7_200_000, max: 7_200_000 }))
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const { pass } = fake(1_800_000_000_000)
        let last = pass(0)
        for (const [ms, setBy] of steps) {
          const now = pass(ms, setBy)
          expect(now).toBeGreaterThanOrEqual(last)
          last = now
        }
      }),
    )
  })
})
