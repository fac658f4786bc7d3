// What a connection sends: bytes gather in a buffer and leave at the end of a turn.
//
//   open() ─▶ current ──flush──▶ kernel took all ─────────────────────────────▶ back to the pool
//              + handed     └──▶ sent (handed to the socket, FIFO) ──written──▶  handed is forgotten: it arrived
//                                  + handed
//
// 1. A buffer that was handed to the socket is not touched until the socket says that it is written.
// 2. While something is on its way, a buffer that is less than half full waits for it. So a peer that
//    does not read holds at most twice the bytes that it is owed.
// 3. Jobs handed over by a line stay noted until the kernel has accepted the line's bytes; what is noted
//    when the connection ends goes back to the queues (`abandon`).

import type { Socket } from 'node:net'
import type { ByteWriter } from '../../engine/byte-writer.ts'
import type { Unwritten } from '../../engine/ports.ts'
import { borrowWriter, returnWriter } from '../writer-pool.ts'
import { SocketWriter } from './socket-writer.ts'

/** Lines of their own this long are sent from where they are instead of being copied. */
const OWN_BUFFER_BYTES = 16 * 1024
/** So much is sent before the turn is over: a batch of jobs is not copied because another one follows. */
const SEND_BYTES = 128 * 1024
/** What is owed for a batch of ids: longer than the reply of one command, shorter than jobs. */
const IDS_BYTES_MIN = 1024
const IDS_BYTES_MAX = 16 * 1024

interface Sent {
  readonly writer: ByteWriter
  readonly handed: Unwritten[] | null
}

export class Output {
  private readonly socket: SocketWriter
  private readonly onProgress: () => void
  private current: ByteWriter | null = null
  private handed: Unwritten[] | null = null
  private sent: Sent[] = []
  private sentBytes = 0

  /** `onProgress`: the kernel took something that it did not take at once. */
  constructor(socket: Socket, onProgress: () => void) {
    this.socket = new SocketWriter(socket, (error) => this.wrote(error))
    this.onProgress = onProgress
  }

  /** Bytes that the kernel has not accepted. */
  get unsentBytes(): number {
    return this.sentBytes + (this.current === null ? 0 : this.current.length)
  }

  /** It should leave together with that of other connections (`atTurnEnd`). */
  get canWait(): boolean {
    const { unsentBytes } = this
    return unsentBytes >= IDS_BYTES_MIN && unsentBytes < IDS_BYTES_MAX
  }

  open(): ByteWriter {
    this.current ??= borrowWriter()
    return this.current
  }

  /** A line was written; `handed` are the jobs that it hands over. */
  lineEnded(handed: Unwritten | null): void {
    if (handed !== null) {
      this.handed ??= []
      this.handed.push(handed)
    }
    if (this.current !== null && this.current.length >= SEND_BYTES) this.send()
  }

  /** Appends lines that were written elsewhere, and takes their buffer over. */
  append(lines: ByteWriter): void {
    if (lines.length >= OWN_BUFFER_BYTES) {
      this.send()
      this.current = lines
      return
    }
    this.open().copy(lines.bytes, 0, lines.length)
    returnWriter(lines)
  }

  flush(): void {
    const { current } = this
    if (current === null) return
    if (this.sent.length > 0 && current.length * 2 < current.bytes.length) return
    this.send()
  }

  /** Everything is handed to the socket, whatever is on its way. */
  send(): void {
    const writer = this.current
    if (writer === null) return
    this.current = null
    if (writer.length === 0) {
      returnWriter(writer)
      return
    }
    const { handed } = this
    this.handed = null
    if (this.socket.write(writer.bytes.subarray(0, writer.length))) {
      returnWriter(writer)
      return
    }
    this.sent.push({ writer, handed })
    this.sentBytes += writer.length
  }

  /** The connection is gone: the jobs of all lines that were not written. */
  abandon(): Unwritten[] {
    const handed: Unwritten[] = []
    for (const sent of this.sent) handed.push(...(sent.handed ?? []))
    handed.push(...(this.handed ?? []))
    this.sent = []
    this.handed = null
    this.current = null
    return handed
  }

  private wrote(error?: Error | null): void {
    // After an error the connection closes, and `abandon` finds the lines still here.
    if (error) return
    const sent = this.sent.shift()
    if (sent === undefined) return
    this.sentBytes -= sent.writer.length
    returnWriter(sent.writer)
    this.flush()
    this.onProgress()
  }
}
