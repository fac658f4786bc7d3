// Time that passes when a test says so.

import type { Delay } from '../../src/storage/delay.ts'

interface Waiting {
  readonly ms: number
  readonly then: () => void
}

export class ManualDelay {
  /** How long each wait was to be, ever. */
  readonly asked: number[] = []
  private waiting: Waiting[] = []

  readonly delay: Delay = (ms, then) => {
    const entry = { ms, then }
    this.asked.push(ms)
    this.waiting.push(entry)
    return () => {
      this.waiting = this.waiting.filter((each) => each !== entry)
    }
  }

  get count(): number {
    return this.waiting.length
  }

  /** Everything that waits has waited long enough. */
  pass(): void {
    for (const { then } of this.waiting.splice(0)) then()
  }
}
