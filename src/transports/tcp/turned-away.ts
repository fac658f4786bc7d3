// Connections that are refused: told why, and closed when their clients have seen it.
//
// Closing at once resets a connection whose client has already sent something: it would learn of the reset, and not of
// the reason. So what it sends is read and discarded for a while, of so many connections at a time.

import type { Socket } from 'node:net'
import { limits } from '../../engine/limits.ts'
import { Parting } from './parting.ts'

export class TurnedAway {
  private readonly sockets = new Set<Socket>()

  /** `line`: all that it is told. */
  add(socket: Socket, line: Buffer): void {
    socket.on('error', () => undefined)
    if (this.sockets.size >= limits.turnedAwayMax) {
      socket.end(line, () => socket.destroy())
      return
    }
    const parting = new Parting(socket)
    this.sockets.add(socket)
    socket.on('close', () => {
      this.sockets.delete(socket)
      parting.end()
    })
    socket.end(line)
    socket.resume()
    parting.linger()
  }

  /** Closes them at once. */
  stop(): void {
    for (const socket of this.sockets) socket.destroy()
  }
}
