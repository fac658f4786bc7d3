import { describe, expect, it } from 'vitest'
import { limits } from '../../../../src/engine/limits.ts'
import { digestOf } from '../../../../src/transports/auth/token.ts'
import { readTokenFile } from '../../../../src/transports/auth/token-file.ts'

const TOKEN = `fq_abcd1234_${'x'.repeat(43)}`
const good = { name: 'shop', token: TOKEN, scopes: ['read'] }

function read(value: unknown): ReturnType<typeof readTokenFile> {
  return readTokenFile(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)))
}

function errorsOf(value: unknown): readonly string[] {
  const result = read(value)
  return result.ok ? [] : result.errors
}

describe('a token file', () => {
  it('says of each token what it is and what it is good for', () => {
    const digest = digestOf('plain')
    const result = read({
      tokens: [
        { ...good, queues: ['orders', 'mail.*'], expires_at: '2027-01-31T02:00:00+02:00' },
        { name: 'by digest', sha256: digest.toString('hex').toUpperCase(), scopes: ['admin'] },
        { name: 'with id', sha256: 'ab'.repeat(32), id: 'id_-4567', scopes: ['read', 'produce'] },
        { name: 'all queues', token: 'other', scopes: ['read'], queues: ['a', '*'] },
        { name: 'slow', token: 'slow', scopes: ['read'], connections: 5, bytes_per_second: 1000 },
      ],
    })
    expect(result).toEqual({
      ok: true,
      tokens: [
        {
          digest: digestOf(TOKEN),
          id: 'abcd1234',
          principal: { name: 'shop', scopes: new Set(['read']), queues: ['orders', 'mail.*'] },
          expiresAtMs: Date.UTC(2027, 0, 31),
        },
        {
          digest,
          id: null,
          principal: { name: 'by digest', scopes: new Set(['admin']), queues: null },
          expiresAtMs: Number.POSITIVE_INFINITY,
        },
        {
          digest: Buffer.alloc(32, 0xab),
          id: 'id_-4567',
          principal: { name: 'with id', scopes: new Set(['read', 'produce']), queues: null },
          expiresAtMs: Number.POSITIVE_INFINITY,
        },
        {
          digest: digestOf('other'),
          id: null,
          principal: { name: 'all queues', scopes: new Set(['read']), queues: null },
          expiresAtMs: Number.POSITIVE_INFINITY,
        },
        {
          digest: digestOf('slow'),
          id: null,
          principal: {
            name: 'slow',
            scopes: new Set(['read']),
            queues: null,
            quota: {
              connections: 5,
              commandsPerSecond: Number.POSITIVE_INFINITY,
              bytesPerSecond: 1000,
            },
          },
          expiresAtMs: Number.POSITIVE_INFINITY,
        },
      ],
    })
    expect(read({ tokens: [] })).toEqual({ ok: true, tokens: [] })
  })

  it.each([
    ['', ['line 1 is not JSON']],
    ['{\n"tokens": [\n canary ]}', ['line 3 is not JSON']],
    ['[]', ['it must be an object with a list "tokens"']],
    ['null', ['it must be an object with a list "tokens"']],
    [{ tokens: {} }, ['it must be an object with a list "tokens"']],
    [{ tokens: [], canary: 1 }, ['it must have nothing besides "tokens"']],
    [{ tokens: Array(limits.issuedTokensMax + 1).fill(0) }, ['it has more than 10000 tokens']],
  ])('that is %j is refused', (value, errors) => {
    expect(errorsOf(value)).toEqual(errors)
  })

  it('that is too large is refused', () => {
    const text = `{"tokens":[]}${' '.repeat(limits.tokenFileBytesMax)}`
    expect(errorsOf(text)).toEqual([`it has more than ${limits.tokenFileBytesMax} bytes`])
  })

  const NAME = 'needs a "name" of 1 to 64 bytes without control characters'
  const SCOPES = 'needs "scopes", a list of some of: read, produce, consume, admin'
  const QUEUES =
    'has "queues" that are none: a list of 1 to 100 names, each may end in *; without it every queue is meant'
  const ENDS = 'has an "expires_at" that is none: a moment like 2027-01-31T00:00:00Z'
  it.each([
    [{ name: undefined }, NAME],
    [{ name: '' }, NAME],
    [{ name: 'a\nb' }, NAME],
    [{ name: 'x'.repeat(65) }, NAME],
    [{ name: 7 }, NAME],
    [{ token: undefined }, 'needs either "sha256" or "token"'],
    [{ sha256: 'ab'.repeat(32) }, 'needs either "sha256" or "token"'],
    [{ id: 'abcd1234' }, 'needs no "id" beside "token"'],
    [{ token: '' }, 'has a "token" that is none: 1 to 1024 bytes without control characters'],
    [
      { token: 'canary\0' },
      'has a "token" that is none: 1 to 1024 bytes without control characters',
    ],
    [
      { token: 'x'.repeat(1025) },
      'has a "token" that is none: 1 to 1024 bytes without control characters',
    ],
    [{ token: undefined, sha256: 'canary' }, 'has a "sha256" that is none: 64 hexadecimal digits'],
    [
      { token: undefined, sha256: 'ab'.repeat(32), id: 'canary' },
      'has an "id" that is none: the 8 characters behind fq_',
    ],
    [{ scopes: undefined }, SCOPES],
    [{ scopes: [] }, SCOPES],
    [{ scopes: 'read' }, SCOPES],
    [{ scopes: ['read', 'canary'] }, SCOPES],
    [{ queues: [] }, QUEUES],
    [{ queues: null }, QUEUES],
    [{ queues: ['a b'] }, QUEUES],
    [{ queues: ['a*b'] }, QUEUES],
    [{ queues: [''] }, QUEUES],
    [{ queues: Array(101).fill('a') }, QUEUES],
    [{ expires_at: 'canary' }, ENDS],
    [{ expires_at: '2027-01-31' }, ENDS],
    [{ expires_at: '2027-01-31T00:00:00' }, ENDS],
    [{ expires_at: '2027-13-31T00:00:00Z' }, ENDS],
    [{ expires_at: 1_800_000_000 }, ENDS],
    [{ connections: 0 }, 'has a "connections" that is none: an integer from 1 to 4294967295'],
    [
      { commands_per_second: '9' },
      'has a "commands_per_second" that is none: an integer from 1 to 4294967295',
    ],
    [
      { bytes_per_second: 1.5 },
      'has a "bytes_per_second" that is none: an integer from 1 to 4294967295',
    ],
    [
      { bytes_per_second: null },
      'has a "bytes_per_second" that is none: an integer from 1 to 4294967295',
    ],
    [{ scope: ['canary'] }, 'has an unknown field "scope"'],
    [{ [TOKEN]: 'canary' }, 'has an unknown field'],
  ])('with %j in an entry is refused, and the entry named', (fields, error) => {
    const other = { ...good, token: 'other' }
    const errors = errorsOf({ tokens: [other, { ...good, ...fields }] })
    expect(errors).toEqual([`tokens[1] ${error}`])
    expect(errors.join()).not.toContain('canary')
  })

  it('with the same token twice is refused', () => {
    const twin = { name: 'twin', sha256: digestOf(TOKEN).toString('hex'), scopes: ['admin'] }
    expect(errorsOf({ tokens: [good, twin] })).toEqual(['tokens[1] is the same token as tokens[0]'])
  })

  it('with many mistakes tells of ten', () => {
    const errors = errorsOf({ tokens: Array(50).fill(7) })
    expect(errors).toHaveLength(10)
    expect(errors[0]).toBe('tokens[0] must be an object')
  })
})
