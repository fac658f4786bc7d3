// Who may use the server: tokens, and a brake on guessing them.
//
// 1. Only SHA-256 digests of the tokens are kept. A guess is compared with every one of them in
//    constant time, so neither its length nor its first letters can be felt from outside.
// 2. An address that failed too often within the window is refused unheard until the window is over;
//    otherwise the brake would slow nobody who keeps guessing.
// 3. Peers of a Unix socket have no address: the file's permissions are their brake.

import { createHash, timingSafeEqual } from 'node:crypto'
import { limits } from '../../engine/limits.ts'
import type { Clock } from '../../engine/ports.ts'
import { anybody, type Principal } from './principal.ts'

/** Addresses with failures that are remembered; beyond it the oldest is forgotten. */
const ADDRESSES_MAX = 10_000

type Verdict = Principal | 'invalid' | 'throttled'

interface Failures {
  count: number
  readonly sinceMs: number
}

export class Authenticator {
  /** Without tokens everybody is welcome, and every AUTH is right. */
  readonly required: boolean
  private readonly digests: readonly Buffer[]
  private readonly clock: Clock
  private readonly failures = new Map<string, Failures>()

  constructor(tokens: readonly string[], clock: Clock) {
    this.required = tokens.length > 0
    this.digests = tokens.map(digestOf)
    this.clock = clock
  }

  /** `address` null: a Unix socket. */
  attempt(secret: string, address: string | null): Verdict {
    if (!this.required) return anybody
    if (address !== null && this.isThrottled(address)) return 'throttled'
    if (this.isKnown(secret)) return anybody
    if (address !== null) this.noteFailure(address)
    return 'invalid'
  }

  private isKnown(secret: string): boolean {
    const guess = digestOf(secret)
    let known = 0
    for (const digest of this.digests) known |= timingSafeEqual(guess, digest) ? 1 : 0
    return known === 1
  }

  private isThrottled(address: string): boolean {
    const failures = this.failures.get(address)
    if (failures === undefined) return false
    if (this.clock.nowMs() - failures.sinceMs < limits.authFailureWindowMs) {
      return failures.count >= limits.authFailuresMax
    }
    this.failures.delete(address)
    return false
  }

  private noteFailure(address: string): void {
    const failures = this.failures.get(address)
    if (failures !== undefined) {
      failures.count++
      return
    }
    if (this.failures.size >= ADDRESSES_MAX) {
      // Insertion order is the order of time: the first is the oldest.
      const [oldest] = this.failures.keys()
      if (oldest !== undefined) this.failures.delete(oldest)
    }
    this.failures.set(address, { count: 1, sinceMs: this.clock.nowMs() })
  }
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest()
}
