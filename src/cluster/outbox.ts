// The outgoing half of a link: frames gather in a buffer and leave in one write per turn of the event loop.
//
//   frames ──▶ writer ──flush (end of turn, or 256 KiB)──▶ socket ──▶ peer
//
// 1. `backlogBytes` is all that the peer's kernel has not taken; whoever adds frames holds it within
//    `limits.linkBacklogBytesMax`, by refusing or by not reading.
// 2. A buffer that was handed to the socket is touched again only after the socket has let go of it.
// 3. Without a socket (not connected yet) frames gather, and `flushes` stands still: what was added
//    since the last flush has provably not left this process.

import type { Socket } from 'node:net'
import { ByteWriter } from '../engine/byte-writer.ts'

const BUFFER_BYTES = 64 * 1024
/** Enough for the kernel to chew on while the rest of the turn runs. */
const FLUSH_BYTES = 256 * 1024
/** So much memory is kept for re-use: a busy link has a dozen buffers on their way, and new ones are the collector's work. */
const SPARE_BYTES_MAX = 4 * 1024 * 1024

export class Outbox {
  writer = new ByteWriter(BUFFER_BYTES)
  flushes = 0
  private socket: Socket | null = null
  private scheduled = false
  private readonly spare: ByteWriter[] = []
  private spareBytes = 0
  private readonly turn: Turn

  constructor(turn: Turn) {
    this.turn = turn
  }

  get backlogBytes(): number {
    return this.writer.length + (this.socket?.writableLength ?? 0)
  }

  attach(socket: Socket): void {
    this.socket = socket
    this.flush()
  }

  detach(): void {
    this.socket = null
  }

  /** A frame was added: it leaves at the end of this turn. */
  added(): void {
    if (this.writer.length >= FLUSH_BYTES) {
      this.flush()
    } else if (!this.scheduled) {
      this.scheduled = true
      this.turn.flushLater(this)
    }
  }

  flush(): void {
    this.scheduled = false
    const { socket, writer } = this
    if (socket === null || writer.length === 0) return
    this.writer = this.take()
    this.flushes++
    socket.write(writer.bytes.subarray(0, writer.length), () => this.recycle(writer))
  }

  private take(): ByteWriter {
    const writer = this.spare.pop()
    if (writer === undefined) return new ByteWriter(BUFFER_BYTES)
    this.spareBytes -= writer.bytes.length
    return writer
  }

  private recycle(writer: ByteWriter): void {
    const { length } = writer.bytes
    if (this.spareBytes + length > SPARE_BYTES_MAX) return
    writer.length = 0
    this.spareBytes += length
    this.spare.push(writer)
  }
}

/** The end of an event-loop turn, when what gathered is worked off and leaves. */
export class Turn {
  private dirty: Outbox[] = []
  private scheduled = false
  private ending = false
  private readonly beforeFlush: () => void
  private readonly atEnd = (): void => this.end()

  /** `beforeFlush`: what is to be done at the end of a turn. */
  constructor(beforeFlush: () => void) {
    this.beforeFlush = beforeFlush
  }

  flushLater(outbox: Outbox): void {
    this.dirty.push(outbox)
    if (!this.ending) this.schedule()
  }

  schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    setImmediate(this.atEnd)
  }

  private end(): void {
    // What `beforeFlush` made leaves now; what it scheduled besides is for the next turn.
    this.scheduled = false
    this.ending = true
    this.beforeFlush()
    this.ending = false
    this.flushNow()
  }

  flushNow(): void {
    const { dirty } = this
    this.dirty = []
    for (const outbox of dirty) outbox.flush()
  }
}
