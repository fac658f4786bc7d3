// The HTTP door of a worker.
//
//   In:   HTTP/1.1 requests
//   Out:  frames to the caller, replies as JSON
//   Next: caller.ts

import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Door } from '../door.ts'

export class HttpDoor implements Door {
  private readonly app: FastifyInstance

  constructor(plugin: (app: FastifyInstance) => void) {
    this.app = Fastify({ forceCloseConnections: 'idle' })
    this.app.get('/livez', () => ({ ok: true }))
    plugin(this.app)
  }

  async open(host: string, port: number): Promise<number> {
    await this.app.listen({ host, port })
    return (this.app.server.address() as AddressInfo).port
  }

  async drain(timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => this.app.server.closeAllConnections(), timeoutMs)
    await this.app.close()
    clearTimeout(timer)
  }
}
