// The HTTP door of a worker.
//
//   In:   HTTP/1.1 requests
//   Out:  frames to the caller, replies as JSON
//   Next: caller.ts

import type { AddressInfo } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Door } from '../door.ts'
import type { Certificates } from '../tls/certificates.ts'

export class HttpDoor implements Door {
  private readonly app: FastifyInstance
  private readonly unfollow: () => void

  /** `certificates` null: plain text. */
  constructor(certificates: Certificates | null) {
    const https = certificates?.current() ?? null
    this.app = Fastify({ forceCloseConnections: 'idle', https }) as unknown as FastifyInstance
    const { server } = this.app
    this.unfollow =
      certificates?.onChange((changed) => {
        if (server instanceof TlsServer) server.setSecureContext(changed)
      }) ?? (() => undefined)
    this.app.get('/livez', () => ({ ok: true }))
  }

  async open(host: string, port: number): Promise<number> {
    await this.app.listen({ host, port })
    return (this.app.server.address() as AddressInfo).port
  }

  async drain(timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => this.app.server.closeAllConnections(), timeoutMs)
    await this.app.close()
    clearTimeout(timer)
    this.unfollow()
  }
}
