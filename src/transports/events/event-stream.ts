// One client that hears events: where it is in the history, and what it gets of it.
//
//            ready                       all that it asked for is here, and sent
//   ┌───────┐      ┌──────────────────┐                                       ┌──────┐
//   │ asked │─────▶│ catching up      │──────────────────────────────────────▶│ live │
//   └───────┘      │ own ids, one     │                                       │ shared bytes
//                  │ event by one     │                                       └──────┘
//                  └──────────────────┘
//
// 1. It takes what it has room for, whenever it is its turn, and holds up nobody. What the history loses before that is
//    counted, and told as `dropped`.
// 2. While it catches up, an event whose number it has had already is left out, and ids are its own: those in the history
//    are for whoever has had everything.
//
// Next: event-streams.ts, which gives it its turns

import { limits } from '../../engine/limits.ts'
import { joinParts, partOf } from './event-id.ts'
import type { EventFilter } from './filter.ts'
import { type Chunk, DROPPED, type History, headOf, MARK } from './history.ts'
import type { Known, KnownStreams } from './known-streams.ts'
import { frameBytes, putFrame } from './web-socket-frames.ts'

/** At most so much in one turn, so that others get theirs. */
const TURN_BYTES = 256 * 1024

/** What the client is connected by. */
export interface StreamSink {
  readonly form: 'sse' | 'ws'
  /** What the kernel has not taken. */
  readonly unsentBytes: number
  /** What it has taken. */
  readonly takenBytes: number
  write(bytes: Buffer): void
  /** Nothing was sent for a while. `id`: where the client is. False: it has not answered the last time, and is no more. */
  quiet(id: string): boolean
  /** Without loss; the client may go on elsewhere. */
  end(): void
  destroy(): void
}

/** Who it is for. */
export interface StreamOrigin {
  readonly filter: EventFilter
  readonly sink: StreamSink
  /** Whose share of the streams it counts for. */
  readonly owner: string
  /** False: they may not hear any more. */
  readonly isAllowed: () => boolean
}

/** Bytes that streams with the same filter share within a turn. */
export type Shared = Map<string, Buffer>

export class EventStream {
  readonly filter: EventFilter
  readonly sink: StreamSink
  readonly owner: string
  readonly isAllowed: () => boolean
  isReady = false
  isClosed = false
  lastWriteMs = 0
  /** For whoever looks whether the client takes anything. */
  takenBytes = 0
  takenAtMs = 0
  private readonly history: History
  private readonly known: KnownStreams
  /** Index of the next event. */
  private cursor = 0
  private dropped = 0
  /** By stream, the last number that the client has had; null: it is live. */
  private had: Map<Known, number> | null = null

  constructor(origin: StreamOrigin, history: History, known: KnownStreams) {
    this.filter = origin.filter
    this.sink = origin.sink
    this.owner = origin.owner
    this.isAllowed = origin.isAllowed
    this.history = history
    this.known = known
  }

  /** `had`: what the client has had of the streams that are known; null: it is live from now on. */
  start(cursor: number, had: Map<Known, number> | null): void {
    this.isReady = true
    this.cursor = cursor
    this.had = had
  }

  get id(): string {
    return this.had === null ? this.known.id : this.ownId(this.had)
  }

  get hasWork(): boolean {
    return this.isReady && !this.isClosed && (this.cursor < this.history.head || this.dropped > 0)
  }

  /** Events that it has not looked at. */
  get lag(): number {
    return this.history.head - this.cursor
  }

  get hasRoom(): boolean {
    return this.sink.unsentBytes <= limits.subscriberBytesMax
  }

  /** The chunk is about to go. Returns how many of its events the client loses. */
  lapse(chunk: Chunk): number {
    if (!this.isReady || this.cursor >= chunk.end) return 0
    const before = this.dropped
    for (let i = Math.max(0, this.cursor - chunk.first); i < chunk.count; i++) {
      if (this.passes(chunk, i)) this.dropped++
      this.had?.set(chunk.streams[i] as Known, chunk.seqs[i] as number)
    }
    this.cursor = chunk.end
    return this.dropped - before
  }

