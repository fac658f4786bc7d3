import { beforeEach, describe, expect, it } from 'vitest'
import { TokenRate } from '../../../../src/transports/auth/token-rate.ts'

const ANY = Number.POSITIVE_INFINITY
const refused = (waitMs: number): object => ({ code: 'quota_exceeded', retryAfterMs: waitMs })

describe('the rate of a token', () => {
  let nowMs = 0
  const clock = { nowMs: () => nowMs }
  beforeEach(() => {
    nowMs = 1000
  })

  it('lets a second’s commands pass at once, and then one whenever there is one', () => {
    const rate = new TokenRate({ commandsPerSecond: 4, bytesPerSecond: ANY }, clock)
    for (let n = 0; n < 4; n++) expect(rate.spend(1e9)).toBeNull()
    expect(rate.spend(1)).toMatchObject(refused(250))
    nowMs += 249
    expect(rate.spend(1)).toMatchObject(refused(1))
    nowMs += 1
    expect(rate.spend(1)).toBeNull()
    expect(rate.spend(1)).toMatchObject(refused(250))
  })

  it('lets one of any size pass, and the next when its bytes are paid for', () => {
    const rate = new TokenRate({ commandsPerSecond: ANY, bytesPerSecond: 100 }, clock)
    expect(rate.spend(1100)).toBeNull()
    expect(rate.spend(1)).toMatchObject(refused(10_010))
    nowMs += 10_010
    expect(rate.spend(1)).toBeNull()
  })

  it('saves no more than a second, however long nothing comes', () => {
    const rate = new TokenRate({ commandsPerSecond: 2, bytesPerSecond: ANY }, clock)
    nowMs += 3_600_000
    expect([rate.spend(0), rate.spend(0)]).toEqual([null, null])
    expect(rate.spend(0)).toMatchObject(refused(500))
  })

  it('takes nothing for what is refused, and counts what could not be refused', () => {
    const rate = new TokenRate({ commandsPerSecond: 1, bytesPerSecond: 10 }, clock)
    expect(rate.spend(5)).toBeNull()
    for (let n = 0; n < 100; n++) expect(rate.spend(5)).toMatchObject(refused(1000))
    rate.charge(2, 25)
    expect(rate.spend(0)).toMatchObject(refused(3000))
    nowMs += 3000
    expect(rate.spend(0)).toBeNull()
  })

  it('gains nothing by a clock that steps back', () => {
    const rate = new TokenRate({ commandsPerSecond: 1, bytesPerSecond: ANY }, clock)
    expect(rate.spend(0)).toBeNull()
    nowMs -= 500
    expect(rate.spend(0)).toMatchObject(refused(1000))
    nowMs += 1000
    expect(rate.spend(0)).toBeNull()
  })
})
