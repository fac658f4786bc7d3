// The end of a connection whose last bytes are sent: its peer gets a while to read them and to close.
//
// Closing first might cut off what the peer has not read.

import type { Socket } from 'node:net'

/** How long a peer that we have finished with may keep its side open. */
const LINGER_MS = 2000

export class Parting {
  private readonly socket: Socket
  private timer: NodeJS.Timeout | null = null
  private isOver = false

  constructor(socket: Socket) {
    this.socket = socket
  }

  /** Everything is sent. */
  linger(): void {
    if (!this.isOver && this.timer === null) this.cutOffAfter(LINGER_MS)
  }

  cutOffAfter(ms: number): void {
    this.timer = setTimeout(() => this.socket.destroy(), ms)
    this.timer.unref()
  }

  /** The connection is closed. */
  end(): void {
    this.isOver = true
    if (this.timer !== null) clearTimeout(this.timer)
  }
}
