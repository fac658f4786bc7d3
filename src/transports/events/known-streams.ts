// The streams of all workers as this one knows them: how far each is, from where on it can be gone on with, and the id
// that says so.
//
//   numbers of one stream:   1 … floor | floor+1 … at | at+1 … opened
//                            gone        here           on its way: what its worker had when it was asked
//
// 1. A stream is known by its name: the same one may come again, when a link to its worker was lost and made anew.
// 2. One that has ended stays known for a while, so that whoever comes back can be told the rest of it.

import { limits } from '../../engine/limits.ts'
import type { FeedPosition, FeedStream } from '../../engine/ports.ts'
import { joinParts, nameOf, partOf } from './event-id.ts'

export class Known {
  readonly name: string
  at: number
  floor: number
  opened: number
  /** Nobody can go on from before it. */
  brokenAt = 0
  readonly isComplete: boolean
  /** Null: it goes on. */
  endedMs: number | null = null

  constructor(name: string, { floor, head, isComplete }: FeedPosition) {
    this.name = name
    this.at = floor
    this.floor = floor
    this.opened = head
    this.isComplete = isComplete
  }

  /** Nothing that was there when it was asked for is still on its way. */
  get isCaughtUp(): boolean {
    return this.endedMs !== null || this.at >= this.opened
  }

  /** The last number that is here, or on its way. */
  get end(): number {
    return Math.max(this.at, this.opened)
  }

  /** Nothing comes after that number. It may have been heard at another worker, before it is here. */
  isAll(seq: number): boolean {
    return this.endedMs === null ? seq > this.end : seq >= this.at
  }

  get part(): string {
    return partOf(this.name, this.at, this.endedMs !== null)
  }
}

export class KnownStreams {
  private readonly byName = new Map<string, Known>()
  private readonly byStream = new Map<FeedStream, Known>()
  /** The id, around the number of the stream that has moved last. */
  private moved: Known | null = null
  private before = ''
  private behind = ''

  all(): IterableIterator<Known> {
    return this.byName.values()
  }

  get(stream: FeedStream): Known | undefined {
    return this.byStream.get(stream)
  }

  byTheName(name: string): Known | undefined {
    return this.byName.get(name)
  }

  /** True: it was not known before. */
  open(position: FeedPosition): boolean {
    const name = nameOf(position.stream)
    let known = this.byName.get(name)
    const isNew = known === undefined
    if (known === undefined) {
      known = new Known(name, position)
      this.byName.set(name, known)
      this.moved = null
    }
    if (known.endedMs !== null) {
      // The number of its end.
      known.at--
      known.endedMs = null
      this.moved = null
    }
    known.opened = Math.max(known.opened, position.head)
    this.byStream.set(position.stream, known)
    return isNew
  }

  end(stream: FeedStream, nowMs: number): void {
    const known = this.byStream.get(stream)
    this.byStream.delete(stream)
    if (known === undefined) return
    known.endedMs = nowMs
    this.moved = null
  }

  /** Those that have ended long ago. */
  forget(nowMs: number): void {
    for (const [name, { endedMs }] of this.byName) {
      if (endedMs === null || nowMs - endedMs < limits.eventLingerMs) continue
      this.byName.delete(name)
      this.moved = null
    }
  }

  clear(): void {
    this.byName.clear()
    this.byStream.clear()
    this.moved = null
  }

  get areCaughtUp(): boolean {
    for (const known of this.byName.values()) if (!known.isCaughtUp) return false
    return true
  }

  /** Of whoever has had everything that has come so far. */
  get id(): string {
    return joinParts([...this.byName.values()].map(({ part }) => part))
  }

  /** The same, quickly when it is the stream that has moved last, too. */
  idAfter(known: Known): string {
    if (this.moved !== known) {
      const parts = [...this.byName.values()]
      const place = parts.indexOf(known)
      const text = (some: readonly Known[]): string => joinParts(some.map(({ part }) => part))
      this.before = text(parts.slice(0, place))
      if (place > 0) this.before += '-'
      this.behind = text(parts.slice(place + 1))
      if (this.behind !== '') this.behind = `-${this.behind}`
      this.moved = known
    }
    return this.before + known.part + this.behind
  }
}
