// The event streams of one worker's clients, SSE and WebSocket alike.
//
//   every worker ──feed──▶ EventStreams ──▶ history ──a turn now and then──▶ stream ──▶ client
//
// 1. Streams are written to in turns that take a small share of the worker's time (pacer.ts): when more is to be told than
//    that allows, streams fall behind, and the furthest lose events and are told so. Producers notice nothing.
// 2. What a client asks for is asked of every worker, before its stream begins: from then on it misses nothing unsaid.
// 3. A client that comes back with an id gets what it has not had, or `dropped` where that can't be said or is gone.
// 4. While there are no streams, nothing is asked for and nothing kept.

import type { CutReason, EventTraffic } from '../../engine/event-traffic.ts'
import { limits } from '../../engine/limits.ts'
import type {
  Clock,
  EventKind,
  Feed,
  FeedListener,
  FeedPosition,
  FeedStream,
} from '../../engine/ports.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import type { Usage } from '../auth/usage.ts'
import type { Log } from '../log.ts'
import { type Place, type Places, readEventId } from './event-id.ts'
import { droppedNote, EventStream, type Shared, type StreamOrigin } from './event-stream.ts'
import { type Chunk, DROPPED, History, MARK } from './history.ts'
import { Interests } from './interests.ts'
import { type Known, KnownStreams } from './known-streams.ts'
import { type Moments, Pacer } from './pacer.ts'

const TICK_MS = 1000
/** One turn of writing. */
const TURN_MS_MAX = 4
/** A worker that does not answer does not keep a client waiting for longer. */
const READY_MS_MAX = 5000
const NO_NOTE = Buffer.alloc(0)
const DROPPED_UNCOUNTED = Buffer.from(droppedNote(null))

export interface EventStreamsDeps {
  readonly feed: Feed
  readonly clock: Clock
  readonly log: Log
  readonly traffic: EventTraffic
  readonly usage: Usage
  readonly moments: Moments
}

export interface OpenStream extends StreamOrigin {
  /** As the client sent it; null: it begins now. */
  readonly lastEventId: string | null
  /** Before its first event. `id`: where it begins. */
  begun(id: string): void
}

export class EventStreams implements FeedListener {
  private readonly deps: EventStreamsDeps
  private readonly streams = new Set<EventStream>()
  private readonly known = new KnownStreams()
  private readonly history = new History((chunk) => this.lapsed(chunk))
  private readonly interests: Interests
  private readonly pacer: Pacer
  private timer: NodeJS.Timeout | null = null
  private isDraining = false
  /** Streams in the order of their turns; those before `turnOf` have had it. */
  private order: EventStream[] = []
  private turnOf = 0

  constructor(deps: EventStreamsDeps) {
    this.deps = deps
    this.interests = new Interests(deps.feed)
    this.pacer = new Pacer(limits.streamTimeShare, deps.moments, () => this.turn())
    deps.feed.listener = this
  }

  get count(): number {
    return this.streams.size
  }

  /** Why there may be no more of that owner, or null: ask before a connection is turned into a stream. */
  refusalFor(owner: string): Refusal | null {
    if (this.isDraining) return refusals.draining
    if (this.streams.size >= limits.streamsPerWorkerMax) {
      return refusals.limitExceeded('event streams', limits.streamsPerWorkerMax)
    }
    return this.deps.usage.streamRefused('event', owner)
  }

  open(wanted: OpenStream): EventStream {
    const { filter, owner, lastEventId, begun } = wanted
    const stream = new EventStream(wanted, this.history, this.known)
    const nowMs = this.deps.clock.nowMs()
    stream.lastWriteMs = nowMs
    stream.takenAtMs = nowMs
    this.streams.add(stream)
    this.deps.traffic.opened(stream.sink.form, 1)
    this.deps.usage.streamed('event', owner, 1)
    this.timer ??= setInterval(() => this.tick(), TICK_MS)
    const ready = (isSure: boolean): void => {
      if (stream.isReady || stream.isClosed) return
      clearTimeout(patience)
      this.begin(stream, lastEventId, isSure, begun)
    }
    const patience = setTimeout(() => ready(false), READY_MS_MAX)
    this.interests.add(filter, () => ready(true))
    return stream
  }

