// What the client of one connection may do: nothing before AUTH, then what its token allows.
//
//                 AUTH                              AUTH with another token
//   stranger ────────────▶ known: what the token says ─────────▶ what that one says
//      │ `authTimeoutMs`     │ a token that it has shown is revoked or over
//      ▼                     ▼
//   closed                 closed
//
// 1. `isTrusted` is all that the hot path looks at: true when no frame has to be looked into.
// 2. A connection lives as long as every token that it has shown: what one of them opened (a subscription, a waiting
//    pull) is not told apart from what another one did.

import type { Authenticator } from '../auth/authenticator.ts'
import { anybody, mayAll, type Principal } from '../auth/principal.ts'

/** For another worker: `Authenticator.keyOf` of the tokens that were shown, the last one last; null: a stranger. */
export type StandingKeys = readonly string[] | null

export class Standing {
  isTrusted = false
  /** Null: a stranger. */
  principal: Principal | null = null
  private readonly auth: Authenticator
  private readonly shown = new Set<Principal>()
  /** A token that another worker knew is not known here. */
  private isLost = false
  private timer: NodeJS.Timeout | null = null

  /** `keys` undefined: a new connection. */
  constructor(auth: Authenticator, keys?: StandingKeys) {
    this.auth = auth
    if (!auth.required) this.take(anybody)
    else for (const key of keys ?? []) this.takeKey(key)
  }

  keys(): StandingKeys {
    if (this.principal === null) return null
    const others = [...this.shown].filter((principal) => principal !== this.principal)
    return [...others, this.principal].map((principal) => this.auth.keyOf(principal))
  }

  take(principal: Principal): void {
    this.endWait()
    this.principal = principal
    this.shown.add(principal)
    this.isTrusted = mayAll(principal)
  }

  get isOver(): boolean {
    return this.isLost || [...this.shown].some((principal) => !this.auth.isValid(principal))
  }

  /** A stranger has so long to become known. */
  wait(timeoutMs: number, late: () => void): void {
    if (this.principal === null) this.timer = setTimeout(late, timeoutMs)
  }

  endWait(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
  }

  private takeKey(key: string): void {
    const principal = this.auth.byKey(key)
    if (principal === null) this.isLost = true
    else this.take(principal)
  }
}
