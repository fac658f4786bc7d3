// The signatures of webhooks, of those that go out and of those that come in.
//
//   X-FlashQ-Signature    hex HMAC-SHA256 of the body; its key is the secret's text
//   webhook-signature     `v1,` base64 HMAC-SHA256 of `id.timestamp.body`, as Standard Webhooks has it; one per secret

import { createHmac, timingSafeEqual } from 'node:crypto'
import { keyOf } from '../wire/webhook-secret.ts'

/** How far the clock of whoever signed may be off, either way. */
const TOLERANCE_MS = 5 * 60_000

export interface Signed {
  readonly id: string
  readonly timestampS: number
  readonly body: Buffer
}

/** `secrets`: the newest first; none = no signature. */
export function signatureHeaders(
  signed: Signed,
  secrets: readonly string[],
): Record<string, string> {
  const { id, timestampS, body } = signed
  const headers: Record<string, string> = {
    'webhook-id': id,
    'webhook-timestamp': String(timestampS),
  }
  const [newest] = secrets
  if (newest === undefined) return headers
  headers['X-FlashQ-Signature'] = hmacOf(Buffer.from(newest), [body]).toString('hex')
  headers['webhook-signature'] = secrets
    .map((secret) => `v1,${standardOf(secret, id, String(timestampS), body).toString('base64')}`)
    .join(' ')
  return headers
}

export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

/** Whether one of the secrets has signed it, and, where the signature says when, lately. Header names in lower case. */
export function isSignedBy(
  secrets: readonly string[],
  headers: Headers,
  body: Buffer,
  nowMs: number,
): boolean {
  const id = headers['webhook-id']
  const timestamp = headers['webhook-timestamp']
  const given = headers['webhook-signature']
  if (typeof given === 'string' && typeof id === 'string' && typeof timestamp === 'string') {
    return (
      /^[0-9]{1,12}$/.test(timestamp) &&
      Math.abs(nowMs - Number(timestamp) * 1000) <= TOLERANCE_MS &&
      secrets.some((secret) => hasStandard(given, standardOf(secret, id, timestamp, body)))
    )
  }
  const plain = headers['x-flashq-signature']
  if (typeof plain !== 'string' || !/^[0-9a-f]{64}$/i.test(plain)) return false
  const guess = Buffer.from(plain, 'hex')
  return secrets.some((secret) => timingSafeEqual(guess, hmacOf(Buffer.from(secret), [body])))
}

function hasStandard(given: string, expected: Buffer): boolean {
  return given.split(' ').some((part) => {
    if (!part.startsWith('v1,')) return false
    const guess = Buffer.from(part.slice(3), 'base64')
    return guess.length === expected.length && timingSafeEqual(guess, expected)
  })
}

function standardOf(secret: string, id: string, timestamp: string, body: Buffer): Buffer {
  return hmacOf(keyOf(secret), [Buffer.from(`${id}.${timestamp}.`), body])
}

function hmacOf(key: Buffer, pieces: readonly Buffer[]): Buffer {
  const hmac = createHmac('sha256', key)
  for (const piece of pieces) hmac.update(piece)
  return hmac.digest()
}
