// Whether the public listener of the line protocol answers: a connection like a client's, one line, any reply.
//
// A listener that accepts and says nothing looks well to everything inside the process. What is asked needs no token:
// "no such command" and "authentication required" are as good an answer as any.

import { connect } from 'node:net'

const PROBE_MS_MAX = 1000
const PROBE_LINE = '{"cmd":"STATS"}\n'

/** Null when it answers, or why not. `isTls`: being let in is all that is asked. */
export function probeListener(host: string, port: number, isTls: boolean): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ host: reachable(host), port })
    const end = (why: string | null): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(why)
    }
    const timer = setTimeout(() => end(`no answer within ${PROBE_MS_MAX} ms`), PROBE_MS_MAX)
    socket.on('connect', () => {
      if (isTls) end(null)
      else socket.write(PROBE_LINE)
    })
    socket.on('data', () => end(null))
    socket.on('end', () => end('the connection was closed without an answer'))
    socket.on('error', (error) => end(error.message))
  })
}

/** Where a server that listens everywhere can be reached from here. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}
