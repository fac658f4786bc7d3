// The events of this worker's own shards, numbered, and kept a while for streams that come back.
//
//   hub ──note──▶ ring: 7 8 9 [2 skipped] 12 13 … ──▶ every hearer, from where it is, at the end of the turn
//                 └ floor: 6            head: 13 ┘
//
// 1. While nobody hears, and has not for `eventLingerMs`, nothing is noted: the hub is not asked to.
// 2. A number is given once. What is not told because there is too much of it has numbers, too, and is told as skipped.
//    When nobody can keep up, nothing more is noted until somebody can: what can't be sent need not be made.
// 3. A hearer is never waited for. One that has no room is told later, from the ring; what the ring does not have any
//    more, it is told as skipped.
// 4. What is noted is what is asked for by somebody. When less is, `broken` says so: whoever was away meanwhile may
//    have missed events that were not even numbered.
// 5. A recording that begins anew is another stream.
//
// Next: feeds.ts on this worker, peer-hearer.ts for the others

import { limits } from '../engine/limits.ts'
import {
  ALL_QUEUES,
  type Clock,
  EventKind,
  type FeedPosition,
  type FeedStream,
  type NoteSink,
} from '../engine/ports.ts'

/** How often it is looked whether something is not asked for any more. */
const SWEEP_MS = 5000
/** A hearer that had no room is asked again. */
const AGAIN_MS = 20
const EVERY_KIND = Object.values(EventKind).reduce((all, kind) => all | kind, 0)
/** In place of a kind. */
const SKIPPED = 0
const BROKEN = -1
const NO_NOTE = Buffer.alloc(0)

/** A worker with streams, this one or another. */
export interface Hearer {
  readonly hasRoom: boolean
  positioned(position: FeedPosition): void
  told(stream: FeedStream, seq: number, kind: EventKind, queue: string, note: Buffer): void
  skipped(stream: FeedStream, seq: number, count: number): void
  broken(stream: FeedStream, seq: number): void
  /** This worker is about to end, and has told everything. */
  over(): void
}

interface Entry {
  readonly seq: number
  readonly kind: EventKind | typeof SKIPPED | typeof BROKEN
  /** Of what was skipped. */
  readonly count: number
  readonly queue: string
  readonly note: Buffer
}

/** What is asked for of one queue. */
interface Interest {
  now: number
  /** Asked for until lately. */
  before: number
  beforeUntilMs: number
}

interface Hearing {
  readonly kinds: Map<string, number>
  /** The last number that it was told. */
  at: number
  isOver: boolean
}

export interface ChronicleDeps {
  /** Index of this worker. */
  readonly worker: number
  readonly clock: Clock
  /** These kinds of the queue's events are to be noted, and no others. */
  noteOnly(queue: string, kinds: number): void
  /** Calls `turnEnded` soon. */
  schedule(): void
}

export class Chronicle implements NoteSink {
  private readonly deps: ChronicleDeps
  private readonly interests = new Map<string, Interest>()
  private readonly hearings = new Map<Hearer, Hearing>()
  private stream: FeedStream | null = null
  private isComplete = false
  private isServing = false
  private lastBeganMs = 0
  /** `ring[first..]`. */
  private ring: Entry[] = []
  private first = 0
  private ringBytes = 0
  private floor = 0
  private head = 0
  private unsaid = 0
  private allowance = 0
  private allowedAtMs = 0
  /** Nobody who hears can keep up. */
  private isStuck = false
  private isEnding = false
  private sweepTimer: NodeJS.Timeout | null = null
  private againTimer: NodeJS.Timeout | null = null

  constructor(deps: ChronicleDeps) {
    this.deps = deps
  }

  /** Before this worker gets its first shard. `isHeard`: others may be asked for events already, so this one will be. */
  serving(isHeard: boolean): void {
    if (this.isServing) return
    if (isHeard) {
      this.keep(this.interestOf(ALL_QUEUES), EVERY_KIND)
      this.begin()
      this.deps.noteOnly(ALL_QUEUES, EVERY_KIND)
    }
    this.isServing = true
  }

