// What the client of one connection may do: nothing before AUTH, then what its token allows.
//
//                 AUTH                              AUTH with another token
//   stranger ────────────▶ known: what the token says ─────────▶ what that one says
//      │ `authTimeoutMs`     │ a token that it has shown is revoked or over
//      ▼                     ▼
//   closed                 closed
//
// 1. `isTrusted` is all that the hot path looks at: true when no frame has to be looked into, or counted for a rate.
// 2. A connection lives as long as every token that it has shown: what one of them opened (a subscription, a waiting
//    pull) is not told apart from what another one did.

import type { Refusal } from '../../engine/refusal.ts'
import type { Authenticator } from '../auth/authenticator.ts'
import { anybody, mayAll, type Principal } from '../auth/principal.ts'
import type { TokenRate } from '../auth/token-rate.ts'
import type { Usage } from '../auth/usage.ts'

/** For another worker: `Authenticator.keyOf` of the tokens that were shown, the last one last; null: a stranger. */
export type StandingKeys = readonly string[] | null

export interface StandingServices {
  readonly auth: Authenticator
  readonly usage: Usage
}

export class Standing {
  isTrusted = false
  /** Null: a stranger. */
  principal: Principal | null = null
  private readonly auth: Authenticator
  private readonly usage: Usage
  /** Of the last token; null: it may go as fast as it can. */
  private rate: TokenRate | null = null
  private readonly shown = new Set<Principal>()
  /** A token that another worker knew is not known here. */
  private isLost = false
  private timer: NodeJS.Timeout | null = null

  /** `keys` undefined: a new connection. */
  constructor({ auth, usage }: StandingServices, keys?: StandingKeys) {
    this.auth = auth
    this.usage = usage
    if (!auth.required) this.take(anybody)
    else for (const key of keys ?? []) this.takeKey(key)
  }

  keys(): StandingKeys {
    if (this.principal === null) return null
    const others = [...this.shown].filter((principal) => principal !== this.principal)
    return [...others, this.principal].map((principal) => this.auth.keyOf(principal))
  }

  /** Why it may not use this token, and stays what it was; null: it does. */
  enter(principal: Principal): Refusal | null {
    const refusal = this.shown.has(principal) ? null : this.usage.connectionRefused(principal)
    if (refusal === null) this.take(principal)
    return refusal
  }

  private take(principal: Principal): void {
    this.endWait()
    this.principal = principal
    if (!this.shown.has(principal)) this.usage.connected(principal, 1)
    this.shown.add(principal)
    this.rate = this.usage.rateOf(principal)
    this.isTrusted = this.rate === null && mayAll(principal)
  }

  /** A command of so many bytes came, which is not trusted: why it may not run now; null: it may. */
  spend(bytes: number): Refusal | null {
    return this.rate === null ? null : this.rate.spend(bytes)
  }

  get isOver(): boolean {
    return this.isLost || [...this.shown].some((principal) => !this.auth.isValid(principal))
  }

  /** A stranger has so long to become known. */
  wait(timeoutMs: number, late: () => void): void {
    if (this.principal === null) this.timer = setTimeout(late, timeoutMs)
  }

  /** The connection is no longer here. */
  close(): void {
    this.endWait()
    for (const principal of this.shown) this.usage.connected(principal, -1)
    this.shown.clear()
  }

  private endWait(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
  }

  private takeKey(key: string): void {
    const principal = this.auth.byKey(key)
    if (principal === null) this.isLost = true
    else this.take(principal)
  }
}
