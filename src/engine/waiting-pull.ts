// Pulls that could not be served at once: one FIFO line per queue, and a register by number and by holder.
//
// A waiting pull is not part of a shard's state: it lives and dies with its connection.

import type { Reply } from './ports.ts'

export class WaitingPull {
  readonly no: number
  /** Its queue's line. */
  readonly line: WaitingLine
  readonly reply: Reply
  readonly max: number
  /** Answer as PULLB does. */
  readonly many: boolean
  readonly leaseMs: number
  readonly showToken: boolean
  readonly releaseOnClose: boolean
  readonly holder: number
  /** It has a timer that ends it. */
  readonly timed: boolean
  /** Answered or forgotten; the line skips it. */
  over = false

  constructor(no: number, line: WaitingLine, reply: Reply, pull: PullTerms, timed: boolean) {
    this.no = no
    this.line = line
    this.reply = reply
    this.max = pull.max
    this.many = pull.many
    this.leaseMs = pull.leaseMs
    this.showToken = pull.showToken
    this.releaseOnClose = pull.releaseOnClose
    this.holder = pull.holder
    this.timed = timed
  }
}

/** What a pull asks for. */
export interface PullTerms {
  readonly max: number
  readonly many: boolean
  readonly leaseMs: number
  readonly showToken: boolean
  readonly releaseOnClose: boolean
  readonly holder: number
}

/** The waiting pulls of one queue, first come first served. */
export class WaitingLine {
  size = 0
  private line: WaitingPull[] = []
  private head = 0

  add(pull: WaitingPull): void {
    this.line.push(pull)
    this.size++
  }

  first(): WaitingPull | null {
    while (this.head < this.line.length) {
      const pull = this.line[this.head] as WaitingPull
      if (!pull.over) return pull
      this.head++
    }
    this.line = []
    this.head = 0
    return null
  }

  /** One of the line is over. */
  left(): void {
    this.size--
    if (this.line.length - this.head > 2 * this.size + 64 || this.head > 1024) {
      this.line = this.line.slice(this.head).filter((pull) => !pull.over)
      this.head = 0
    }
  }
}

/** All waiting pulls of a shard. */
export class WaitingPulls {
  private nextNo = 1
  private readonly byNo = new Map<number, WaitingPull>()
  private readonly byHolder = new Map<number, Set<WaitingPull>>()

  add(line: WaitingLine, reply: Reply, terms: PullTerms, timed: boolean): WaitingPull {
    const pull = new WaitingPull(this.nextNo++, line, reply, terms, timed)
    this.byNo.set(pull.no, pull)
    const held = this.byHolder.get(terms.holder)
    if (held === undefined) this.byHolder.set(terms.holder, new Set([pull]))
    else held.add(pull)
    line.add(pull)
    return pull
  }

  byNumber(no: number): WaitingPull | undefined {
    return this.byNo.get(no)
  }

  /** It was answered, or is forgotten. */
  end(pull: WaitingPull): void {
    if (pull.over) return
    pull.over = true
    this.byNo.delete(pull.no)
    const held = this.byHolder.get(pull.holder)
    if (held !== undefined) {
      held.delete(pull)
      if (held.size === 0) this.byHolder.delete(pull.holder)
    }
    pull.line.left()
  }

  /** Returns how many of them have a timer that is now for nothing. */
  forgetHolder(holder: number): number {
    let timed = 0
    for (const pull of [...(this.byHolder.get(holder) ?? [])]) {
      this.end(pull)
      if (pull.timed) timed++
    }
    return timed
  }

  hasHolder(holder: number): boolean {
    return this.byHolder.has(holder)
  }

  holders(): number[] {
    return [...this.byHolder.keys()]
  }

  all(): WaitingPull[] {
    return [...this.byNo.values()]
  }
}