  /** The client has gone. */
  close(stream: EventStream): void {
    if (!this.streams.delete(stream)) return
    stream.isClosed = true
    this.deps.traffic.opened(stream.sink.form, -1)
    this.deps.usage.streamed('event', stream.owner, -1)
    this.interests.remove(stream.filter)
    if (this.streams.size > 0) return
    this.known.clear()
    this.history.clear()
    if (this.timer !== null) clearInterval(this.timer)
    this.timer = null
  }

  /** There may be room in a sink again. */
  drained(): void {
    this.pacer.schedule()
  }

  /** Every stream ends, as far as it is; there are no new ones. */
  drain(): void {
    this.isDraining = true
    const nowMs = this.deps.clock.nowMs()
    const shared: Shared = new Map()
    for (const stream of [...this.streams]) {
      // What is left, so that the client comes back with the id of all that this worker had.
      if (stream.hasWork && stream.hasRoom) stream.advance(shared, nowMs)
      this.cut(stream, 'draining')
    }
  }

  // ── FeedListener ──────────────────────────────────────────────────────────

  /** Somebody is nearly up to date, or comes. */
  get hasRoom(): boolean {
    const share = Math.floor(limits.eventsWaitingMax / this.streams.size)
    const lagMax = Math.max(limits.eventsWaitingPerStream, share)
    for (const stream of this.streams) {
      if (!stream.isReady || stream.lag < lagMax) return true
    }
    return this.streams.size === 0
  }

  positioned(position: FeedPosition): void {
    const isNew = this.known.open(position)
    const known = this.known.get(position.stream)
    if (known === undefined) return
    if (!isNew) {
      // Its worker has forgotten what came meanwhile.
      if (position.floor > known.at) this.skipped(position.stream, position.floor, 0)
      return
    }
    // Before this worker asked, it may have run commands that nobody heard of.
    const isWhole = position.isComplete && position.floor === 0
    if (!isWhole && this.someAreReady) this.add(known, DROPPED, DROPPED_UNCOUNTED)
  }

  told(stream: FeedStream, seq: number, kind: EventKind, queue: string, note: Buffer): void {
    const known = this.known.get(stream)
    if (known === undefined || seq <= known.at) return
    known.at = seq
    this.history.add(kind, queue, known, seq, this.known.idAfter(known), note)
    this.pacer.schedule()
  }

  /** `count` 0: all since the last one. */
  skipped(stream: FeedStream, seq: number, count: number): void {
    const known = this.known.get(stream)
    if (known === undefined || seq <= known.at) return
    const missing = count === 0 ? seq - known.at : Math.min(count, seq - known.at)
    known.at = seq
    for (const each of this.streams) {
      if (each.isReady) this.deps.traffic.dropped(each.sink.form, missing)
    }
    this.add(known, DROPPED, Buffer.from(droppedNote(missing)))
  }

  broken(stream: FeedStream, seq: number): void {
    const known = this.known.get(stream)
    if (known === undefined || seq <= known.at) return
    known.at = seq
    known.brokenAt = seq
    this.add(known, MARK, NO_NOTE)
  }

  ended(stream: FeedStream, isWhole: boolean): void {
    const known = this.known.get(stream)
    if (known === undefined) return
    // What it has not told has a number, too, for those who come back.
    known.at++
    this.known.end(stream, this.deps.clock.nowMs())
    if (isWhole) this.add(known, MARK, NO_NOTE)
    else this.add(known, DROPPED, DROPPED_UNCOUNTED)
  }

  private get someAreReady(): boolean {
    for (const stream of this.streams) if (stream.isReady) return true
    return false
  }

  private add(known: Known, kind: number, note: Buffer): void {
    this.history.add(kind, '', known, known.at, this.known.idAfter(known), note)
    this.pacer.schedule()
  }

  /** `isSure`: every worker has said where it is. */
  private begin(
    stream: EventStream,
    lastEventId: string | null,
    isSure: boolean,
    begun: (id: string) => void,
  ): void {
    const { history, known } = this
    let isWhole = isSure
    if (lastEventId === null) {
      stream.start(history.head, known.areCaughtUp ? null : this.hadAll())
    } else {
      const places = readEventId(lastEventId)
      const resumed = places === null ? null : this.resume(places)
      isWhole &&= resumed?.isWhole ?? false
      stream.start(history.first, resumed?.had ?? this.hadAll())
    }
    begun(stream.id)
    if (!isWhole) stream.tellDropped(this.deps.clock.nowMs())
    this.pacer.schedule()
  }

