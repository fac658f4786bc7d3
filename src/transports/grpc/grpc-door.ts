// The gRPC door of a worker.
//
//   In:   the calls of proto/flashq.proto
//   Out:  frames to the caller, replies as messages
//   Next: caller.ts

import { Server, ServerCredentials } from '@grpc/grpc-js'
import type { Door } from '../door.ts'

export class GrpcDoor implements Door {
  private readonly server = new Server()

  open(host: string, port: number): Promise<number> {
    const address = `${host.includes(':') ? `[${host}]` : host}:${port}`
    return new Promise((resolve, reject) => {
      this.server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) => {
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
