// Who may use the server: tokens, what each is good for and for how long, and a brake on guessing them.
//
// 1. Only SHA-256 digests of the tokens are kept. A guess is compared in constant time with every digest that may be
//    meant, so neither its length nor its first letters can be felt from outside.
// 2. An address that failed too often within the window is refused unheard until the window is over;
//    otherwise the brake would slow nobody who keeps guessing.
// 3. Peers of a Unix socket have no address: the file's permissions are their brake.
// 4. A principal is valid as long as its token is: when the token goes, ends or gets other rights, its principal is
//    another object from then on. So whoever holds one only has to ask whether it is still valid.
//
// Next: token-file.ts for where tokens with limits come from; principal.ts for what they allow

import { timingSafeEqual } from 'node:crypto'
import { limits } from '../../engine/limits.ts'
import type { Clock } from '../../engine/ports.ts'
import type { Log } from '../log.ts'
import { clientOf } from './client-address.ts'
import { anybody, type Principal } from './principal.ts'
import { digestOf, tokenIdOf } from './token.ts'

/** Addresses with failures that are remembered; beyond it the oldest is forgotten. */
const ADDRESSES_MAX = 10_000

/** A guess that can be no token is compared as well. */
const NOBODYS_DIGEST = Buffer.alloc(32)

type Verdict = Principal | 'invalid' | 'throttled'

/** A token of AUTH_FILE, or of AUTH_TOKENS. */
export interface IssuedToken {
  readonly digest: Buffer
  /** Null: not of our form, or nobody has said. */
  readonly id: string | null
  readonly principal: Principal
  /** Infinity: never. */
  readonly expiresAtMs: number
}

export interface AuthenticatorOptions {
  /** Tokens with limits; absent: there is no such file. */
  readonly issued?: readonly IssuedToken[]
  readonly log?: Log
}

interface Failures {
  count: number
  readonly sinceMs: number
}

export class Authenticator {
  /** Without tokens everybody is welcome, and every AUTH is right. */
  readonly required: boolean
  /** Those of AUTH_TOKENS: they never change. */
  private readonly lasting: readonly IssuedToken[]
  private readonly clock: Clock
  private readonly log: Log | null
  private readonly failures = new Map<string, Failures>()
  private readonly listeners = new Set<() => void>()
  /** By digest, in hex. */
  private issued = new Map<string, IssuedToken>()
  private byId = new Map<string, IssuedToken[]>()
  private withoutId: IssuedToken[] = []
  /** To the key by which another worker finds it. */
  private keys = new Map<Principal, string>()
  private nextExpiryMs = Number.POSITIVE_INFINITY

  constructor(tokens: readonly string[], clock: Clock, options: AuthenticatorOptions = {}) {
    this.required = tokens.length > 0 || options.issued !== undefined
    this.lasting = tokens.map(lastingToken)
    this.clock = clock
    this.log = options.log ?? null
    this.replace(options.issued ?? [])
  }

  /** `address` null: a Unix socket. */
  attempt(secret: string, address: string | null): Verdict {
    if (!this.required) return anybody
    const client = address === null ? null : clientOf(address)
    if (client !== null && this.isThrottled(client)) return 'throttled'
    const token = this.find(secret)
    if (token !== null && token.expiresAtMs > this.clock.nowMs()) return token.principal
    if (client !== null) this.noteFailure(client)
    return 'invalid'
  }

  /** False from the moment on that its token is revoked, over, or good for something else. */
  isValid(principal: Principal): boolean {
    return principal === anybody || this.keys.has(principal)
  }

  /** What another worker makes the same principal of; '' for one that every worker has. */
  keyOf(principal: Principal): string {
    return this.keys.get(principal) ?? ''
  }

  /** Null: there is none, here and now. */
  byKey(key: string): Principal | null {
    if (key === '') return anybody
    const token = this.issued.get(key)
    return token !== undefined && this.keys.has(token.principal) ? token.principal : null
  }

