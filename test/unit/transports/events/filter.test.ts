import { describe, expect, it } from 'vitest'
import { ALL_QUEUES, EventKind } from '../../../../src/engine/ports.ts'
import { anybody, type Principal } from '../../../../src/transports/auth/principal.ts'
import { EventFilter, filterOf } from '../../../../src/transports/events/filter.ts'

const tenant: Principal = { name: 't', scopes: new Set(['read']), queues: ['mine.*', 'shared'] }
const writer: Principal = { name: 'w', scopes: new Set(['produce']), queues: null }

function filter(principal: Principal, wanted: object): EventFilter {
  const made = filterOf(principal, wanted)
  if (!(made instanceof EventFilter)) throw new Error(made.text)
  return made
}

const codeOf = (principal: Principal, wanted: object): string => {
  const made = filterOf(principal, wanted)
  return made instanceof EventFilter ? 'ok' : made.code
}

describe('what a stream is about', () => {
  it('is everything, unless less is asked for', () => {
    const all = filter(anybody, {})
    expect(all.isEverything).toBe(true)
    expect(all.interests).toEqual([ALL_QUEUES])
    expect(all.passes(EventKind.expired, 'any')).toBe(true)
    const some = filter(anybody, { queues: 'b,a,b', types: 'failed,completed' })
    expect(some.interests).toEqual(['a', 'b'])
    expect(some.isEverything).toBe(false)
    expect(some.passes(EventKind.failed, 'a')).toBe(true)
    expect(some.passes(EventKind.pushed, 'a')).toBe(false)
    expect(some.passes(EventKind.failed, 'c')).toBe(false)
    expect(filter(anybody, { queues: 'a,b', types: 'completed,failed' }).key).toBe(some.key)
  })

  it('is never a queue that the principal may not use', () => {
    const mine = filter(tenant, {})
    expect(mine.isEverything).toBe(false)
    expect(mine.passes(EventKind.pushed, 'mine.x')).toBe(true)
    expect(mine.passes(EventKind.pushed, 'shared')).toBe(true)
    expect(mine.passes(EventKind.pushed, 'other')).toBe(false)
    expect(codeOf(tenant, { queues: 'mine.x' })).toBe('ok')
    expect(codeOf(tenant, { queues: 'mine.x,other' })).toBe('forbidden')
    expect(codeOf(writer, {})).toBe('forbidden')
    expect(codeOf(writer, { queues: 'a' })).toBe('forbidden')
  })

  it('has names that are names, and not too many', () => {
    expect(codeOf(anybody, { queues: '' })).toBe('queue_name_invalid')
    expect(codeOf(anybody, { queues: 'a,*' })).toBe('queue_name_invalid')
    expect(codeOf(anybody, { types: 'pushed,' })).toBe('invalid')
    expect(codeOf(anybody, { types: 'constructor' })).toBe('invalid')
    const many = Array.from({ length: 101 }, (_, i) => `q${i}`).join(',')
    expect(codeOf(anybody, { queues: many })).toBe('limit_exceeded')
  })
})
