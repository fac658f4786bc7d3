// What became of sessions lately: for shards that were on their way between two owners when it happened, and heard
// nothing.
//
//   closed 7      renamed 8 ─▶ 9      closed 9          now(7) null   now(8) null   now(5) 5
//
// It forgets after a while, which is far longer than any shard is on its way.

const KEPT_MS = 10 * 60_000
const KEPT_MAX = 100_000
/** No session has that number. */
const CLOSED = 0

interface News {
  /** Its number since then, or `CLOSED`. */
  readonly now: number
  readonly atMs: number
}

export class SessionNews {
  /** Oldest first. */
  private readonly news = new Map<number, News>()

  closed(holder: number, nowMs: number): void {
    this.add(holder, CLOSED, nowMs)
  }

  renamed(from: number, to: number, nowMs: number): void {
    this.add(from, to, nowMs)
  }

  /** The number under which the session goes on; null when it has closed. */
  now(holder: number): number | null {
    let at = holder
    for (let next = this.news.get(at); next !== undefined; next = this.news.get(at)) {
      if (next.now === CLOSED) return null
      at = next.now
    }
    return at
  }

  private add(holder: number, now: number, atMs: number): void {
    const { news } = this
    news.set(holder, { now, atMs })
    for (const [oldest, { atMs: sinceMs }] of news) {
      if (news.size <= KEPT_MAX && atMs - sinceMs <= KEPT_MS) return
      news.delete(oldest)
    }
  }
}
