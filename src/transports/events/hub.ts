// Who wants to hear of which queue's jobs, and the events of this worker's shards, rendered once.
//
//   shard ──event──▶ hub ──line, with the whole job──▶ every subscriber of (queue, kind)
//                     └──note, what streams show─────▶ the sink, which numbers it (cluster/chronicle.ts)
//
// 1. While nobody listens, `listening` is false and a shard does not even call.
// 2. Lines are rendered one behind the other into one buffer. A subscriber copies what it wants.
// 3. A subscriber never blocks the hub: it drops lines when it is full, and says so itself.
// 4. What the sink does not admit is not rendered.
//
// In: the engine's `EventSink`. Next: tcp/connection.ts, or a link to the subscriber's worker.

import { ByteWriter } from '../../engine/byte-writer.ts'
import type { Seq } from '../../engine/job-id.ts'
import { RowFlag, rowOf } from '../../engine/job-store.ts'
import {
  ALL_QUEUES,
  EventKind,
  type EventLines,
  type JobSource,
  type NoteSink,
  type PreparedEvent,
  type Subscriber,
} from '../../engine/ports.ts'
import { copyWords, Piece, ViewOfLast } from '../wire/copy-bytes.ts'
import { DecimalRun } from '../wire/decimal.ts'
import { forgetTail, writeJobAgain } from '../wire/job-json.ts'
import { noteOpenings, writeNote } from '../wire/note-json.ts'

/** Lines behind one another, before the buffer is written from its start again. */
const LINES_BYTES = 64 * 1024
/** A line longer than this leaves a buffer behind that is not worth keeping. */
const KEPT_BYTES_MAX = 256 * 1024
/** Notes behind one another; a piece of it lives as long as one of them. */
const NOTES_BYTES = 64 * 1024
/** With less than this left, there is new room. */
const NOTE_ROOM_BYTES = 1024
/** Queues whose openings are remembered although nobody asked for just them. */
const NAMES_MAX = 4096

const NUMBER_BYTES_MAX = 16
const RETURN = 0x0d
const TAB = 0x09
const TIMESTAMP = new Piece(',"timestamp":')
const times = new DecimalRun()
const view = new ViewOfLast()

/** What is asked for of one queue, or of all. */
interface Topic {
  /** OR of all subscribers' masks. */
  events: number
  readonly masks: Map<Subscriber, number>
  /** Kinds that streams want. */
  notes: number
}

/** By the number of the kind. */
interface Openings {
  /** `{"event":KIND,"queue":NAME,"job":` */
  readonly lines: readonly Piece[]
  readonly notes: readonly Piece[]
}

export class EventHub implements EventLines {
  /** Whether anybody listens to anything. */
  listening = false
  /** Set by whoever numbers the notes. */
  sink: NoteSink | null = null
  private readonly topics = new Map<string, Topic>()
  private readonly everything: Topic = { events: 0, masks: new Map(), notes: 0 }
  private openings = new Map<string, Openings>()
  private lines = new ByteWriter(LINES_BYTES)
  private notes = new ByteWriter(NOTES_BYTES)

  /** Adds to what the subscriber already hears of the queue. */
  subscribe(queue: string, events: number, subscriber: Subscriber): void {
    const topic = this.open(queue)
    topic.masks.set(subscriber, (topic.masks.get(subscriber) ?? 0) | events)
    topic.events |= events
    this.look(queue, topic)
  }

  unsubscribe(queue: string, subscriber: Subscriber): void {
    const topic = this.topicOf(queue)
    if (topic === undefined) return
    topic.masks.delete(subscriber)
    topic.events = 0
    for (const mask of topic.masks.values()) topic.events |= mask
    this.look(queue, topic)
  }

  /** From now on these kinds of the queue's events are noted, and no others. */
  hear(queue: string, kinds: number): void {
    const topic = this.open(queue)
    topic.notes = kinds
    this.look(queue, topic)
  }

  wants(queue: string, kind: EventKind): boolean {
    return ((this.eventsOf(queue) | this.notesOf(queue)) & kind) !== 0
  }

  event(kind: EventKind, source: JobSource, seq: Seq, nowMs: number, error: string | null): void {
    const queue = queueOf(source, seq)
    const noted = this.admit(queue, kind, 1, nowMs)
    if (noted === 1) {
      this.sink?.note(kind, queue, this.note(queue, kind, source, seq, nowMs, error))
    }
    if ((this.eventsOf(queue) & kind) !== 0) {
      this.publishLine(queue, kind, this.line(queue, kind, source, seq, nowMs, error))
    }
  }

  events(kind: EventKind, source: JobSource, firstSeq: Seq, count: number, nowMs: number): void {
    const queue = queueOf(source, firstSeq)
    const noted = this.admit(queue, kind, count, nowMs)
    for (let seq = firstSeq; seq < firstSeq + noted; seq++) {
      this.sink?.note(kind, queue, this.note(queue, kind, source, seq, nowMs, null))
    }
    if ((this.eventsOf(queue) & kind) === 0) return
    for (let seq = firstSeq; seq < firstSeq + count; seq++) {
      this.publishLine(queue, kind, this.line(queue, kind, source, seq, nowMs, null))
    }
  }

  admit(queue: string, kind: EventKind, count: number, nowMs: number): number {
    const { sink } = this
    if (sink === null || (this.notesOf(queue) & kind) === 0) return 0
    const noted = sink.admit(count, nowMs)
    if (noted < count) sink.leaveOut(count - noted)
    return noted
  }

