// The numbered events of every live worker, for the streams of this one.
//
//   streams ──hear(queue, kinds)──▶ every live worker: the chronicle here, a link to each other one
//   streams ◀──positioned, told …── each, in its order
//
// 1. Whoever comes to life while something is heard is asked for the same. `done` of a `hear` is called when every
//    worker that was alive has answered, or is gone.
// 2. A worker's events end when its link is lost, not when the table says that it is dead: only then has everything that
//    it has sent been read.
// 3. A link that is lost without its worker's end is made again.

import type { EventKind, Feed, FeedListener, FeedPosition, FeedStream } from '../engine/ports.ts'
import type { Chronicle, Hearer } from './chronicle.ts'
import { passEvent, readPositioned } from './feed-frames.ts'
import { FrameKind } from './link-frames.ts'
import type { Routes } from './routes.ts'

const AGAIN_MS = 200

/** What is needed of a link. */
export interface FeedLink {
  readonly worker: number
  readonly isLost: boolean
  hear(queue: string, kinds: number): void
}

export interface FeedsDeps {
  readonly routes: Routes
  readonly local: Pick<Chronicle, 'hear' | 'forget'>
  /** Null while the worker is not reachable. */
  linkTo(worker: number): FeedLink | null
  /** Lost links may be made again. */
  forgetLost(): void
  /** Something is heard here, or nothing any more. */
  hearing(isHearing: boolean): void
}

/** One worker that is heard. */
interface Source {
  asked: number
  answered: number
  /** The first answer that counts: what was asked before is of no use any more. */
  from: number
  stream: FeedStream | null
  isOver: boolean
}

interface Waiting {
  /** The answer of each that is waited for. */
  readonly answers: Map<Source, number>
  readonly done: () => void
}

export class Feeds implements Feed {
  listener: FeedListener | null = null
  private readonly deps: FeedsDeps
  private readonly kinds = new Map<string, number>()
  private readonly sources = new Map<FeedLink, Source>()
  private readonly own: Source = newSource()
  private readonly ownHearer: Hearer
  private waiting: Waiting[] = []
  private againTimer: NodeJS.Timeout | null = null

  constructor(deps: FeedsDeps) {
    this.deps = deps
    this.ownHearer = new OwnHearer(this)
  }

  hear(queue: string, kinds: number, done: () => void): void {
    const wasHearing = this.kinds.size > 0
    if (kinds === 0) this.kinds.delete(queue)
    else this.kinds.set(queue, kinds)
    const isHearing = this.kinds.size > 0
    if (!wasHearing && !isHearing) return done()
    if (wasHearing !== isHearing) this.deps.hearing(isHearing)
    this.deps.local.hear(this.ownHearer, queue, kinds)
    for (const [link, source] of this.sources) ask(link, source, queue, kinds)
    // Those that are new are asked for all of it.
    if (isHearing) this.look()
    else this.forgetAll()
    const answers = new Map<Source, number>()
    for (const source of this.sources.values()) answers.set(source, source.asked)
    this.waiting.push({ answers, done })
    this.settle()
  }

  ownersChanged(): void {
    if (this.kinds.size > 0) this.look()
  }

  /** Whether the frame is of this. */
  frame(link: FeedLink, kind: number, body: Buffer): boolean {
    switch (kind) {
      case FrameKind.positioned:
        this.positioned(this.sources.get(link), readPositioned(link.worker, body))
        return true
      case FrameKind.told:
      case FrameKind.skipped:
      case FrameKind.broken: {
        const stream = this.sources.get(link)?.stream ?? null
        if (stream !== null && this.listener !== null) passEvent(kind, body, stream, this.listener)
        return true
      }
      case FrameKind.feedOver: {
        const source = this.sources.get(link)
        if (source !== undefined) source.isOver = true
        return true
      }
      default:
        return false
    }
  }

  linkLost(link: FeedLink): void {
    const source = this.sources.get(link)
    if (source === undefined) return
    this.sources.delete(link)
    if (source.stream !== null) this.listener?.ended(source.stream, source.isOver)
    this.settle()
    this.look()
  }

  stop(): void {
    if (this.againTimer !== null) clearTimeout(this.againTimer)
    this.againTimer = null
  }

  /** For `OwnHearer`. */
  ownPosition(position: FeedPosition): void {
    if (!this.own.isOver) this.positioned(this.own, position)
  }

  /** For `OwnHearer`. */
  ownOver(): void {
    const { own } = this
    if (own.isOver) return
    own.isOver = true
    if (own.stream !== null) this.listener?.ended(own.stream, true)
  }

  /** Nothing is heard any more: what still comes is of no use, and the next time everybody is asked anew. */
  private forgetAll(): void {
    this.own.stream = null
    for (const source of this.sources.values()) {
      source.stream = null
      source.from = source.asked + 1
    }
  }

  private positioned(source: Source | undefined, position: FeedPosition): void {
    if (source === undefined) return
    source.answered++
    if (source.answered < source.from || this.kinds.size === 0) return this.settle()
    source.stream ??= position.stream
    this.listener?.positioned({ ...position, stream: source.stream })
    this.settle()
  }

  /** Asks those who are not asked yet. */
  private look(): void {
    let someAreMissing = false
    for (const worker of this.deps.routes.others()) {
      const link = this.deps.linkTo(worker)
      if (link === null) {
        someAreMissing = true
        continue
      }
      if (this.sources.has(link)) continue
      const source = newSource()
      this.sources.set(link, source)
      for (const [queue, kinds] of this.kinds) ask(link, source, queue, kinds)
    }
    if (!someAreMissing || this.againTimer !== null || this.kinds.size === 0) return
    this.againTimer = setTimeout(() => {
      this.againTimer = null
      this.deps.forgetLost()
      this.look()
    }, AGAIN_MS)
  }

  private settle(): void {
    const isAlive = (source: Source): boolean => [...this.sources.values()].includes(source)
    this.waiting = this.waiting.filter(({ answers, done }) => {
      for (const [source, answer] of answers) {
        if (source.answered >= answer || !isAlive(source)) answers.delete(source)
      }
      if (answers.size > 0) return true
      done()
      return false
    })
  }
}

function newSource(): Source {
  return { asked: 0, answered: 0, from: 1, stream: null, isOver: false }
}

function ask(link: FeedLink, source: Source, queue: string, kinds: number): void {
  source.asked++
  link.hear(queue, kinds)
}

/** This worker's own events. */
class OwnHearer implements Hearer {
  private readonly feeds: Feeds

  constructor(feeds: Feeds) {
    this.feeds = feeds
  }

  get hasRoom(): boolean {
    return this.feeds.listener?.hasRoom ?? true
  }

  positioned(position: FeedPosition): void {
    this.feeds.ownPosition(position)
  }

  told(stream: FeedStream, seq: number, kind: EventKind, queue: string, note: Buffer): void {
    this.feeds.listener?.told(stream, seq, kind, queue, note)
  }

  skipped(stream: FeedStream, seq: number, count: number): void {
    this.feeds.listener?.skipped(stream, seq, count)
  }

  broken(stream: FeedStream, seq: number): void {
    this.feeds.listener?.broken(stream, seq)
  }

  over(): void {
    this.feeds.ownOver()
  }
}
