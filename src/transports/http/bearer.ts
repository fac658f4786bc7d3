// Whose request it is: `Authorization: Bearer TOKEN`.
//
// 1. A token is taken from the header alone, never from the address of a page, which logs and histories keep.
// 2. Failures are counted by the connection's own address; what a header says about others is not believed.
// 3. A request without a token is no guess: it is refused, and not counted.
//
// Next: auth/authenticator.ts

import { type Refusal, refusals } from '../../engine/refusal.ts'
import type { Authenticator } from '../auth/authenticator.ts'
import { anybody, type Principal } from '../auth/principal.ts'

/** One blank, and a token of visible characters. */
const CREDENTIALS = /^bearer +([\x21-\x7e\x80-\xff]+(?: +[\x21-\x7e\x80-\xff]+)*) *$/i

export class Bearer {
  private readonly auth: Authenticator

  constructor(auth: Authenticator) {
    this.auth = auth
  }

  /** `header`: of `Authorization`; `address`: of the connection, null for a Unix socket. */
  principalOf(header: string | undefined, address: string | null): Principal | Refusal {
    if (!this.auth.required) return anybody
    const token = tokenOf(header)
    return token === null ? refusals.authRequired : this.principalOfToken(token, address)
  }

  /** For a token that came in another way. */
  principalOfToken(token: string, address: string | null): Principal | Refusal {
    const verdict = this.auth.attempt(token, address)
    if (verdict === 'invalid') return refusals.authInvalid
    return verdict === 'throttled' ? refusals.authThrottled : verdict
  }
}

export function isPrincipal(verdict: Principal | Refusal): verdict is Principal {
  return 'scopes' in verdict
}

/** Null: there is none. Node gives headers with one character per byte; tokens are UTF-8. */
export function tokenOf(header: string | undefined): string | null {
  const token = header === undefined ? undefined : CREDENTIALS.exec(header)?.[1]
  return token === undefined ? null : Buffer.from(token, 'latin1').toString('utf8')
}
