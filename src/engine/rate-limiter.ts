// A token bucket: holds up to `limit` tokens, starts full, refills `limit` a second, continuously.
//
// 1. 0 <= tokens <= limit. `tokens` was true at `refilledAtMs`.
// 2. Only `take` changes the state. Asking does not, so that an owner that asks and a replica that
//    only follows come to the same bits.
// 3. A clock that steps back adds nothing and takes nothing; refilling goes on from the new time.

export class RateLimiter {
  readonly limit: number
  tokens: number
  refilledAtMs: number

  constructor(limit: number, nowMs: number) {
    this.limit = limit
    this.tokens = limit
    this.refilledAtMs = nowMs
  }

  /** Whole tokens there are. */
  available(nowMs: number): number {
    return Math.floor(this.tokensAt(nowMs))
  }

  /** Takes `count` tokens if there are as many; all or none. */
  take(count: number, nowMs: number): boolean {
    const tokens = this.tokensAt(nowMs)
    if (tokens < count) return false
    this.tokens = tokens - count
    this.refilledAtMs = nowMs
    return true
  }

  /** When a whole token is there: `nowMs` if one is, Infinity if none will ever be. */
  nextTokenMs(nowMs: number): number {
    const tokens = this.tokensAt(nowMs)
    if (tokens >= 1) return nowMs
    if (this.limit === 0) return Number.POSITIVE_INFINITY
    const dueMs = nowMs + Math.ceil(((1 - tokens) * 1000) / this.limit)
    // Rounding may have pushed it over a millisecond that is enough.
    return this.tokensAt(dueMs - 1) >= 1 ? dueMs - 1 : dueMs
  }

  restore(tokens: number, refilledAtMs: number): void {
    this.tokens = Math.min(this.limit, Math.max(0, tokens))
    this.refilledAtMs = refilledAtMs
  }

  private tokensAt(nowMs: number): number {
    const elapsedMs = Math.max(0, nowMs - this.refilledAtMs)
    const tokens = Math.min(this.limit, this.tokens + (elapsedMs * this.limit) / 1000)
    // 0.1 added ten times is not 1: what is whole but for rounding counts as whole.
    const whole = Math.round(tokens)
    return Math.abs(tokens - whole) < 1e-9 * Math.max(1, whole) ? whole : tokens
  }
}
