// Who wants to hear of which queue's jobs, and the event lines.
//
//   shard ──event──▶ hub: one line, rendered once ──▶ every subscriber of (queue, kind)
//
// 1. While nobody listens, `listening` is false and a shard does not even call.
// 2. Lines are rendered one behind the other into one buffer. A subscriber copies what it wants.
// 3. A subscriber never blocks the hub: it drops lines when it is full, and says so itself.
//
// In: the engine's `EventSink`. Next: tcp/connection.ts, or a link to the subscriber's worker.

import { ByteWriter } from '../../engine/byte-writer.ts'
import type { Seq } from '../../engine/job-id.ts'
import { RowFlag, rowOf } from '../../engine/job-store.ts'
import { EventKind, type EventLines, type JobSource, type Subscriber } from '../../engine/ports.ts'
import { copyWords, Piece, ViewOfLast } from '../wire/copy-bytes.ts'
import { DecimalRun } from '../wire/decimal.ts'
import { forgetTail, writeJobAgain } from '../wire/job-json.ts'

/** Lines behind one another, before the buffer is written from its start again. */
const LINES_BYTES = 64 * 1024
/** A line longer than this leaves a buffer behind that is not worth keeping. */
const KEPT_BYTES_MAX = 256 * 1024

const NUMBER_BYTES_MAX = 16
const TIMESTAMP = new Piece(',"timestamp":')
const times = new DecimalRun()
const view = new ViewOfLast()

/** The subscribers of one queue. */
interface Topic {
  /** `{"event":KIND,"queue":NAME,"job":` by the number of the kind. */
  readonly openings: readonly Piece[]
  /** OR of all subscribers' masks. */
  events: number
  readonly masks: Map<Subscriber, number>
}

export class EventHub implements EventLines {
  /** Whether anybody listens to anything. */
  listening = false
  private readonly topics = new Map<string, Topic>()
  private lines = new ByteWriter(LINES_BYTES)

  /** Adds to what the subscriber already hears of the queue. */
  subscribe(queue: string, events: number, subscriber: Subscriber): void {
    let topic = this.topics.get(queue)
    if (topic === undefined) {
      topic = { openings: openingsOf(queue), events: 0, masks: new Map() }
      this.topics.set(queue, topic)
    }
    topic.masks.set(subscriber, (topic.masks.get(subscriber) ?? 0) | events)
    topic.events |= events
    this.listening = true
  }

  unsubscribe(queue: string, subscriber: Subscriber): void {
    const topic = this.topics.get(queue)
    if (topic === undefined) return
    topic.masks.delete(subscriber)
    topic.events = 0
    for (const mask of topic.masks.values()) topic.events |= mask
    if (topic.masks.size === 0) this.topics.delete(queue)
    this.listening = this.topics.size > 0
  }

  wants(queue: string, kind: EventKind): boolean {
    if (!this.listening) return false
    const topic = this.topics.get(queue)
    return topic !== undefined && (topic.events & kind) !== 0
  }

  event(kind: EventKind, source: JobSource, seq: Seq, nowMs: number, error: string | null): void {
    const page = source.jobs.get(seq)
    const queue = source.queueName(page.queue[rowOf(seq)] as number)
    if (this.wants(queue, kind)) {
      this.publish(queue, kind, this.line(queue, kind, source, seq, nowMs, error))
    }
  }

  line(
    queue: string,
    kind: EventKind,
    source: JobSource,
    seq: Seq,
    nowMs: number,
    error: string | null,
  ): Buffer {
    const opening = this.topics.get(queue)?.openings[kind]
    if (opening === undefined) throw new Error('nobody wants this event')
    return this.render(opening, kind, source, seq, nowMs, error)
  }

  publish(queue: string, kind: EventKind, line: Buffer): void {
    const topic = this.topics.get(queue)
    if (topic === undefined) return
    for (const [subscriber, mask] of topic.masks) {
      if ((mask & kind) !== 0) subscriber.event(line)
    }
  }

  private render(
    opening: Piece,
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
    writePiece(out, opening)
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
}

function openingsOf(queue: string): Piece[] {
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
