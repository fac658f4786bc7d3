// bunqueue's own server under Bun, in its memory mode (its default without a data path).

import { join } from 'node:path'
import { baseEnv, Child } from './child.ts'
import { freePort } from './ready.ts'
import { ready, type Server } from './server.ts'

export async function startBunqueue(bun: string, modules: string): Promise<Server> {
  const port = await freePort()
  const httpPort = await freePort()
  const main = join(modules, 'bunqueue/dist/cli/index.js')
  const args = [
    main,
    'start',
    '--host',
    '127.0.0.1',
    '--tcp-port',
    String(port),
    '--http-port',
    String(httpPort),
  ]
  const child = new Child('bunqueue', bun, args, baseEnv())
  // It speaks length-prefixed MessagePack on its own port, so its HTTP port is asked instead.
  const server = await ready(child, httpPort, 'GET /health HTTP/1.0\r\n\r')
  return { ...server, at: { host: '127.0.0.1', port } }
}
