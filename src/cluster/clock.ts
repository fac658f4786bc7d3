// The node's clock: Unix milliseconds that never go back.
//
// 1. A wall clock that runs or jumps forward is followed (a suspended host wakes up late, and timers are due).
// 2. A wall clock that steps back is not followed: time goes on at half speed, measured by the monotonic
//    clock, until the wall has caught up. So an hour's step back delays what is due, and reorders nothing.

import type { Clock } from '../engine/ports.ts'

const SLEW = 0.5

export interface TimeSource {
  /** Unix ms; may jump either way. */
  wallMs(): number
  /** Since any moment; never goes back. */
  monotonicMs(): number
}

const systemTime: TimeSource = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
}

export class SteadyClock implements Clock {
  private readonly source: TimeSource
  private lastMs: number
  private lastMonotonicMs: number

  constructor(source: TimeSource = systemTime) {
    this.source = source
    this.lastMs = source.wallMs()
    this.lastMonotonicMs = source.monotonicMs()
  }

  nowMs(): number {
    const wallMs = this.source.wallMs()
    const monotonicMs = this.source.monotonicMs()
    const elapsedMs = Math.max(0, monotonicMs - this.lastMonotonicMs)
    this.lastMonotonicMs = monotonicMs
    this.lastMs = Math.max(wallMs, this.lastMs + elapsedMs * SLEW)
    return Math.floor(this.lastMs)
  }
}
