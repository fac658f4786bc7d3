// The gRPC door of a worker.
//
//   In:   the calls of proto/flashq.proto
//   Out:  frames to the caller, replies as messages
//   Next: caller.ts

import { Server } from '@grpc/grpc-js'
import type { Door } from '../door.ts'
import type { Certificates } from '../tls/certificates.ts'
import { credentialsOf } from './server-credentials.ts'

export class GrpcDoor implements Door {
  private readonly server = new Server()
  private readonly certificates: Certificates | null

  /** `certificates` null: plain text. */
  constructor(certificates: Certificates | null) {
    this.certificates = certificates
  }

  open(host: string, port: number): Promise<number> {
    const address = `${host.includes(':') ? `[${host}]` : host}:${port}`
    return new Promise((resolve, reject) => {
      this.server.bindAsync(address, credentialsOf(this.certificates), (error, bound) => {
        if (error === null) resolve(bound)
        else reject(error)
      })
    })
  }

  drain(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.server.forceShutdown(), timeoutMs)
      this.server.tryShutdown(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}
