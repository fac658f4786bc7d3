// What happened in each of the last seconds: a ring of 64 one-second buckets, each a count and a sum.
//
// A bucket knows which second it holds; one that holds another is worth nothing and is cleared when it
// is next written. So nothing has to run each second, and a pause leaves no old numbers behind.

const BUCKETS = 64
/** The longest window: one bucket is the running second's. */
const SECONDS_MAX = BUCKETS - 1

export class RateWindow {
  private readonly second = new Float64Array(BUCKETS).fill(-1)
  private readonly counts = new Float64Array(BUCKETS)
  private readonly sums = new Float64Array(BUCKETS)

  add(nowMs: number, count: number, sum: number): void {
    const second = Math.floor(nowMs / 1000)
    const at = second % BUCKETS
    if (this.second[at] !== second) {
      this.second[at] = second
      this.counts[at] = 0
      this.sums[at] = 0
    }
    this.counts[at] = (this.counts[at] as number) + count
    this.sums[at] = (this.sums[at] as number) + sum
  }

  /** Events per second over the last `seconds` full seconds; the running one is left out. */
  perSecond(nowMs: number, seconds: number): number {
    return this.total(this.counts, Math.floor(nowMs / 1000) - 1, seconds) / seconds
  }

  /** Mean of what was summed, over the last `seconds` with the running one; 0 when nothing happened. */
  mean(nowMs: number, seconds: number): number {
    const count = this.count(nowMs, seconds)
    return count === 0 ? 0 : this.total(this.sums, Math.floor(nowMs / 1000), seconds) / count
  }

  /** Events in the last `seconds` with the running one. */
  count(nowMs: number, seconds: number): number {
    return this.total(this.counts, Math.floor(nowMs / 1000), seconds)
  }

  /** Sum of `cells` over the `seconds` that end with `last`. */
  private total(cells: Float64Array, last: number, seconds: number): number {
    let total = 0
    for (let second = last - Math.min(seconds, SECONDS_MAX) + 1; second <= last; second++) {
      const at = second % BUCKETS
      if (this.second[at] === second) total += cells[at] as number
    }
    return total
  }
}
