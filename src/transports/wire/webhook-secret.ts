// What a webhook's secret may be: any text, whose bytes are the key; or `whsec_` and the key in base64, as Standard
// Webhooks has it.

import { limits } from '../../engine/limits.ts'

const PREFIX = 'whsec_'
const { webhookKeyBytesMin, webhookKeyBytesMax, webhookSecretBytesMax } = limits

export const SECRET_RULE =
  `a secret is 1 to ${webhookSecretBytesMax} bytes without control characters; ` +
  `behind ${PREFIX}, base64 of ${webhookKeyBytesMin} to ${webhookKeyBytesMax} bytes`

export function isSecret(text: string): boolean {
  const size = Buffer.byteLength(text)
  if (size === 0 || size > webhookSecretBytesMax || /[\p{Cc}\p{Surrogate}]/u.test(text))
    return false
  if (!text.startsWith(PREFIX)) return true
  const encoded = text.slice(PREFIX.length)
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return false
  const { length } = Buffer.from(encoded, 'base64')
  return length >= webhookKeyBytesMin && length <= webhookKeyBytesMax
}

/** The key that Standard Webhooks signs with. */
export function keyOf(secret: string): Buffer {
  return secret.startsWith(PREFIX)
    ? Buffer.from(secret.slice(PREFIX.length), 'base64')
    : Buffer.from(secret)
}
