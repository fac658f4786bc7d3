// A client that hears events as Server-Sent Events: named events with ids, over an HTTP answer that does not end.

import type { ServerResponse } from 'node:http'
import type { StreamSink } from './event-stream.ts'

/** How long a browser waits before it comes back. */
const RETRY_MS = 2000

const sseHeaders: Readonly<Record<string, string>> = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache',
  // Proxies that gather what they pass on would hold events back.
  'x-accel-buffering': 'no',
}

export class SseSink implements StreamSink {
  readonly form = 'sse'
  private readonly response: ServerResponse

  /** `drained`: there is room again. */
  constructor(response: ServerResponse, drained: () => void) {
    this.response = response
    response.on('drain', drained)
  }

  get unsentBytes(): number {
    return this.response.writableLength
  }

  get takenBytes(): number {
    const { socket } = this.response
    return socket === null ? 0 : socket.bytesWritten - socket.writableLength
  }

  /** With the first thing that the client gets: where it is. */
  begin(id: string, headers: Readonly<Record<string, string>>): void {
    const { response } = this
    response.socket?.setTimeout(0)
    response.writeHead(200, { ...headers, ...sseHeaders })
    response.write(`retry: ${RETRY_MS}\nid: ${id}\n\n`)
  }

  /** Written when it returns, not at the end of the turn: whoever counts the time must see it. */
  write(bytes: Buffer): void {
    const { response } = this
    const { socket } = response
    socket?.cork()
    response.write(bytes)
    socket?.uncork()
  }

  quiet(id: string): boolean {
    this.response.write(`:\nid: ${id}\n\n`)
    return true
  }

  end(): void {
    this.response.end()
  }

  destroy(): void {
    this.response.destroy()
  }
}