  hear(hearer: Hearer, queue: string, kinds: number): void {
    this.begin()
    let hearing = this.hearings.get(hearer)
    if (hearing === undefined) {
      hearing = { kinds: new Map(), at: this.floor, isOver: false }
      this.hearings.set(hearer, hearing)
    }
    if (kinds === 0) hearing.kinds.delete(queue)
    else hearing.kinds.set(queue, kinds)
    this.countInterest(queue)
    if (hearing.kinds.size === 0) this.hearings.delete(hearer)
    hearer.positioned(this.position())
    this.deps.schedule()
  }

  forget(hearer: Hearer): void {
    const hearing = this.hearings.get(hearer)
    if (hearing === undefined) return
    this.hearings.delete(hearer)
    for (const queue of hearing.kinds.keys()) this.countInterest(queue)
  }

  admit(count: number, nowMs: number): number {
    if (this.isStuck) return 0
    if (nowMs > this.allowedAtMs) {
      const more = ((nowMs - this.allowedAtMs) * limits.eventsPerSecondMax) / 1000
      this.allowance = Math.min(limits.eventBurstMax, this.allowance + more)
      this.allowedAtMs = nowMs
    }
    const admitted = Math.min(count, Math.floor(this.allowance))
    this.allowance -= admitted
    return admitted
  }

  leaveOut(count: number): void {
    if (this.unsaid === 0) this.deps.schedule()
    this.unsaid += count
  }

  note(kind: EventKind, queue: string, note: Buffer): void {
    if (this.stream === null) return
    this.saySkipped()
    this.add(kind, 1, queue, note)
    this.deps.schedule()
  }

  /** Everybody is told what has been noted. */
  turnEnded(): void {
    if (!this.isStuck) this.saySkipped()
    let someWait = this.tellAll()
    if (!this.isStuck && this.unsaid > 0) {
      this.saySkipped()
      someWait = this.tellAll()
    }
    if (this.isEnding) this.tellOver()
    if (someWait) this.againTimer ??= setTimeout(() => this.tellAgain(), AGAIN_MS)
  }

  /** This worker ends, and its shards have told everything. Who comes to hear it now is told that, too. */
  end(): void {
    this.isEnding = true
    this.turnEnded()
  }

  stop(): void {
    if (this.sweepTimer !== null) clearInterval(this.sweepTimer)
    if (this.againTimer !== null) clearTimeout(this.againTimer)
    this.sweepTimer = null
    this.againTimer = null
  }

  private begin(): void {
    if (this.stream !== null) return
    const { worker, clock } = this.deps
    this.lastBeganMs = Math.max(clock.nowMs(), this.lastBeganMs + 1)
    this.stream = { worker, beganMs: this.lastBeganMs }
    this.isComplete = !this.isServing
    this.floor = 0
    this.head = 0
    this.unsaid = 0
    this.isStuck = false
    this.allowance = limits.eventBurstMax
    this.allowedAtMs = this.lastBeganMs
    this.sweepTimer ??= setInterval(() => this.sweep(), SWEEP_MS).unref()
  }

  private position(): FeedPosition {
    const { stream, floor, head, isComplete } = this
    if (stream === null) throw new Error('nothing is recorded')
    return { stream, floor, head, isComplete }
  }

  private interestOf(queue: string): Interest {
    let interest = this.interests.get(queue)
    if (interest === undefined) {
      interest = { now: 0, before: 0, beforeUntilMs: 0 }
      this.interests.set(queue, interest)
    }
    return interest
  }

  private countInterest(queue: string): void {
    const interest = this.interestOf(queue)
    let now = 0
    for (const { kinds } of this.hearings.values()) now |= kinds.get(queue) ?? 0
    if ((interest.now & ~now) !== 0) this.keep(interest, interest.before | interest.now)
    interest.now = now
    this.deps.noteOnly(queue, now | interest.before)
  }

