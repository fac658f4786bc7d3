import { describe, expect, it } from 'vitest'
import { RateWindow } from '../../../src/engine/rate-window.ts'

const start = 1_700_000_000_000

describe('the rate window', () => {
  it('is zero when nothing happened', () => {
    const window = new RateWindow()
    expect([window.perSecond(start, 10), window.mean(start, 60), window.count(start, 60)]).toEqual([
      0, 0, 0,
    ])
  })

  it('gives the rate of the last full seconds, without the running one', () => {
    const window = new RateWindow()
    for (let second = 0; second < 10; second++) window.add(start + second * 1000, 50, 0)
    window.add(start + 10_000, 7000, 0)
    expect(window.perSecond(start + 10_999, 10)).toBe(50)
    expect(window.perSecond(start + 11_000, 10)).toBe((9 * 50 + 7000) / 10)
  })

  it('gives mean and count at once, the running second included', () => {
    const window = new RateWindow()
    window.add(start, 2, 30)
    window.add(start + 1500, 1, 60)
    expect([window.count(start + 1500, 60), window.mean(start + 1500, 60)]).toEqual([3, 30])
  })

  it('forgets what is older than the window', () => {
    const window = new RateWindow()
    window.add(start, 5, 5)
    expect(window.count(start + 59_000, 60)).toBe(5)
    expect(window.count(start + 60_000, 60)).toBe(0)
    expect(window.perSecond(start + 10_000, 10)).toBe(0.5)
    expect(window.perSecond(start + 11_000, 10)).toBe(0)
  })

  it('shows nothing of an earlier round after a pause', () => {
    const window = new RateWindow()
    window.add(start, 5, 50)
    expect(window.count(start + 64_000, 60)).toBe(0)
    window.add(start + 64_000, 1, 4)
    expect([window.count(start + 64_000, 60), window.mean(start + 64_000, 60)]).toEqual([1, 4])
  })
})