  /** Called when principals may have become invalid. Returns how to stop it. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** The tokens of AUTH_FILE are these from now on. Those that are as before keep their principals. */
  replace(issued: readonly IssuedToken[]): void {
    const before = this.issued
    const keys = this.keys
    this.issued = new Map()
    this.keys = new Map()
    for (const token of issued) {
      const key = token.digest.toString('hex')
      const known = before.get(key)
      const isSame = known !== undefined && haveSameRights(known.principal, token.principal)
      this.issued.set(key, isSame ? { ...token, principal: known.principal } : token)
    }
    this.arrange()
    for (const principal of keys.keys()) {
      if (!this.keys.has(principal)) return this.tell()
    }
  }

  /** To be called now and then: ends what is over. */
  expire(): void {
    if (this.clock.nowMs() < this.nextExpiryMs) return
    this.arrange()
    this.tell()
  }

  /** Of `issued`, what else is looked up. */
  private arrange(): void {
    const nowMs = this.clock.nowMs()
    this.byId = new Map()
    this.withoutId = []
    this.keys = new Map()
    this.nextExpiryMs = Number.POSITIVE_INFINITY
    for (const [key, token] of this.issued) {
      if (token.expiresAtMs <= nowMs) continue
      this.nextExpiryMs = Math.min(this.nextExpiryMs, token.expiresAtMs)
      this.keys.set(token.principal, key)
      this.place(token)
    }
    // Behind the others: a token that is in both places may do everything.
    for (const token of this.lasting) this.place(token)
  }

  private place(token: IssuedToken): void {
    if (token.id === null) {
      this.withoutId.push(token)
      return
    }
    const sameId = this.byId.get(token.id)
    if (sameId === undefined) this.byId.set(token.id, [token])
    else sameId.push(token)
  }

  private tell(): void {
    for (const listener of [...this.listeners]) listener()
  }

  private find(secret: string): IssuedToken | null {
    const guess = digestOf(secret)
    const id = tokenIdOf(secret)
    let found: IssuedToken | null = null
    timingSafeEqual(guess, NOBODYS_DIGEST)
    for (const token of this.withoutId) if (timingSafeEqual(guess, token.digest)) found = token
    for (const token of (id === null ? undefined : this.byId.get(id)) ?? []) {
      if (timingSafeEqual(guess, token.digest)) found = token
    }
    return found
  }

  private isThrottled(client: string): boolean {
    const failures = this.failures.get(client)
    if (failures === undefined) return false
    if (this.clock.nowMs() - failures.sinceMs < limits.authFailureWindowMs) {
      return failures.count >= limits.authFailuresMax
    }
    this.failures.delete(client)
    return false
  }

  /** Logged when it begins and when it is stopped, so that a guesser can't fill the log. */
  private noteFailure(client: string): void {
    const failures = this.failures.get(client)
    if (failures !== undefined) {
      failures.count++
      if (failures.count === limits.authFailuresMax) {
        this.log?.warn({ address: client }, 'too many failed attempts to authenticate')
      }
      return
    }
    this.log?.warn({ address: client }, 'failed to authenticate')
    if (this.failures.size >= ADDRESSES_MAX) {
      // Insertion order is the order of time: the first is the oldest.
      const [oldest] = this.failures.keys()
      if (oldest !== undefined) this.failures.delete(oldest)
    }
    this.failures.set(client, { count: 1, sinceMs: this.clock.nowMs() })
  }
}

function lastingToken(token: string): IssuedToken {
  return {
    digest: digestOf(token),
    id: tokenIdOf(token),
    principal: anybody,
    expiresAtMs: Number.POSITIVE_INFINITY,
  }
}

function haveSameRights(a: Principal, b: Principal): boolean {
  const text = ({ name, scopes, queues, quota }: Principal): string =>
    JSON.stringify([name, [...scopes].sort(), queues, quota])
  return text(a) === text(b)
}