  private keep(interest: Interest, kinds: number): void {
    interest.before = kinds
    interest.beforeUntilMs = this.deps.clock.nowMs() + limits.eventLingerMs
  }

  private sweep(): void {
    const nowMs = this.deps.clock.nowMs()
    let isLess = false
    for (const [queue, interest] of this.interests) {
      const { now, before, beforeUntilMs } = interest
      if (before !== 0 && nowMs >= beforeUntilMs) {
        interest.before = 0
        if ((before & ~now) !== 0) isLess = true
        this.deps.noteOnly(queue, now)
      }
      if (interest.now === 0 && interest.before === 0) this.interests.delete(queue)
    }
    if (this.interests.size === 0) this.cease()
    else if (isLess) this.breakOff()
  }

  private cease(): void {
    this.stream = null
    this.clear()
    this.stop()
  }

  private breakOff(): void {
    this.saySkipped()
    this.clear()
    this.floor = this.head
    this.add(BROKEN, 1, '', NO_NOTE)
    this.deps.schedule()
  }

  private clear(): void {
    this.ring = []
    this.first = 0
    this.ringBytes = 0
  }

  private saySkipped(): void {
    const { unsaid } = this
    this.unsaid = 0
    if (unsaid > 0 && this.stream !== null) this.add(SKIPPED, unsaid, '', NO_NOTE)
  }

  private add(kind: Entry['kind'], count: number, queue: string, note: Buffer): void {
    this.head += count
    this.ring.push({ seq: this.head, kind, count, queue, note })
    this.ringBytes += note.length
    while (
      this.ringBytes > limits.eventRingBytesMax ||
      this.ring.length - this.first > limits.eventRingCountMax
    ) {
      const oldest = this.ring[this.first++] as Entry
      this.ringBytes -= oldest.note.length
      this.floor = oldest.seq
    }
    if (this.first > limits.eventRingCountMax) {
      this.ring = this.ring.slice(this.first)
      this.first = 0
    }
  }

  /** True: somebody has no room for all. */
  private tellAll(): boolean {
    let someWait = false
    let leastLag = this.hearings.size === 0 ? 0 : Number.POSITIVE_INFINITY
    for (const [hearer, hearing] of this.hearings) {
      if (hearing.at < this.head && !this.tell(hearer, hearing)) someWait = true
      leastLag = Math.min(leastLag, this.head - hearing.at)
    }
    this.isStuck = leastLag > limits.eventLagMax
    return someWait
  }

  /** False: it has no room for all. */
  private tell(hearer: Hearer, hearing: Hearing): boolean {
    const { stream, ring } = this
    if (stream === null) return true
    let at = this.after(hearing.at)
    while (at < ring.length) {
      if (!hearer.hasRoom) return false
      if (hearing.at < this.floor) {
        hearer.skipped(stream, this.floor, this.floor - hearing.at)
        hearing.at = this.floor
      }
      const { seq, kind, count, queue, note } = ring[at++] as Entry
      if (kind === SKIPPED) hearer.skipped(stream, seq, count)
      else if (kind === BROKEN) hearer.broken(stream, seq)
      else hearer.told(stream, seq, kind, queue, note)
      hearing.at = seq
    }
    return true
  }

  /** Where the first entry above `seq` is. */
  private after(seq: number): number {
    const { ring } = this
    let low = this.first
    let high = ring.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((ring[middle] as Entry).seq > seq) high = middle
      else low = middle + 1
    }
    return low
  }

  private tellOver(): void {
    for (const [hearer, hearing] of this.hearings) {
      if (hearing.isOver || hearing.at < this.head) continue
      hearing.isOver = true
      hearer.over()
    }
  }

  private tellAgain(): void {
    this.againTimer = null
    this.turnEnded()
  }
}
