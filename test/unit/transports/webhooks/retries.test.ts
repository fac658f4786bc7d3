import { describe, expect, it } from 'vitest'
import type { Attempted } from '../../../../src/transports/webhooks/attempt.ts'
import { isThrottling, resultOf } from '../../../../src/transports/webhooks/retries.ts'

const PAUSES = [5000, 300_000]
const judged = (attempted: Attempted, attempts = 0, chance = 0.5) =>
  resultOf(attempted, attempts, 7, { pausesMs: PAUSES, random: () => chance })
const answered = (status: number, retryAfterMs: number | null = null): Attempted => ({
  status,
  retryAfterMs,
})

describe('after an attempt', () => {
  it.each([200, 204, 299])('answered %i it is done', (status) => {
    expect(judged(answered(status))).toEqual({
      ...{ end: 'ok', delayMs: 0, status, error: null, tookMs: 7 },
    })
  })

  it('that failed there is a pause, a longer one each time, then it is given up', () => {
    const results = [0, 1, 2].map((attempts) => judged({ error: 'no' }, attempts))
    expect(results.map(({ end, delayMs }) => [end, delayMs])).toEqual([
      ['retry', 5000],
      ['retry', 300_000],
      ['dead', 0],
    ])
    expect(results[0]).toMatchObject({ status: null, error: 'no' })
  })

  it('pauses differ by a tenth', () => {
    expect(judged(answered(500), 0, 0).delayMs).toBe(4500)
    expect(judged(answered(500), 0, 0.999).delayMs).toBe(5499)
  })

  it.each([301, 302, 307, 308, 304])('answered %i it has failed: nothing is followed', (status) => {
    expect(judged(answered(status))).toMatchObject({
      ...{ end: 'retry', error: 'redirects are not followed' },
    })
  })

  it('answered 410 there are no more', () => {
    expect(judged(answered(410))).toMatchObject({ end: 'gone', error: 'answered 410' })
  })

  it('the receiver may ask for a pause of up to an hour, when it has too much to do', () => {
    expect(judged(answered(429, 90_000)).delayMs).toBe(90_000)
    expect(judged(answered(503, 0)).delayMs).toBe(1000)
    expect(judged(answered(503, 86_400_000)).delayMs).toBe(3_600_000)
    expect(judged(answered(500, 90_000)).delayMs).toBe(5000)
    // Not for ever.
    expect(judged(answered(429, 90_000), 2).end).toBe('dead')
  })

  it('its host is spared when it has too much to do', () => {
    const throttling = [200, 429, 500, 502, 503, 504].filter((each) => isThrottling(answered(each)))
    expect(throttling).toEqual([429, 502, 503, 504])
    expect(isThrottling({ error: 'no' })).toBe(false)
  })
})
