// A gRPC client as users write it: grpc-js and the proto file, field names kept, longs and enums as strings.

import {
  type CallOptions,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientUnaryCall,
  credentials,
  type GrpcObject,
  loadPackageDefinition,
  type Metadata,
  type Client as PlainClient,
  type ServiceClientConstructor,
  type ServiceError,
  type status,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { onTestFinished } from 'vitest'
import { CODE_METADATA } from '../../src/transports/grpc/status.ts'

export const packageDefinition = loadSync(['proto/flashq.proto', 'proto/health.proto'], {
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
})
const root = loadPackageDefinition(packageDefinition)

export type Fields = Readonly<Record<string, unknown>>

export interface GrpcJob {
  readonly id: string
  readonly queue: string
  readonly data: Buffer
  readonly tags: string[]
  readonly token?: string
  readonly [field: string]: unknown
}

/** How a call ended that was not OK. */
export interface Failure {
  readonly status: status
  readonly details: string
  /** `flashq-code`. */
  readonly code: string
}

type Unary = (
  request: Fields,
  metadata: Metadata,
  options: CallOptions,
  done: (error: ServiceError | null, reply: Record<string, unknown>) => void,
) => ClientUnaryCall

export class GrpcClient {
  readonly plain: PlainClient
  private readonly metadata: Metadata

  constructor(
    port: number,
    metadata: Metadata,
    service = 'flashq.QueueService',
    security = credentials.createInsecure(),
  ) {
    const Service = service
      .split('.')
      .reduce<unknown>((at, name) => (at as GrpcObject)[name], root) as ServiceClientConstructor
    // A connection of its own, not one that is shared by all clients of the process.
    this.plain = new Service(`127.0.0.1:${port}`, security, {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_receive_message_length': 4 * 1024 * 1024,
    })
    this.metadata = metadata
  }

  /** Closed when the test has finished. */
  closeAfterTest(): this {
    onTestFinished(() => this.close())
    return this
  }

  close(): void {
    this.plain.close()
  }

  /** The reply; rejects with the client's error. */
  call(
    name: string,
    request: Fields = {},
    options: CallOptions = {},
  ): Promise<Record<string, unknown>> {
    return this.begin(name, request, options).reply
  }

  begin(
    name: string,
    request: Fields = {},
    options: CallOptions = {},
  ): { call: ClientUnaryCall; reply: Promise<Record<string, unknown>> } {
    let call: ClientUnaryCall | undefined
    const reply = new Promise<Record<string, unknown>>((resolve, reject) => {
      call = this.method<Unary>(name)(request, this.metadata, options, (error, message) => {
        if (error === null) resolve(message)
        else reject(error)
      })
    })
    return { call: call as ClientUnaryCall, reply }
  }

  async failure(name: string, request: Fields = {}, options: CallOptions = {}): Promise<Failure> {
    try {
      await this.call(name, request, options)
    } catch (error) {
      return failureOf(error as ServiceError)
    }
    throw new Error(`${name} did not fail`)
  }

  job(name: string, request: Fields, options: CallOptions = {}): Promise<GrpcJob> {
    return this.call(name, request, options) as Promise<unknown> as Promise<GrpcJob>
  }

  async push(queue: string, data: unknown, more: Fields = {}): Promise<string> {
    const request = { queue, data: Buffer.from(JSON.stringify(data)), ...more }
    return String((await this.call('Push', request))['id'])
  }

  out(name: string, request: Fields): Flow {
    const method =
      this.method<(request: Fields, metadata: Metadata) => ClientReadableStream<GrpcJob>>(name)
    return new Flow(method(request, this.metadata))
  }

  both(name: string, metadata: Metadata): Flow & { call: ClientDuplexStream<Fields, GrpcJob> } {
    const method = this.method<(metadata: Metadata) => ClientDuplexStream<Fields, GrpcJob>>(name)
    return new Flow(method(metadata)) as Flow & { call: ClientDuplexStream<Fields, GrpcJob> }
  }

  private method<F>(name: string): F {
    const method = (this.plain as unknown as Record<string, F & ((...args: never[]) => unknown)>)[
      name
    ]
    if (method === undefined) throw new Error(`no call ${name}`)
    return method.bind(this.plain) as F
  }
}

function failureOf(error: ServiceError): Failure {
  return {
    status: error.code,
    details: error.details,
    code: String(error.metadata?.get(CODE_METADATA)[0] ?? ''),
  }
}

/** What comes over a stream of the server's. */
export class Flow {
  readonly call: ClientReadableStream<GrpcJob>
  readonly got: GrpcJob[] = []
  readonly ended: Promise<Failure | null>
  private isOver = false
  private wake: () => void = () => undefined

  constructor(call: ClientReadableStream<GrpcJob>) {
    this.call = call
    call.on('data', (message: GrpcJob) => {
      this.got.push(message)
      this.wake()
    })
    this.ended = new Promise((resolve) => {
      const over = (failure: Failure | null): void => {
        this.isOver = true
        this.wake()
        resolve(failure)
      }
      call.on('error', (error) => over(failureOf(error as ServiceError)))
      call.on('end', () => over(null))
    })
  }

  /** Until so many have come in all. */
  async until(count: number): Promise<GrpcJob[]> {
    while (this.got.length < count) {
      if (this.isOver) throw new Error(`the stream ended after ${this.got.length}`)
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
    return this.got
  }
}
