import { describe, expect, it } from 'vitest'
import { RateLimiter } from '../../../src/engine/rate-limiter.ts'

const start = 1_700_000_000_000

function takeAll(limiter: RateLimiter, nowMs: number): number {
  let taken = 0
  while (limiter.take(1, nowMs)) taken++
  return taken
}

describe('the rate limiter', () => {
  it('allows a burst of the whole limit at the start', () => {
    const limiter = new RateLimiter(10, start)
    expect(limiter.available(start)).toBe(10)
    expect(takeAll(limiter, start)).toBe(10)
    expect(limiter.available(start)).toBe(0)
  })

  it('lets 30 pulls at a limit of 10 take two seconds', () => {
    const limiter = new RateLimiter(10, start)
    let nowMs = start
    for (let pull = 0; pull < 30; pull++) {
      nowMs = limiter.nextTokenMs(nowMs)
      expect(limiter.take(1, nowMs)).toBe(true)
    }
    expect(nowMs - start).toBe(2000)
  })

  it('refills continuously and no further than the limit', () => {
    const limiter = new RateLimiter(10, start)
    takeAll(limiter, start)
    expect(limiter.available(start + 99)).toBe(0)
    expect(limiter.available(start + 100)).toBe(1)
    expect(limiter.available(start + 250)).toBe(2)
    expect(limiter.available(start + 60_000)).toBe(10)
  })

  it('says when the next token is there, and it is there then', () => {
    for (const limit of [1, 3, 7, 10, 999, 1000, 12_345, 4_294_967_295]) {
      const limiter = new RateLimiter(limit, start)
      let nowMs = start
      limiter.take(limit, nowMs)
      for (let i = 0; i < 50; i++) {
        const dueMs = limiter.nextTokenMs(nowMs)
        expect(limiter.available(dueMs)).toBeGreaterThanOrEqual(1)
        if (dueMs > nowMs && limit <= 1000) expect(limiter.available(dueMs - 1)).toBe(0)
        nowMs = dueMs
        limiter.take(1, nowMs)
      }
    }
  })

  it('gives all or none', () => {
    const limiter = new RateLimiter(5, start)
    expect(limiter.take(6, start)).toBe(false)
    expect(limiter.available(start)).toBe(5)
    expect(limiter.take(5, start)).toBe(true)
  })

  it('never gives a token at limit 0', () => {
    const limiter = new RateLimiter(0, start)
    expect(limiter.take(1, start + 1e9)).toBe(false)
    expect(limiter.nextTokenMs(start)).toBe(Number.POSITIVE_INFINITY)
  })

  it('neither gains nor stalls when the clock steps back', () => {
    const limiter = new RateLimiter(10, start)
    takeAll(limiter, start)
    expect(limiter.available(start - 3_600_000)).toBe(0)
    limiter.take(0, start - 3_600_000)
    expect(limiter.available(start - 3_600_000 + 1000)).toBe(10)
  })

  it('is not changed by questions', () => {
    const limiter = new RateLimiter(7, start)
    limiter.take(7, start)
    const before = [limiter.tokens, limiter.refilledAtMs]
    for (let i = 0; i < 100; i++) limiter.available(start + i)
    limiter.nextTokenMs(start + 13)
    expect([limiter.tokens, limiter.refilledAtMs]).toEqual(before)
  })

  it('goes on from restored numbers', () => {
    const limiter = new RateLimiter(10, start)
    limiter.take(4, start)
    const other = new RateLimiter(10, start + 5)
    other.restore(limiter.tokens, limiter.refilledAtMs)
    expect(other.available(start + 150)).toBe(limiter.available(start + 150))
  })
})
