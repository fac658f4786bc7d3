// A client of the line protocol behind TLS, and what it saw of the server.

import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { onTestFinished } from 'vitest'
import { LineClient } from './line-client.ts'
import { WireClient } from './wire-client.ts'

/** Resolves when the handshake is through here; the server may still end it. Rejects with why there is none. */
export function handshake(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, ...options })
  onTestFinished(() => {
    socket.destroy()
  })
  return new Promise((resolve, reject) => {
    socket.once('secureConnect', () => resolve(socket))
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('closed')))
  })
}

export async function tlsClient(port: number, options: ConnectionOptions): Promise<WireClient> {
  const socket = await handshake(port, { ...options, allowHalfOpen: true } as ConnectionOptions)
  socket.setNoDelay(true)
  return new WireClient(LineClient.over(socket))
}

/** The common name in the certificate that a server shows. */
export async function shownBy(port: number, options: ConnectionOptions): Promise<string> {
  const socket = await handshake(port, options)
  const { CN } = socket.getPeerCertificate().subject
  socket.destroy()
  return String(CN)
}
