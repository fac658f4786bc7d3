// The form of the tokens that we make, and what is kept of a token: its digest.
//
//   fq_Ab3dEf9h_q83s…43 characters…
//      └ id      └ 32 random bytes in base64url
//
// The id says which digest to compare with; it is no secret. Any other text may be a token, too.

import { createHash, randomBytes } from 'node:crypto'

const ID_BYTES = 6
const SECRET_BYTES = 32
const FORM = /^fq_([A-Za-z0-9_-]{8})_[A-Za-z0-9_-]{43}$/

export const TOKEN_ID = /^[A-Za-z0-9_-]{8}$/

export function makeToken(): string {
  const id = randomBytes(ID_BYTES).toString('base64url')
  return `fq_${id}_${randomBytes(SECRET_BYTES).toString('base64url')}`
}

/** Null: it has not our form. */
export function tokenIdOf(token: string): string | null {
  return FORM.exec(token)?.[1] ?? null
}

export function digestOf(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest()
}
