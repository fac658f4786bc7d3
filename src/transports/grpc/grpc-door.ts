// The gRPC door of a worker: HTTP/2 connections, and who answers which call.
//
//   In:   the calls of proto/flashq.proto, of grpc.health.v1, of reflection when it is on
//   Out:  calls.ts, health.ts, reflection.ts
//
// 1. The sockets are ours, what is on them is grpc-js's: the cap on connections is kept before anything is read, and
//    `http2-guard.ts` bounds what it leaves open.
// 2. Messages are bytes here: `request-frame.ts` and `reply-message.ts` know what is in them. So what is no message is
//    refused as any other bad input, and no object is made per job.
// 3. A drain tells every connection to go (GOAWAY), ends streams and waiting pulls with UNAVAILABLE, lets the other calls
//    be answered, and cuts off what is still there after its time.

import { type AddressInfo, createServer, type Server as NetServer, type Socket } from 'node:net'
import {
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Server,
  type ServerOptions,
  type ServerWritableStream,
  status,
} from '@grpc/grpc-js'
import { limits } from '../../engine/limits.ts'
import { Door as DoorNumber } from '../../engine/traffic.ts'
import type { Door } from '../door.ts'
import type { Certificates } from '../tls/certificates.ts'
import { type CallServices, Calls } from './calls.ts'
import { HEALTH_SERVICE, Health } from './health.ts'
import { guardHttp2 } from './http2-guard.ts'
import { identify } from './identify.ts'
import { methods, pathOf, processJobs, streamJobs, subscribe } from './methods.ts'
import { credentialsOf } from './server-credentials.ts'
import { statusOf } from './status.ts'

const BACKLOG = 1024
const GRPC = DoorNumber.grpc

const options: ServerOptions = {
  'grpc.max_receive_message_length': limits.grpcMessageBytesMax,
  'grpc.max_send_message_length': -1,
  'grpc.max_concurrent_streams': limits.grpcCallsPerConnectionMax,
  'grpc.keepalive_time_ms': limits.grpcPingMs,
  'grpc.keepalive_timeout_ms': limits.grpcPingTimeoutMs,
  'grpc.enable_channelz': 0,
}

type OutCall = ServerWritableStream<Buffer, Buffer>
type UnaryHandler = handleUnaryCall<Buffer, Buffer>
type OutHandler = handleServerStreamingCall<Buffer, Buffer>
type BidiHandler = handleBidiStreamingCall<Buffer, Buffer>

export interface GrpcDoorDeps extends CallServices {
  /** Null: plain text. */
  readonly certificates: Certificates | null
  readonly connectionsMax: number
  readonly reflection: boolean
}

export class GrpcDoor implements Door {
  private readonly deps: GrpcDoorDeps
  private readonly server = new Server(options)
  private readonly calls: Calls
  private readonly health = new Health()
  private readonly sockets = new Set<Socket>()
  private listener: NetServer | null = null

  constructor(deps: GrpcDoorDeps) {
    this.deps = deps
    this.calls = new Calls(deps)
  }

  async open(host: string, port: number): Promise<number> {
    this.register()
    if (this.deps.reflection) await this.registerReflection()
    const injector = this.server.createConnectionInjector(credentialsOf(this.deps.certificates))
    guardHttp2(this.server, this.deps.log)
    const listener = createServer({ noDelay: true }, (socket) => {
      if (this.admits(socket)) injector.injectConnection(socket)
    })
    this.listener = listener
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject)
      listener.listen({ host, port, backlog: BACKLOG }, () => {
        listener.off('error', reject)
        // Out of descriptors, or a peer that gave up: survived.
        listener.on('error', () => undefined)
        resolve()
      })
    })
    return (listener.address() as AddressInfo).port
  }

  /** HTTP/2 says so by itself, once the connection is closed for new calls. */
  announceEnd(): void {}

  async drain(timeoutMs: number): Promise<void> {
    this.listener?.close()
    this.health.stop()
    this.calls.drain()
    const timer = setTimeout(() => {
      for (const socket of this.sockets) socket.destroy()
    }, timeoutMs)
    await new Promise<void>((resolve) => this.server.tryShutdown(() => resolve()))
    clearTimeout(timer)
  }

  private admits(socket: Socket): boolean {
    const { sockets, calls } = this
    const { connectionsMax, traffic } = this.deps
    // (`maxConnections` would send it back to the primary, and from there to and fro.)
    if (sockets.size >= connectionsMax) {
      traffic.connectionRefused(GRPC)
      socket.destroy()
      return false
    }
    sockets.add(socket)
    traffic.connected(GRPC, 1)
    // As calls know it.
    const peer = `${socket.remoteAddress}:${socket.remotePort}`
    calls.admission.opened(peer)
    socket.on('close', () => {
      sockets.delete(socket)
      calls.admission.closed(peer)
      traffic.connected(GRPC, -1)
    })
    return true
  }

  private register(): void {
    const { server, calls, health } = this
    for (const method of methods) {
      const path = pathOf(method)
      if (method.kind === 'unary') {
        const answer: UnaryHandler = (call, callback) => {
          calls.unary(method, call, callback).catch((cause) => callback(this.broken(path, cause)))
        }
        server.register(path, answer, same, same, 'unary')
      } else this.stream(path, (call) => calls.pull(method, call))
    }
    this.stream(pathOf(streamJobs), async (call) => calls.streamJobs(call))
    this.stream(pathOf(subscribe), async (call) => calls.subscribe(call))
    const process: BidiHandler = (call) => {
      calls.processJobs(call)
    }
    server.register(pathOf(processJobs), process, same, same, 'bidi')
    const check: UnaryHandler = (call, callback) => health.check(call, callback)
    server.register(`/${HEALTH_SERVICE}/Check`, check, same, same, 'unary')
    this.stream(`/${HEALTH_SERVICE}/Watch`, async (call) => health.watch(call))
  }

  private async registerReflection(): Promise<void> {
    const { Reflection, REFLECTION_SERVICES } = await import('./reflection.ts')
    const reflection = new Reflection()
    const serve: BidiHandler = (call) => {
      const principal = identify(this.deps.auth, call.metadata, call.getPeer())
      if ('code' in principal) call.emit('error', statusOf(principal))
      else reflection.serve(call)
    }
    for (const service of REFLECTION_SERVICES) {
      this.server.register(`/${service}/ServerReflectionInfo`, serve, same, same, 'bidi')
    }
  }

  /** A call with one request and any number of answers; a pull is one, to know whether its answer was sent. */
  private stream(path: string, run: (call: OutCall) => Promise<void>): void {
    const handler: OutHandler = (call) => {
      run(call).catch((cause) => call.emit('error', this.broken(path, cause)))
    }
    this.server.register(path, handler, same, same, 'serverStream')
  }

  /** A bug. The others' calls go on. */
  private broken(path: string, cause: unknown): { code: status; details: string } {
    this.deps.log.error({ path, err: cause }, 'a gRPC call failed')
    return { code: status.INTERNAL, details: 'Internal error' }
  }
}

/** Messages stay bytes. */
function same(bytes: Buffer): Buffer {
  return bytes
}