  /** Takes a turn's worth of what is there. */
  advance(shared: Shared, nowMs: number): void {
    const { sink, history } = this
    let left = TURN_BYTES
    if (this.dropped > 0 && this.hasRoom) {
      const { dropped } = this
      this.dropped = 0
      this.write(this.render(DROPPED, '', Buffer.from(droppedNote(dropped))), nowMs)
    }
    while (
      this.cursor < history.head &&
      left > 0 &&
      sink.unsentBytes <= limits.subscriberBytesMax
    ) {
      const chunk = history.chunkAt(this.cursor)
      if (chunk === null) return
      const bytes = this.take(chunk, shared)
      this.cursor = chunk.end
      if (bytes.length === 0) continue
      left -= bytes.length
      this.write(bytes, nowMs)
    }
    if (this.had !== null && this.cursor === history.head && this.known.areCaughtUp) this.had = null
  }

  /** It may have missed events, and nobody knows how many. */
  tellDropped(nowMs: number): void {
    this.write(this.render(DROPPED, '', Buffer.from(droppedNote(null))), nowMs)
  }

  private write(bytes: Buffer, nowMs: number): void {
    this.sink.write(bytes)
    this.lastWriteMs = nowMs
  }

  private take(chunk: Chunk, shared: Shared): Buffer {
    const from = this.cursor - chunk.first
    if (this.had !== null) return this.takeOwn(chunk, from, this.had)
    const { filter, sink } = this
    if (sink.form === 'sse' && filter.isEverything) {
      return chunk.bytes.subarray(chunk.from(from), chunk.used)
    }
    const key = `${sink.form} ${this.cursor} ${filter.key}`
    let bytes = shared.get(key)
    if (bytes === undefined) {
      bytes = sink.form === 'sse' ? this.takeEvents(chunk, from) : this.takeFrames(chunk, from)
      shared.set(key, bytes)
    }
    return bytes
  }

  private takeEvents(chunk: Chunk, from: number): Buffer {
    const pieces: Buffer[] = []
    for (let i = from; i < chunk.count; i++) {
      if (!this.passes(chunk, i)) continue
      // Neighbours are one piece.
      const start = chunk.from(i)
      while (i + 1 < chunk.count && this.passes(chunk, i + 1)) i++
      pieces.push(chunk.bytes.subarray(start, chunk.ends[i]))
    }
    return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)
  }

  private takeFrames(chunk: Chunk, from: number): Buffer {
    const notes: Buffer[] = []
    let size = 0
    for (let i = from; i < chunk.count; i++) {
      if (chunk.kinds[i] === MARK || !this.passes(chunk, i)) continue
      const note = chunk.note(i)
      notes.push(note)
      size += frameBytes(note.length)
    }
    const bytes = Buffer.allocUnsafe(size)
    let at = 0
    for (const note of notes) at = putFrame(bytes, at, note)
    return bytes
  }

  private takeOwn(chunk: Chunk, from: number, had: Map<Known, number>): Buffer {
    const pieces: Buffer[] = []
    for (let i = from; i < chunk.count; i++) {
      const stream = chunk.streams[i] as Known
      const seq = chunk.seqs[i] as number
      if (seq <= (had.get(stream) ?? -1)) continue
      had.set(stream, seq)
      if (!this.passes(chunk, i)) continue
      pieces.push(this.render(chunk.kinds[i] as number, this.ownId(had), chunk.note(i)))
    }
    return Buffer.concat(pieces)
  }

  /** In the client's form. Without an id the client stays where it was. */
  private render(kind: number, id: string, note: Buffer): Buffer {
    if (this.sink.form === 'sse') {
      const head = id === '' ? 'event: dropped\ndata: ' : headOf(kind, id)
      return Buffer.concat([Buffer.from(head), note, Buffer.from('\n\n')])
    }
    if (kind === MARK) return Buffer.alloc(0)
    const bytes = Buffer.allocUnsafe(frameBytes(note.length))
    putFrame(bytes, 0, note)
    return bytes
  }

  private passes(chunk: Chunk, i: number): boolean {
    const kind = chunk.kinds[i] as number
    return kind <= DROPPED || this.filter.passes(kind, chunk.queues[i] as string)
  }

  private ownId(had: Map<Known, number>): string {
    const parts: string[] = []
    for (const known of this.known.all()) {
      const seq = had.get(known) ?? 0
      parts.push(partOf(known.name, seq, known.isAll(seq)))
    }
    return joinParts(parts)
  }
}

/** `count` null: nobody knows. */
export function droppedNote(count: number | null): string {
  return count === null ? '{"event_type":"dropped"}' : `{"event_type":"dropped","count":${count}}`
}
