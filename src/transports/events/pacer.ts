// How much of its time a worker spends on something that must not slow down the rest: after a turn of d ms it rests
// until the turn is no more than its share of the time. Where the worker has little else to do it rests less.
//
//   │▓▓▓│      rest: (d / share - d) * how busy the worker is      │▓▓▓│
//
// What is asked for after a longer pause is done at once.

export interface Moments {
  /** Does not go back. */
  nowMs(): number
  /** How much of its time the worker was busy since the last call, from 0 to 1. */
  busy(): number
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
    this.nextMs = endMs + (endMs - startMs) * (1 / this.share - 1) * moments.busy()
    this.isScheduled = false
    if (isMore) this.schedule()
  }
}

export function realMoments(): Moments {
  let before = performance.eventLoopUtilization()
  return {
    nowMs: () => performance.now(),
    busy: () => {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, before)
      before = now
      return utilization
    },
    later: (delayMs, task) => {
      if (delayMs === 0) setImmediate(task)
      else setTimeout(task, delayMs)
    },
  }
}
