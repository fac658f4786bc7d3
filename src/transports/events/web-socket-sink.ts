// A client that hears events over a WebSocket: one text message each. What it says is read and not heeded.
//
// 1. The messages to it are written to its socket in one piece with others (`web-socket-frames.ts`), whole frames each
//    time, so that they may stand between those that `ws` writes itself: pings, pongs, the close.
// 2. What it sends is bounded: the size of a message by `ws`, their number here. Nobody is answered faster than they read.

import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { limits } from '../../engine/limits.ts'
import type { Clock } from '../../engine/ports.ts'
import type { StreamSink } from './event-stream.ts'

const GOING_AWAY = 1001
const POLICY = 1008
const SECOND_MS = 1000
/** A client that does not read gets no more pongs. */
const PONG_BACKLOG_BYTES = 64 * 1024
/** For the client's own close. */
const CLOSE_MS_MAX = 1000

/** A socket of Node, or of its TLS. */
export interface CountingSocket extends Duplex {
  readonly bytesWritten?: number
}

export interface SinkEvents {
  /** There is room again. */
  drained(): void
  /** The client says too much, and is cut off. */
  flooded(): void
}

export class WebSocketSink implements StreamSink {
  readonly form = 'ws'
  private readonly socket: CountingSocket
  private readonly clock: Clock
  private readonly events: SinkEvents
  private webSocket: WebSocket | null = null
  private isPinged = false
  private heard = 0
  private heardSinceMs = 0

  /** `socket`: of a client that waits to be let in. */
  constructor(socket: CountingSocket, clock: Clock, events: SinkEvents) {
    this.socket = socket
    this.clock = clock
    this.events = events
    socket.on('drain', () => events.drained())
  }

  /** The client is in. */
  begin(webSocket: WebSocket): void {
    const { socket } = this
    this.webSocket = webSocket
    webSocket.on('message', () => this.hears())
    webSocket.on('ping', (data) => {
      if (this.hears() && socket.writableLength <= PONG_BACKLOG_BYTES) webSocket.pong(data)
    })
    webSocket.on('pong', () => this.hears())
    // Whatever the error is, `close` follows, and is what counts.
    webSocket.on('error', () => undefined)
  }

  get unsentBytes(): number {
    return this.socket.writableLength
  }

  get takenBytes(): number {
    return (this.socket.bytesWritten ?? 0) - this.socket.writableLength
  }

  write(bytes: Buffer): void {
    const { webSocket } = this
    if (webSocket !== null && webSocket.readyState === webSocket.OPEN) this.socket.write(bytes)
  }

  quiet(): boolean {
    if (this.isPinged) {
      this.destroy()
      return false
    }
    this.isPinged = true
    this.webSocket?.ping()
    return true
  }

  end(): void {
    this.close(GOING_AWAY)
  }

  destroy(): void {
    this.socket.destroy()
  }

  /** False: that was too much. */
  private hears(): boolean {
    this.isPinged = false
    const nowMs = this.clock.nowMs()
    if (nowMs - this.heardSinceMs >= SECOND_MS) {
      this.heardSinceMs = nowMs
      this.heard = 0
    }
    if (++this.heard <= limits.webSocketMessagesPerSecondMax) return true
    if (this.heard === limits.webSocketMessagesPerSecondMax + 1) {
      this.events.flooded()
      this.close(POLICY)
    }
    return false
  }

  private close(code: number): void {
    const { webSocket, socket } = this
    if (webSocket === null) return this.destroy()
    webSocket.close(code)
    const timer = setTimeout(() => socket.destroy(), CLOSE_MS_MAX)
    socket.once('close', () => clearTimeout(timer))
  }
}
