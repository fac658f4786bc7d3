import { describe, expect, it } from 'vitest'
import {
  joinParts,
  nameOf,
  partOf,
  readEventId,
} from '../../../../src/transports/events/event-id.ts'

describe('the id of an event', () => {
  it('says of each worker how far a client is, and can be read again', () => {
    const first = nameOf({ worker: 0, beganMs: 1_700_000_000_000 })
    const second = nameOf({ worker: 37, beganMs: 1_700_000_000_001 })
    const id = joinParts([partOf(first, 0, false), partOf(second, 2 ** 40, true)])
    expect(readEventId(id)).toEqual(
      new Map([
        [first, { seq: 0, isAll: false }],
        [second, { seq: 2 ** 40, isAll: true }],
      ]),
    )
    expect(id).toMatch(/^[0-9a-zE.-]+$/)
  })

  it.each([
    '',
    'x',
    '1',
    '0.1',
    '0.1.2.3',
    '0.1.2-',
    '-0.1.2',
    '0.1.-2',
    '0.1.2e3!',
    '0.1.2F',
    '0.1.zzzzzzzzzzz',
    '0..1',
    ' 0.1.2',
    '0.1.2\n',
    Array.from({ length: 300 }, (_, i) => `0.${i.toString(36)}.1`).join('-'),
    'a'.repeat(10_000),
  ])('is none of ours: %j', (text) => {
    expect(readEventId(text)).toBeNull()
  })
})
