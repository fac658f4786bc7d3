// Whether the public listener of the line protocol answers: a connection like a client's, which ends at once and waits
// for the server to end it too.
//
// A listener that accepts and does nothing looks well to everything inside the process. The answer to an end of input is
// an end of output, with a token or without, and it is no command that metrics would count. Where connections are
// encrypted the probe says something that no handshake begins with, and any answer to that will do.

import { connect } from 'node:net'

const PROBE_MS_MAX = 1000
const NO_HANDSHAKE = '\n\n\n\n\n\n\n\n'

/** Null when it answers, or why not. */
export function probeListener(host: string, port: number, isTls: boolean): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ host: reachable(host), port, allowHalfOpen: true })
    let isConnected = false
    const end = (why: string | null): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(why)
    }
    const timer = setTimeout(() => end(`no answer within ${PROBE_MS_MAX} ms`), PROBE_MS_MAX)
    socket.on('connect', () => {
      isConnected = true
      socket.end(isTls ? NO_HANDSHAKE : '')
    })
    // A server that is full or draining says so first.
    socket.on('data', (bytes) => end(isTls ? null : bytes.toString('utf8').trim()))
    socket.on('end', () => end(null))
    socket.on('error', (error) => end(isTls && isConnected ? null : error.message))
  })
}

/** Where a server that listens everywhere can be reached from here. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}
