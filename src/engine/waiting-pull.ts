// Pulls that could not be served at once: one FIFO line per queue, and a register by number and by holder.
//
// 1. A waiting pull is not part of a shard's state: it lives and dies with its connection.
// 2. One that is over is in no list and points at no other one, so it does not outlive its end (bag.ts says why that counts).
// 3. A number is given again. A timer belongs to the pull of its number that ends when the timer is due, or is stale.

import { Bag, type BagItem } from './bag.ts'
import type { Reply } from './ports.ts'

export class WaitingPull implements BagItem {
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
  /** When its wait is over; 0: never. */
  readonly untilMs: number
  /** Which one of its shard it is, from the first. */
  arrival = 0
  /** Answered or forgotten. */
  over = false
  /** Among those of its holder. */
  bagAt = -1
  /** Its neighbours in the line. */
  before: WaitingPull | null = null
  after: WaitingPull | null = null

  constructor(no: number, line: WaitingLine, reply: Reply, pull: PullTerms, untilMs: number) {
    this.no = no
    this.line = line
    this.reply = reply
    this.max = pull.max
    this.many = pull.many
    this.leaseMs = pull.leaseMs
    this.showToken = pull.showToken
    this.releaseOnClose = pull.releaseOnClose
    this.holder = pull.holder
    this.untilMs = untilMs
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
  first: WaitingPull | null = null
  private last: WaitingPull | null = null

  add(pull: WaitingPull): void {
    pull.before = this.last
    if (this.last === null) this.first = pull
    else this.last.after = pull
    this.last = pull
    this.size++
  }

  remove(pull: WaitingPull): void {
    const { before, after } = pull
    if (before === null) this.first = after
    else before.after = after
    if (after === null) this.last = before
    else after.before = before
    pull.before = null
    pull.after = null
    this.size--
  }
}

/** All waiting pulls of a shard. */
export class WaitingPulls {
  /** By number. */
  private readonly pulls: (WaitingPull | null)[] = []
  private readonly freeNos: number[] = []
  private arrivals = 0
  /** Of a holder that pulls now and then; forgotten with it. */
  private readonly byHolder = new Map<number, Bag<WaitingPull>>()

  /** `untilMs`: 0 for a pull that waits without limit. */
  add(line: WaitingLine, reply: Reply, terms: PullTerms, untilMs: number): WaitingPull {
    const no = this.freeNos.pop() ?? this.pulls.length
    const pull = new WaitingPull(no, line, reply, terms, untilMs)
    pull.arrival = ++this.arrivals
    this.pulls[no] = pull
    this.heldBy(terms.holder).add(pull)
    line.add(pull)
    return pull
  }

  /** Whose timer is due at `dueMs`; null: that one is over. */
  timed(no: number, dueMs: number): WaitingPull | null {
    const pull = this.pulls[no] ?? null
    return pull?.untilMs === dueMs ? pull : null
  }

  /** It was answered, or is forgotten. */
  end(pull: WaitingPull): void {
    if (pull.over) return
    pull.over = true
    this.pulls[pull.no] = null
    this.freeNos.push(pull.no)
    this.byHolder.get(pull.holder)?.remove(pull)
    pull.line.remove(pull)
  }

  /** Returns how many of them have a timer that is now for nothing. */
  forgetHolder(holder: number): number {
    let timed = 0
    for (const pull of [...(this.byHolder.get(holder)?.items ?? [])]) {
      this.end(pull)
      if (pull.untilMs > 0) timed++
    }
    this.byHolder.delete(holder)
    return timed
  }

  hasHolder(holder: number): boolean {
    return this.byHolder.has(holder)
  }

  /** Those of waiting pulls, and some that have none at the moment. */
  holders(): number[] {
    return [...this.byHolder.keys()]
  }

  /** As they came. */
  all(): WaitingPull[] {
    return this.pulls.filter((pull) => pull !== null).sort((a, b) => a.arrival - b.arrival)
  }

  private heldBy(holder: number): Bag<WaitingPull> {
    let bag = this.byHolder.get(holder)
    if (bag === undefined) {
      bag = new Bag()
      this.byHolder.set(holder, bag)
    }
    return bag
  }
}
