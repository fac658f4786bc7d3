import { describe, expect, it } from 'vitest'
import { Authenticator } from '../../../../src/transports/auth/authenticator.ts'
import { type Principal, scopes } from '../../../../src/transports/auth/principal.ts'
import { digestOf } from '../../../../src/transports/auth/token.ts'
import { Usage } from '../../../../src/transports/auth/usage.ts'
import { Standing, type StandingServices } from '../../../../src/transports/tcp/standing.ts'

const ANY = Number.POSITIVE_INFINITY
const quota = { connections: 1, commandsPerSecond: ANY, bytesPerSecond: ANY }
const principal: Principal = { name: 'one', scopes: new Set(scopes), queues: null, quota }

/** Those of one worker. */
function services(): StandingServices {
  const clock = { nowMs: () => 0 }
  const issued = [{ digest: digestOf('one'), id: null, principal, expiresAtMs: ANY }]
  return { auth: new Authenticator([], clock, { issued }), usage: new Usage(clock) }
}

describe('a connection that comes from another worker', () => {
  it('is taken over the quota, and counts here and no longer there', () => {
    const [there, here] = [services(), services()]
    const own = new Standing(here)
    expect(own.enter(principal)).toBeNull()
    const left = new Standing(there)
    expect(left.enter(principal)).toBeNull()
    const keys = left.keys()
    left.close()
    expect(new Standing(there).enter(principal)).toBeNull()
    const arrived = new Standing(here, keys)
    expect(arrived.principal).toBe(principal)
    own.close()
    expect(new Standing(here).enter(principal)).toMatchObject({ code: 'quota_exceeded' })
    arrived.close()
    expect(new Standing(here).enter(principal)).toBeNull()
  })

  it('needs no look at its frames when only its connections are counted', () => {
    const here = services()
    const standing = new Standing(here)
    standing.enter(principal)
    expect([standing.isTrusted, standing.spend(1e12)]).toEqual([true, null])
  })
})
