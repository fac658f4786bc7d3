import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { isSignedBy, signatureHeaders } from '../../../../src/transports/webhooks/signature.ts'

const body = Buffer.from('{"a":"ü"}')
const NOW_MS = 1_700_000_000_000
const signed = { id: 'msg_1', timestampS: NOW_MS / 1000, body }
const key = Buffer.alloc(32, 7)
const standard = `whsec_${key.toString('base64')}`

const lower = (headers: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))

describe('what goes out', () => {
  it('is signed over the body with the secret as it is, as ever', () => {
    const hex = createHmac('sha256', 'secret').update(body).digest('hex')
    expect(signatureHeaders(signed, ['secret'])['X-FlashQ-Signature']).toBe(hex)
  })

  it('is signed as Standard Webhooks has it, with the key behind whsec_', () => {
    const content = `msg_1.1700000000.${body}`
    const base64 = createHmac('sha256', key).update(content).digest('base64')
    expect(signatureHeaders(signed, [standard])).toMatchObject({
      'webhook-id': 'msg_1',
      'webhook-timestamp': '1700000000',
      'webhook-signature': `v1,${base64}`,
    })
  })

  it('is signed by both secrets while they change', () => {
    const [first, second, ...more] = (
      signatureHeaders(signed, ['new', 'old'])['webhook-signature'] as string
    ).split(' ')
    expect(more).toEqual([])
    expect(first).not.toBe(second)
    expect(second).toBe(signatureHeaders(signed, ['old'])['webhook-signature'])
  })

  it('has an id and a time without a secret, and no signature', () => {
    expect(Object.keys(signatureHeaders(signed, []))).toEqual(['webhook-id', 'webhook-timestamp'])
  })
})

describe('what comes in', () => {
  const headers = lower(signatureHeaders(signed, [standard, 'old']))
  const { 'x-flashq-signature': plain } = headers

  it('is good with either signature, of either secret', () => {
    expect(isSignedBy([standard], headers, body, NOW_MS)).toBe(true)
    expect(isSignedBy(['other', 'old'], headers, body, NOW_MS)).toBe(true)
    expect(isSignedBy([standard], { 'x-flashq-signature': plain }, body, NOW_MS)).toBe(true)
  })

  it.each([
    ['nothing', {}],
    ['another body', { ...headers, 'webhook-id': 'msg_2' }],
    ['a short signature', { ...headers, 'webhook-signature': 'v1,AAAA' }],
    ['another version', { ...headers, 'webhook-signature': 'v1a,AAAA' }],
    ['no time', { ...headers, 'webhook-timestamp': 'now' }],
    ['hex that is none', { 'x-flashq-signature': 'z'.repeat(64) }],
    ['a cut one', { 'x-flashq-signature': plain?.slice(0, 62) }],
    ['two of them', { 'x-flashq-signature': [plain ?? '', plain ?? ''] }],
  ])('is not good with %s', (_what, given) => {
    expect(isSignedBy([standard, 'old'], given, body, NOW_MS)).toBe(false)
  })

  it('is not good with another body or another secret', () => {
    expect(isSignedBy([standard], headers, Buffer.from('{}'), NOW_MS)).toBe(false)
    expect(isSignedBy(['other'], headers, body, NOW_MS)).toBe(false)
    const onlyPlain = { 'x-flashq-signature': plain }
    expect(isSignedBy(['other'], onlyPlain, body, NOW_MS)).toBe(false)
  })

  it('is good for five minutes, before and after', () => {
    const at = (ms: number): boolean => isSignedBy([standard], headers, body, NOW_MS + ms)
    expect([at(300_000), at(-300_000)]).toEqual([true, true])
    expect([at(300_001), at(-300_001)]).toEqual([false, false])
  })

  it('that is too old does not become good by its other signature', () => {
    expect(isSignedBy([standard], headers, body, NOW_MS + 400_000)).toBe(false)
  })
})
