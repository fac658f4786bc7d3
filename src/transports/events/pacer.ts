// How much of its time a worker spends on something that must not slow down the rest: after a turn of d ms it rests
// until the turn is no more than its share of the time.
//
//   │▓▓▓│           rest: d / share - d            │▓▓▓│
//
// What is asked for after a longer pause is done at once.

export interface Moments {
  /** Does not go back. */
  nowMs(): number
  /** As soon as this turn of the loop is over, or after so many ms. */
  later(delayMs: number, task: () => void): void
}

/** Under a timer's resolution. */
const AT_ONCE_MS = 0.5

export class Pacer {
  private readonly share: number
  private readonly moments: Moments
  /** True: there is more to do. */
  private readonly turn: () => boolean
  private nextMs = 0
  private isScheduled = false
  private readonly run = (): void => this.take()

  constructor(share: number, moments: Moments, turn: () => boolean) {
    this.share = share
    this.moments = moments
    this.turn = turn
  }

  schedule(): void {
    if (this.isScheduled) return
    this.isScheduled = true
    const restMs = this.nextMs - this.moments.nowMs()
    this.moments.later(restMs > AT_ONCE_MS ? restMs : 0, this.run)
  }

  private take(): void {
    const { moments } = this
    const startMs = moments.nowMs()
    const isMore = this.turn()
    const endMs = moments.nowMs()
    this.nextMs = endMs + (endMs - startMs) * (1 / this.share - 1)
    this.isScheduled = false
    if (isMore) this.schedule()
  }
}

export const realMoments: Moments = {
  nowMs: () => performance.now(),
  later: (delayMs, task) => {
    if (delayMs === 0) setImmediate(task)
    else setTimeout(task, delayMs)
  },
}
