// The measured window of a slice: warm-up, measurement, end. The load asks `add()` for every finished unit of work and
// stops when `over` is true. Monotonic time; the clock is read once per reply.

export class Window {
  private readonly startMs: number
  private readonly endMs: number
  private measured = 0
  private lastMs = 0
  private firstMs = 0
  total = 0

  constructor(warmupMs: number, measureMs: number) {
    const nowMs = performance.now()
    this.startMs = nowMs + warmupMs
    this.endMs = this.startMs + measureMs
  }

  /** Counts `jobs` and tells whether the slice goes on. */
  add(jobs: number): boolean {
    const nowMs = performance.now()
    this.total += jobs
    if (nowMs >= this.startMs) {
      // The first reply inside the window only starts its clock: its work was done before.
      if (this.firstMs === 0) this.firstMs = nowMs
      else this.measured += jobs
      this.lastMs = nowMs
    }
    return nowMs < this.endMs
  }

  perSecond(): number {
    const elapsedMs = this.lastMs - this.firstMs
    return elapsedMs > 0 ? (this.measured * 1000) / elapsedMs : 0
  }
}
