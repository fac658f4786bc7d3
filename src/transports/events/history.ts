// The newest events of all workers, in the order in which they came to this one, as bytes that all streams share.
//
//   chunk  [event: pushed\nid: …\ndata: {…}\n\n][event: …]        ≤ 64 KiB, or one long event
//           └ from(i)              └ notes[i]    └ ends[i]
//
// 1. An event is rendered once, whoever hears it. A stream that is up to date and hears everything sends pieces of chunks.
// 2. Bytes that were written are never written again: sockets may hold on to them.
// 3. When there is more than `limits.eventHistoryBytesMax`, the oldest chunk goes; `onLapse` may look at it before.

import { limits } from '../../engine/limits.ts'
import { EventKind } from '../../engine/ports.ts'
import type { Known } from './known-streams.ts'

const CHUNK_BYTES = 64 * 1024
/** Numbers and names beside the bytes of an event, so that many short ones count for what they take. */
const ENTRY_BYTES = 64

/** In place of a kind: for every stream. */
export const DROPPED = 0
/** In place of a kind: nothing but an id. */
export const MARK = -1

const names: string[] = []
for (const [name, kind] of Object.entries(EventKind)) names[kind] = name
names[DROPPED] = 'dropped'
const END = Buffer.from('\n\n')

/** What precedes an event's JSON. */
export function headOf(kind: number, id: string): string {
  return kind === MARK ? `id: ${id}` : `event: ${names[kind]}\nid: ${id}\ndata: `
}

export class Chunk {
  /** Index of its first event. */
  readonly first: number
  readonly bytes: Buffer
  used = 0
  count = 0
  readonly ends: number[] = []
  readonly notes: number[] = []
  readonly kinds: number[] = []
  readonly queues: string[] = []
  /** The stream of each, and its number there. */
  readonly streams: Known[] = []
  readonly seqs: number[] = []

  constructor(first: number, size: number) {
    this.first = first
    this.bytes = Buffer.allocUnsafeSlow(size)
  }

  get end(): number {
    return this.first + this.count
  }

  from(i: number): number {
    return i === 0 ? 0 : (this.ends[i - 1] as number)
  }

  note(i: number): Buffer {
    return this.bytes.subarray(this.notes[i] as number, (this.ends[i] as number) - END.length)
  }

  add(kind: number, queue: string, stream: Known, seq: number, head: string, note: Buffer): void {
    const { bytes } = this
    let at = this.used
    // By hand: quicker than a call into the runtime for so few.
    for (let i = 0; i < head.length; i++) bytes[at++] = head.charCodeAt(i)
    this.notes.push(at)
    at += note.copy(bytes, at)
    at += END.copy(bytes, at)
    this.used = at
    this.ends.push(at)
    this.kinds.push(kind)
    this.queues.push(queue)
    this.streams.push(stream)
    this.seqs.push(seq)
    this.count++
  }
}

export class History {
  /** Index of the next event. */
  head = 0
  private readonly onLapse: (chunk: Chunk) => void
  private chunks: Chunk[] = []
  private heldBytes = 0

  constructor(onLapse: (chunk: Chunk) => void) {
    this.onLapse = onLapse
  }

  /** Index of the oldest event. */
  get first(): number {
    return this.chunks[0]?.first ?? this.head
  }

  add(kind: number, queue: string, stream: Known, seq: number, id: string, note: Buffer): void {
    const head = headOf(kind, id)
    const size = head.length + note.length + END.length
    let chunk = this.chunks.at(-1)
    if (chunk === undefined || chunk.used + size > chunk.bytes.length) {
      chunk = new Chunk(this.head, Math.max(CHUNK_BYTES, size))
      this.chunks.push(chunk)
      this.heldBytes += chunk.bytes.length
    }
    chunk.add(kind, queue, stream, seq, head, note)
    this.head++
    this.heldBytes += ENTRY_BYTES
    while (this.heldBytes > limits.eventHistoryBytesMax && this.chunks.length > 1) this.lapse()
  }

  /** The chunk in which that event is. */
  chunkAt(index: number): Chunk | null {
    const { chunks } = this
    let low = 0
    let high = chunks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((chunks[middle] as Chunk).end > index) high = middle
      else low = middle + 1
    }
    return chunks[low] ?? null
  }

  clear(): void {
    this.chunks = []
    this.heldBytes = 0
  }

  private lapse(): void {
    const chunk = this.chunks.shift()
    if (chunk === undefined) return
    this.heldBytes -= chunk.bytes.length + chunk.count * ENTRY_BYTES
    this.onLapse(chunk)
  }
}
