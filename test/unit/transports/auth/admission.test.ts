import { beforeEach, describe, expect, it } from 'vitest'
import { limits } from '../../../../src/engine/limits.ts'
import { Admission } from '../../../../src/transports/auth/admission.ts'
import { anybody, type Principal } from '../../../../src/transports/auth/principal.ts'
import { Usage } from '../../../../src/transports/auth/usage.ts'

const ANY = Number.POSITIVE_INFINITY
const plain: Principal = { name: 'plain', scopes: new Set(['read']), queues: null }
const tight: Principal = {
  ...plain,
  name: 'tight',
  quota: { connections: 2, commandsPerSecond: 1, bytesPerSecond: ANY },
}

describe('requests that bring their token each', () => {
  let nowMs = 0
  let usage: Usage
  let admission: Admission<number>

  beforeEach(() => {
    nowMs = 0
    usage = new Usage({ nowMs: () => nowMs })
    admission = new Admission(usage)
  })

  const open = (from: number, count: number): void => {
    for (let connection = from; connection < from + count; connection++)
      admission.opened(connection)
  }

  it('are of so many connections, at all doors together, until one closes', () => {
    const other = new Admission<string>(usage)
    const max = limits.connectionsPerTokenMax
    open(0, max)
    other.opened('peer')
    for (let n = 0; n < max; n++) expect(admission.admit(n, plain, 0)).toBeNull()
    expect(other.admit('peer', plain, 0)).toMatchObject({ code: 'quota_exceeded' })
    expect(admission.admit(7, plain, 0)).toBeNull()
    admission.closed(7)
    expect(other.admit('peer', plain, 0)).toBeNull()
  })

  it('of one connection count for the token that was shown last', () => {
    open(0, 3)
    for (const connection of [0, 1]) expect(admission.admit(connection, tight, 0)).toBeDefined()
    expect(admission.admit(2, tight, 0)?.text).toContain('connections of this token (max 2)')
    expect(admission.admit(0, plain, 0)).toBeNull()
    nowMs = 1000
    expect(admission.admit(2, tight, 0)).toBeNull()
  })

  it('are as fast as the token may be, on however many connections', () => {
    open(0, 2)
    expect(admission.admit(0, tight, 0)).toBeNull()
    expect(admission.admit(1, tight, 0)).toMatchObject({ retryAfterMs: 1000 })
    nowMs = 1000
    expect(admission.admit(1, tight, 0)).toBeNull()
    admission.charge(tight, 1, 0)
    nowMs = 2000
    expect(admission.admit(1, tight, 0)).toMatchObject({ retryAfterMs: 1000 })
  })

  it('of nobody in particular are not counted', () => {
    admission.opened(1)
    expect(admission.admit(1, anybody, 1e12)).toBeNull()
    admission.charge(anybody, 1e6, 1e12)
    expect(admission.admit(1, anybody, 0)).toBeNull()
    admission.closed(1)
  })

  it('of a connection that has gone hold nothing', () => {
    expect(admission.admit(1, tight, 0)).toBeNull()
    open(2, 2)
    nowMs = 1000
    expect(admission.admit(2, tight, 0)).toBeNull()
    nowMs = 2000
    expect(admission.admit(3, tight, 0)).toBeNull()
  })
})

describe('streams', () => {
  it('are so many of one owner and kind', () => {
    const usage = new Usage({ nowMs: () => 0 })
    for (let n = 0; n < limits.streamsPerOwnerMax; n++) usage.streamed('event', 'me', 1)
    expect(usage.streamRefused('event', 'me')).toMatchObject({ code: 'quota_exceeded' })
    expect(usage.streamRefused('event', 'you')).toBeNull()
    expect(usage.streamRefused('job', 'me')).toBeNull()
    usage.streamed('event', 'me', -1)
    expect(usage.streamRefused('event', 'me')).toBeNull()
  })
})
