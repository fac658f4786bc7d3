// The health service that balancers and probes know, `grpc.health.v1.Health` (`proto/health.proto`).
//
// It serves from when the door is open until it is drained; then watchers are told and let go. It asks for no token: a
// probe has none.

import { type ServerUnaryCall, type ServerWritableStream, status } from '@grpc/grpc-js'
import { ByteWriter } from '../../engine/byte-writer.ts'
import { SERVICE } from './methods.ts'
import { Wire } from './proto-reader.ts'
import { putTag, putUint } from './proto-writer.ts'
import { readRequest } from './request-frame.ts'
import { message } from './schema.ts'

export const HEALTH_SERVICE = 'grpc.health.v1.Health'
export const HealthCheckRequest = message('HealthCheckRequest', { service: [1, 'string'] })
export const HealthCheckResponse = message('HealthCheckResponse', { status: [1, 'state'] })

export const Serving = { serving: 1, notServing: 2, serviceUnknown: 3 } as const
type Serving = (typeof Serving)[keyof typeof Serving]

export class Health {
  private readonly watchers = new Set<ServerWritableStream<Buffer, Buffer>>()
  private isServing = true

  check(
    call: ServerUnaryCall<Buffer, Buffer>,
    callback: (error: { code: status; details: string } | null, reply?: Buffer) => void,
  ): void {
    const known = this.stateOf(call.request)
    if (known === Serving.serviceUnknown) {
      callback({ code: status.NOT_FOUND, details: 'Unknown service' })
    } else callback(null, reply(known))
  }

  watch(call: ServerWritableStream<Buffer, Buffer>): void {
    this.watchers.add(call)
    call.on('cancelled', () => this.watchers.delete(call))
    call.write(reply(this.stateOf(call.request)))
    if (!this.isServing) this.letGo(call)
  }

  /** From now on it does not serve. */
  stop(): void {
    this.isServing = false
    for (const call of this.watchers) {
      call.write(reply(this.stateOf(call.request)))
      this.letGo(call)
    }
  }

  private letGo(call: ServerWritableStream<Buffer, Buffer>): void {
    this.watchers.delete(call)
    call.emit('error', { code: status.UNAVAILABLE, details: 'Server is shutting down' })
  }

  private stateOf(request: Buffer): Serving {
    const service = readRequest(HealthCheckRequest, request)?.['service']
    if (service !== '' && service !== SERVICE) return Serving.serviceUnknown
    return this.isServing ? Serving.serving : Serving.notServing
  }
}

function reply(state: Serving): Buffer {
  const out = new ByteWriter(8)
  putTag(out, 1, Wire.varint)
  putUint(out, state)
  return out.toBuffer()
}
