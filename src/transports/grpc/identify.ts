// Who makes a call: the token of its metadata, `authorization: Bearer TOKEN`.

import type { Metadata } from '@grpc/grpc-js'
import { limits } from '../../engine/limits.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import type { Authenticator } from '../auth/authenticator.ts'
import { anybody, type Principal } from '../auth/principal.ts'

const BEARER = /^bearer +(\S.*)$/i

/** `peer`: ADDRESS:PORT, as grpc-js says it. */
export function identify(
  auth: Authenticator,
  metadata: Metadata,
  peer: string,
): Principal | Refusal {
  if (!auth.required) return anybody
  const given = metadata.get('authorization')
  if (given.length === 0) return refusals.authRequired
  const secret = given.length === 1 ? BEARER.exec(String(given[0]))?.[1] : undefined
  if (secret === undefined || Buffer.byteLength(secret) > limits.tokenBytesMax) {
    return refusals.authInvalid
  }
  const verdict = auth.attempt(secret, addressOf(peer))
  if (verdict === 'invalid') return refusals.authInvalid
  return verdict === 'throttled' ? refusals.authThrottled : verdict
}

/** Null for a peer that has none. */
export function addressOf(peer: string): string | null {
  const colon = peer.lastIndexOf(':')
  return colon < 0 ? null : peer.slice(0, colon)
}
