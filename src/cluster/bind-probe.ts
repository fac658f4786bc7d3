// Whether the listeners can be bound, asked before a worker is started: a port that is taken is then told
// once and clearly, and nothing has served when the server gives up.

import { createServer } from 'node:net'

export interface Endpoints {
  readonly host: string
  /** 0 = any free port. */
  readonly port: number
  readonly unixSocket: string | null
}

/** Why a listener can't be bound, for people; null when all can. */
export async function whyNotBindable(endpoints: Endpoints): Promise<string | null> {
  const { host, port, unixSocket } = endpoints
  const why = await whyNot({ host, port }, `${host}:${port}`)
  if (why !== null || unixSocket === null) return why
  return whyNot({ path: unixSocket }, unixSocket)
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
