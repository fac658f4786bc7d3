// Whether the listeners can be bound, asked before a worker is started: a port that is taken is then told
// once and clearly, and nothing has served when the server gives up.

import { createServer } from 'node:net'

/** Why a listener can't be bound, for people; null when all can. Port 0 = any free one, null = none. */
export async function whyNotBindable(
  host: string,
  ports: readonly (number | null)[],
  unixSocket: string | null,
): Promise<string | null> {
  for (const port of ports) {
    const why = port === null ? null : await whyNot({ host, port }, `${host}:${port}`)
    if (why !== null) return why
  }
  return unixSocket === null ? null : whyNot({ path: unixSocket }, unixSocket)
}

function whyNot(
  where: { host: string; port: number } | { path: string },
  name: string,
): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(explain(error, name)))
    server.listen(where, () => server.close(() => resolve(null)))
  })
}

function explain(error: NodeJS.ErrnoException, name: string): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `cannot listen on ${name}: it is in use (EADDRINUSE)`
    case 'EADDRNOTAVAIL':
      return `cannot listen on ${name}: this machine has no such address (EADDRNOTAVAIL)`
    case 'EACCES':
      return `cannot listen on ${name}: not permitted (EACCES)`
    default:
      return `cannot listen on ${name}: ${error.message}`
  }
}