  prepare(
    kind: EventKind,
    source: JobSource,
    seq: Seq,
    nowMs: number,
    error: string | null,
    hasNote: boolean,
  ): PreparedEvent {
    const queue = queueOf(source, seq)
    const hasLine = (this.eventsOf(queue) & kind) !== 0
    return {
      queue,
      kind,
      line: hasLine ? Buffer.from(this.line(queue, kind, source, seq, nowMs, error)) : null,
      note: hasNote ? this.note(queue, kind, source, seq, nowMs, error) : null,
    }
  }

  publish({ queue, kind, line, note }: PreparedEvent): void {
    if (line !== null) this.publishLine(queue, kind, line)
    if (note !== null) this.sink?.note(kind, queue, note)
  }

  private eventsOf(queue: string): number {
    return this.everything.events | (this.topics.get(queue)?.events ?? 0)
  }

  private notesOf(queue: string): number {
    return this.everything.notes | (this.topics.get(queue)?.notes ?? 0)
  }

  private publishLine(queue: string, kind: EventKind, line: Buffer): void {
    const topic = this.topics.get(queue)
    if (topic !== undefined) tell(topic, kind, line)
    if ((this.everything.events & kind) !== 0) tell(this.everything, kind, line)
  }

  private topicOf(queue: string): Topic | undefined {
    return queue === ALL_QUEUES ? this.everything : this.topics.get(queue)
  }

  private open(queue: string): Topic {
    const known = this.topicOf(queue)
    if (known !== undefined) return known
    const topic = { events: 0, masks: new Map(), notes: 0 }
    this.topics.set(queue, topic)
    return topic
  }

  /** It has changed. */
  private look(queue: string, topic: Topic): void {
    if (topic.masks.size === 0 && topic.notes === 0) this.topics.delete(queue)
    const { everything } = this
    this.listening = this.topics.size > 0 || everything.masks.size > 0 || everything.notes !== 0
  }

  private openingsOf(queue: string): Openings {
    const known = this.openings.get(queue)
    if (known !== undefined) return known
    if (this.openings.size >= NAMES_MAX) this.openings = new Map()
    const openings = { lines: lineOpenings(queue), notes: noteOpenings(queue) }
    this.openings.set(queue, openings)
    return openings
  }

  /** Valid until the next one. */
  private line(
    queue: string,
    kind: EventKind,
    source: JobSource,
    seq: Seq,
    nowMs: number,
    error: string | null,
  ): Buffer {
    if (this.lines.bytes.length > KEPT_BYTES_MAX) this.lines = new ByteWriter(LINES_BYTES)
    const out = this.lines
    if (out.length > LINES_BYTES) {
      out.length = 0
      forgetTail()
    }
    const from = out.length
    writePiece(out, this.openingsOf(queue).lines[kind] as Piece)
    writeJobAgain(out, source, seq)
    writePiece(out, TIMESTAMP)
    out.reserve(NUMBER_BYTES_MAX)
    out.length = times.put(view.of(out.bytes), out.length, nowMs)
    if (kind === EventKind.completed) writeResult(out, source, seq)
    if (error !== null) {
      out.ascii(',"error":')
      out.utf8(JSON.stringify(error))
    }
    out.ascii('}\n')
    return out.bytes.subarray(from, out.length)
  }

  /** The bytes are nobody else's. */
  private note(
    queue: string,
    kind: EventKind,
    source: JobSource,
    seq: Seq,
    nowMs: number,
    error: string | null,
  ): Buffer {
    // Notes are kept: what has been written stays as it is, and there is new room when it is full.
    if (this.notes.length > NOTES_BYTES - NOTE_ROOM_BYTES) this.notes = new ByteWriter(NOTES_BYTES)
    const out = this.notes
    const from = out.length
    const opening = this.openingsOf(queue).notes[kind] as Piece
    writeNote(out, opening, kind, source, seq, nowMs, error)
    const note = out.bytes.subarray(from, out.length)
    // Between the values of a line's JSON there may be returns, which would end a line of a stream.
    for (let at = note.indexOf(RETURN); at >= 0; at = note.indexOf(RETURN, at)) note[at] = TAB
    return note
  }
}

function queueOf(source: JobSource, seq: Seq): string {
  return source.queueName(source.jobs.get(seq).queue[rowOf(seq)] as number)
}

function tell(topic: Topic, kind: EventKind, line: Buffer): void {
  for (const [subscriber, mask] of topic.masks) {
    if ((mask & kind) !== 0) subscriber.event(line)
  }
}

function lineOpenings(queue: string): Piece[] {
  const openings: Piece[] = []
  for (const [name, kind] of Object.entries(EventKind)) {
    openings[kind] = new Piece(`{"event":"${name}","queue":${JSON.stringify(queue)},"job":`)
  }
  return openings
}

function writePiece(out: ByteWriter, piece: Piece): void {
  out.reserve(piece.length)
  copyWords(piece.view, 0, view.of(out.bytes), out.length, piece.length)
  out.length += piece.length
}

function writeResult(out: ByteWriter, source: JobSource, seq: Seq): void {
  const page = source.jobs.get(seq)
  const row = rowOf(seq)
  if (page.results === null || ((page.flags[row] as number) & RowFlag.result) === 0) return
  const from = page.results.from[row] as number
  const length = page.results.length[row] as number
  const bytes = source.payloads.bytesOf(page.results.slab[row] as number)
  out.ascii(',"result":')
  out.copy(bytes, from, from + length)
}