  private hadAll(): Map<Known, number> {
    const had = new Map<Known, number>()
    for (const each of this.known.all()) had.set(each, each.end)
    return had
  }

  /** `isWhole`: everything after those places is here, or on its way. */
  private resume(places: Places): { had: Map<Known, number>; isWhole: boolean } {
    const { known } = this
    const had = new Map<Known, number>()
    let isWhole = true
    for (const [name, { isAll }] of places) {
      // Of a worker that nobody here remembers.
      if (!isAll && known.byTheName(name) === undefined) isWhole = false
    }
    for (const each of known.all()) {
      const from = placeIn(each, places.get(each.name))
      had.set(each, from.seq)
      isWhole &&= from.isWhole
    }
    return { had, isWhole }
  }

  private lapsed(chunk: Chunk): void {
    for (const stream of this.streams) {
      const lost = stream.lapse(chunk)
      if (lost > 0) this.deps.traffic.dropped(stream.sink.form, lost)
    }
    for (let i = 0; i < chunk.count; i++) {
      const known = chunk.streams[i] as Known
      known.floor = Math.max(known.floor, chunk.seqs[i] as number)
    }
  }

  /** True: somebody has room for more. */
  private turn(): boolean {
    const { moments, clock } = this.deps
    const endMs = moments.nowMs() + TURN_MS_MAX
    const nowMs = clock.nowMs()
    const shared: Shared = new Map()
    if (this.turnOf >= this.order.length) {
      this.order = [...this.streams]
      this.turnOf = 0
    }
    while (this.turnOf < this.order.length) {
      const stream = this.order[this.turnOf++] as EventStream
      if (!stream.hasWork || !stream.hasRoom) continue
      stream.advance(shared, nowMs)
      if (moments.nowMs() >= endMs) break
    }
    if (this.turnOf < this.order.length) return true
    for (const stream of this.streams) if (stream.hasWork && stream.hasRoom) return true
    return false
  }

  private tick(): void {
    const nowMs = this.deps.clock.nowMs()
    this.known.forget(nowMs)
    for (const stream of [...this.streams]) this.look(stream, nowMs)
  }

  private look(stream: EventStream, nowMs: number): void {
    const { sink } = stream
    const { takenBytes } = sink
    if (!stream.isAllowed()) return this.cut(stream, 'revoked')
    if (sink.unsentBytes === 0 || takenBytes !== stream.takenBytes) {
      stream.takenBytes = takenBytes
      stream.takenAtMs = nowMs
    } else if (nowMs - stream.takenAtMs >= limits.streamStallMs) {
      this.deps.log.warn({ owner: stream.owner }, 'an event stream is not read: closed')
      return this.cut(stream, 'slow')
    }
    if (stream.isReady && nowMs - stream.lastWriteMs >= limits.streamQuietMs) {
      stream.lastWriteMs = nowMs
      if (!sink.quiet(stream.id)) this.deps.traffic.cut(sink.form, 'silent')
    }
  }

  private cut(stream: EventStream, reason: CutReason): void {
    const { sink } = stream
    this.deps.traffic.cut(sink.form, reason)
    if (reason === 'slow') sink.destroy()
    else sink.end()
    this.close(stream)
  }
}

/** From where on a client that was at `place` is told this stream. */
function placeIn(known: Known, place: Place | undefined): { seq: number; isWhole: boolean } {
  const { end } = known
  // The worker has ended, which may not have been heard here yet.
  if (place?.isAll) return { seq: Math.max(place.seq, end), isWhole: true }
  // It is younger than the client's last event, so all of it is new.
  const seq = Math.min(place?.seq ?? 0, end)
  const isThere = seq >= Math.max(known.floor, known.brokenAt)
  // A place that the stream has not come to is none of ours.
  const isReal = place === undefined ? known.isComplete : place.seq <= end
  const isWhole = isThere && isReal
  return { seq: isThere ? seq : Math.max(known.floor, known.brokenAt), isWhole }
}
