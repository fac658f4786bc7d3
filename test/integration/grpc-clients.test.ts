// gRPC with a client of another maker, which knows the service only by what reflection tells it, on a server that keeps
// its jobs in PostgreSQL.

import { createFileRegistry, type DescService, fromBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import { type Client, Code, ConnectError, createClient } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import { Metadata, status } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { databaseSettings, kill, startDurable } from '../support/durable-server.ts'
import { eventually } from '../support/eventually.ts'
import { type Fields, GrpcClient } from '../support/grpc-client.ts'
import { callMessage, RawCall } from '../support/grpc-raw.ts'
import { SharedServer } from '../support/shared-server.ts'

const GRPC = { GRPC: '1', GRPC_PORT: '0', WORKERS: '2', GRPC_REFLECTION: '1' }
const WITHIN_MS = 10_000
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
const textOf = (bytes: unknown): string => new TextDecoder().decode(bytes as Uint8Array)

/** The client's calls, whose types only the server knows. */
type Calls = Record<string, (request: Fields, options?: Fields) => Promise<Fields>>
type Streams = Record<string, (request: Fields, options?: Fields) => AsyncIterable<Fields>>

describe('a client of another maker', () => {
  const server = new SharedServer(GRPC)

  it('makes the calls that reflection tells it of', async () => {
    const service = await reflected(server.process.grpcPort)
    const transport = createGrpcTransport({
      baseUrl: `http://127.0.0.1:${server.process.grpcPort}`,
    })
    const client = createClient(service, transport) as Client<DescService>
    const calls = client as unknown as Calls
    const streams = client as unknown as Streams
    const queue = 'another-maker'
    const pushed = await calls['push']?.({
      queue,
      data: utf8('{"a":1.0}'),
      uniqueKey: '',
      priority: -1,
      tags: ['x'],
    })
    const id = pushed?.['id']
    expect(id).toBeTypeOf('bigint')
    const again = calls['push']?.({ queue, data: utf8('1'), uniqueKey: '' })
    const error = await again?.catch((cause: unknown) => cause)
    expect(error).toBeInstanceOf(ConnectError)
    expect((error as ConnectError).code).toBe(Code.AlreadyExists)
    expect((error as ConnectError).metadata.get('flashq-code')).toBe('duplicate_key')
    expect(await calls['getState']?.({ id })).toMatchObject({ id, state: 1 })
    const job = await calls['pull']?.({ queue })
    expect(job).toMatchObject({ id, queue, uniqueKey: '', priority: -1, tags: ['x'] })
    expect(job?.['progressMsg']).toBeUndefined()
    expect(textOf(job?.['data'])).toBe('{"a":1.0}')
    expect(await calls['ack']?.({ id, result: utf8('[2.0]') })).toMatchObject({ ok: true })
    const batch = await calls['pushBatch']?.({
      queue,
      jobs: [{ data: utf8('1') }, { data: utf8('2'), uniqueKey: 'k' }, { data: utf8('3') }],
    })
    expect(batch?.['ids']).toHaveLength(3)
    const got: string[] = []
    for await (const each of streams['streamJobs']?.({ queue, prefetch: 2 }) ?? []) {
      got.push(textOf(each['data']))
      await calls['ack']?.({ id: each['id'], token: each['token'] })
      if (got.length === 3) break
    }
    expect(got).toEqual(['1', '2', '3'])
    const waited = calls['pull']?.({ queue }, { timeoutMs: 50 })
    expect(await waited?.catch((cause: ConnectError) => cause.code)).toBe(Code.DeadlineExceeded)
  })
})

describe('gRPC with PostgreSQL', () => {
  it('keeps what it has answered, and gives back what streams held, over kill -9', async () => {
    const settings = { ...GRPC, ...(await databaseSettings()) }
    const first = await startDurable(settings)
    const client = new GrpcClient(first.grpcPort, new Metadata()).closeAfterTest()
    const queue = 'kept'
    const jobs = Array.from({ length: 5 }, (_, i) => ({ data: Buffer.from(`{"n":${i}}`) }))
    const { ids } = (await client.call('PushBatch', { queue, jobs })) as { ids: string[] }
    const flow = client.out('StreamJobs', { queue, prefetch: 2 })
    await flow.until(2)
    await client.call('Ack', { id: ids[0], result: Buffer.from('"done"') })
    await flow.until(3)
    await kill(first)
    await flow.ended
    const second = await startDurable(settings)
    const other = new GrpcClient(second.grpcPort, new Metadata()).closeAfterTest()
    await eventually('the jobs are read', WITHIN_MS, async () => {
      const { state } = await other.call('GetState', { id: ids[0] })
      return state === 'JOB_STATE_COMPLETED'
    })
    expect(String((await other.call('GetResult', { id: ids[0] }))['result'])).toBe('"done"')
    const got: string[] = []
    const again = other.out('StreamJobs', { queue, prefetch: 10, batch_size: 10 })
    await again.until(4)
    for (const { id } of again.got) got.push(id)
    expect(got.sort()).toEqual(ids.slice(1).sort())
    again.call.cancel()
    await again.ended
  })
})

describe('a server whose workers are replaced', () => {
  it('answers every call, and streams that are opened again get every job', async () => {
    const server = await startDurable({ ...GRPC, ...(await databaseSettings()) })
    const [producer, consumer] = [1, 2].map(() => {
      return new GrpcClient(server.grpcPort, new Metadata()).closeAfterTest()
    }) as [GrpcClient, GrpcClient]
    const queue = 'replaced'
    const metadata = new Metadata()
    metadata.set('queue', queue)
    let isOver = false
    const pushed: string[] = []
    const pushing = (async () => {
      while (!isOver) pushed.push(await producer.push(queue, pushed.length))
    })()
    const consumed = new Set<string>()
    let flow = consumer.both('ProcessJobs', metadata)
    const consuming = (async () => {
      for (;;) {
        const { call } = flow
        call.on('data', ({ id }) => {
          consumed.add(id)
          call.write({ id, success: true })
        })
        const how = await flow.ended
        if (how === null) return
        expect(how).toMatchObject({ status: status.UNAVAILABLE })
        flow = consumer.both('ProcessJobs', metadata)
      }
    })()
    await eventually('some went through', WITHIN_MS, () => consumed.size > 20)
    server.signal('SIGHUP')
    await eventually(
      'all are new',
      45_000,
      () => server.find('all workers were restarted') !== undefined,
    )
    const before = consumed.size
    await eventually('it goes on', WITHIN_MS, () => consumed.size > before + 20)
    isOver = true
    await pushing
    await eventually('all went through', WITHIN_MS, () => consumed.size === pushed.length)
    flow.call.end()
    await consuming
    expect([...consumed].sort()).toEqual([...pushed].sort())
  })
})

async function reflected(port: number): Promise<DescService> {
  const symbol = 'flashq.QueueService'
  const request = Buffer.concat([Buffer.from([0x22, symbol.length]), Buffer.from(symbol)])
  const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo'
  const { messages } = await new RawCall(port).send(path, [callMessage(request)])
  const response = messages[0] as Buffer
  // Behind the request (field 2): field 4, its length, field 1, its length, the descriptor.
  let at = 2 + request.length
  for (const tag of [0x22, 0x0a]) {
    expect(response[at++]).toBe(tag)
    while ((response[at++] as number) > 127);
  }
  const file = fromBinary(FileDescriptorProtoSchema, new Uint8Array(response.subarray(at)))
  const service = createFileRegistry(file, () => undefined).getService(symbol)
  if (service === undefined) throw new Error('reflection does not know the service')
  return service
}
