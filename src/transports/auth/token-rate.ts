// How fast one token may go at one worker: commands a second, and bytes a second.
//
// 1. A bucket for each, of one second's worth: full at first, refilled continuously.
// 2. A command runs when there is a whole command and a byte. Its bytes are taken then, also when they are more than
//    there are: what is owed is refilled first. So a batch of any size passes, and in the long run the rate holds.
// 3. What is refused takes nothing.

import type { Clock } from '../../engine/ports.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'

/** Infinity: as fast as it can. */
export interface Rates {
  readonly commandsPerSecond: number
  readonly bytesPerSecond: number
}

export class TokenRate {
  private readonly clock: Clock
  private readonly commands: Bucket
  private readonly bytes: Bucket

  constructor({ commandsPerSecond, bytesPerSecond }: Rates, clock: Clock) {
    const nowMs = clock.nowMs()
    this.clock = clock
    this.commands = new Bucket(commandsPerSecond, nowMs)
    this.bytes = new Bucket(bytesPerSecond, nowMs)
  }

  /** Takes one command of so many bytes, or says when to come again. */
  spend(bytes: number): Refusal | null {
    const nowMs = this.clock.nowMs()
    const waitMs = Math.max(this.commands.waitMs(nowMs), this.bytes.waitMs(nowMs))
    if (waitMs > 0) return refusals.tooFast(waitMs)
    this.commands.take(1, nowMs)
    this.bytes.take(bytes, nowMs)
    return null
  }

  /** What can't be refused any more. */
  charge(commands: number, bytes: number): void {
    const nowMs = this.clock.nowMs()
    this.commands.take(commands, nowMs)
    this.bytes.take(bytes, nowMs)
  }
}

/** In thousandths: what a millisecond refills is a whole number of them, so nothing is lost to rounding. */
const WHOLE = 1000

class Bucket {
  private readonly perSecond: number
  /** In thousandths; below zero: owed. */
  private left: number
  private atMs: number

  constructor(perSecond: number, nowMs: number) {
    this.perSecond = perSecond
    this.left = perSecond * WHOLE
    this.atMs = nowMs
  }

  /** Until a whole one is there. */
  waitMs(nowMs: number): number {
    if (this.perSecond === Number.POSITIVE_INFINITY) return 0
    this.refill(nowMs)
    return Math.max(0, Math.ceil((WHOLE - this.left) / this.perSecond))
  }

  take(count: number, nowMs: number): void {
    this.refill(nowMs)
    this.left -= count * WHOLE
  }

  /** A clock that steps back adds nothing. */
  private refill(nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - this.atMs)
    this.atMs = nowMs
    if (elapsedMs === 0) return
    this.left = Math.min(this.perSecond * WHOLE, this.left + elapsedMs * this.perSecond)
  }
}
