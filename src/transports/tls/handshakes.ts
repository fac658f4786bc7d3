// From an accepted connection to one that is encrypted.
//
// 1. A handshake that fails or takes too long ends its connection; why is logged at `debug`: whoever can reach the
//    port can make it fail.
// 2. A certificate that is replaced is shown from the next handshake on.

import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import type { Log } from '../log.ts'
import type { Certificates } from './certificates.ts'

interface Pending {
  readonly socket: Socket
  readonly over: (secured: TLSSocket | null) => void
}

export interface HandshakesOptions {
  readonly certificates: Certificates
  readonly timeoutMs: number
  readonly log: Log
}

export class Handshakes {
  /** It listens nowhere: connections are put into it. */
  private readonly server: Server
  /** By the peer's address and port, which no other connection has meanwhile. */
  private readonly open = new Map<string, Pending>()
  private readonly unfollow: () => void

  constructor({ certificates, timeoutMs, log }: HandshakesOptions) {
    const options = { ...certificates.current(), handshakeTimeout: timeoutMs, allowHalfOpen: true }
    this.server = createServer(options, (socket) => this.open.get(peerOf(socket))?.over(socket))
    this.server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      const { code, message } = error
      log.debug({ address: socket.remoteAddress, code, error: message }, 'a TLS handshake failed')
      socket.destroy()
    })
    this.unfollow = certificates.onChange((changed) => this.server.setSecureContext(changed))
  }

  get size(): number {
    return this.open.size
  }

  /** `done` is called once: with the encrypted socket, or with null when there will be none. */
  begin(socket: Socket, done: (secured: TLSSocket | null) => void): void {
    const peer = peerOf(socket)
    const over = (secured: TLSSocket | null): void => {
      if (this.open.get(peer)?.socket !== socket) return
      this.open.delete(peer)
      done(secured)
    }
    this.open.set(peer, { socket, over })
    socket.on('close', () => over(null))
    socket.on('error', () => undefined)
    this.server.emit('connection', socket)
  }

  /** Those that are not through are closed. */
  stop(): void {
    this.unfollow()
    for (const { socket } of this.open.values()) socket.destroy()
  }
}

function peerOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`
}
