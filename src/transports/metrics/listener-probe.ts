// Whether the public listener of the line protocol answers: a connection like a client's, which ends at once and waits
// for the server to end it too.
//
// A listener that accepts and does nothing looks well to everything inside the process. The answer to an end of input is
// an end of output, with a token or without, and it is no command that metrics would count.

import { connect } from 'node:net'

const PROBE_MS_MAX = 1000

/** Null when it answers, or why not. */
export function probeListener(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ host: reachable(host), port, allowHalfOpen: true })
    const end = (why: string | null): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(why)
    }
    const timer = setTimeout(() => end(`no answer within ${PROBE_MS_MAX} ms`), PROBE_MS_MAX)
    socket.on('connect', () => socket.end())
    // A server that is full or draining says so first.
    socket.on('data', (bytes) => end(bytes.toString('utf8').trim()))
    socket.on('end', () => end(null))
    socket.on('error', (error) => end(error.message))
  })
}

/** Where a server that listens everywhere can be reached from here. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}
