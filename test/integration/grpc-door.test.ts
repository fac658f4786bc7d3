// The gRPC door itself: who may come in, health, reflection, and peers that do not behave.

import { writeFileSync } from 'node:fs'
import { connect as connectHttp2, constants } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { Metadata, status } from '@grpc/grpc-js'
import { describe, expect, it, onTestFinished } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { GrpcClient } from '../support/grpc-client.ts'
import { callHeaders, callMessage, RawCall } from '../support/grpc-raw.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'
import { SharedServer } from '../support/shared-server.ts'

const GRPC = { GRPC: '1', GRPC_PORT: '0', WORKERS: '2' }
const WITHIN_MS = 5000

function clientOf(server: ServerProcess, authorization?: string, service?: string): GrpcClient {
  const metadata = new Metadata()
  if (authorization !== undefined) metadata.set('authorization', authorization)
  return new GrpcClient(server.grpcPort, metadata, service).closeAfterTest()
}

describe('with tokens', () => {
  const server = new SharedServer({ ...GRPC, AUTH_TOKENS: 'secret,other', WORKERS: '1' })
  const open = (authorization?: string, service?: string): GrpcClient =>
    clientOf(server.process, authorization, service)

  it('lets in who has one', async () => {
    for (const authorization of ['Bearer secret', 'bearer other', 'BEARER   secret']) {
      expect(await open(authorization).call('Stats')).toHaveProperty('queued')
    }
  })

  it('refuses who has none, or a wrong one, on every kind of call, and says nothing else', async () => {
    const wrong = { status: status.UNAUTHENTICATED, code: 'auth_invalid', details: 'Invalid token' }
    const none = {
      status: status.UNAUTHENTICATED,
      code: 'auth_required',
      details: 'Authentication required',
    }
    const client = open()
    expect(await client.failure('Push', { queue: '' })).toEqual(none)
    expect(await client.failure('Pull', { queue: 'a b' })).toEqual(none)
    expect(await client.out('StreamJobs', { queue: 'a b' }).ended).toEqual(none)
    expect(await client.both('ProcessJobs', new Metadata()).ended).toEqual(none)
    expect(await client.out('Subscribe', {}).ended).toEqual(none)
    for (const authorization of [
      'secret',
      'Bearer',
      'Basic secret',
      `Bearer ${'x'.repeat(5000)}`,
    ]) {
      expect(await open(authorization).failure('Stats'), authorization.slice(0, 20)).toEqual(wrong)
    }
  })

  it('answers probes that have none', async () => {
    const health = open(undefined, 'grpc.health.v1.Health')
    expect(await health.call('Check')).toEqual({ status: 'SERVING' })
  })

  it('throttles an address that keeps guessing', async () => {
    for (let i = 0; i < 10; i++) {
      expect(await open(`Bearer secret${i}`).failure('Stats')).toMatchObject({
        code: 'auth_invalid',
      })
    }
    expect(await open('Bearer secret').failure('Stats')).toEqual({
      status: status.RESOURCE_EXHAUSTED,
      code: 'auth_throttled',
      details: 'Too many failed attempts, try again later',
    })
    expect(JSON.stringify(server.process.log)).not.toContain('secret')
  })
})

describe('with tokens that have limits', () => {
  const file = join(scratchFolder(), 'tokens.json')
  const some = { name: 'some', token: 'some-token', scopes: ['produce', 'consume', 'read'] }
  const write = (tokens: object[]): void => {
    writeFileSync(file, JSON.stringify({ tokens }), { mode: 0o600 })
  }
  write([{ ...some, queues: ['own', 'own.*'] }])
  const server = new SharedServer({ ...GRPC, AUTH_TOKENS: 'full', AUTH_FILE: file })
  const open = (token: string): GrpcClient => clientOf(server.process, `Bearer ${token}`)

  it('keeps each to its scopes and its queues', async () => {
    const [full, limited] = [open('full'), open('some-token')]
    const denied = { status: status.PERMISSION_DENIED, code: 'forbidden' }
    const data = Buffer.from('1')
    expect(await limited.call('Push', { queue: 'own.a', data })).toMatchObject({ ok: true })
    expect(await limited.failure('Push', { queue: 'other', data })).toMatchObject(denied)
    expect(await limited.failure('Pause', { queue: 'own.a' })).toMatchObject(denied)
    expect(await limited.failure('Pull', { queue: 'other' })).toMatchObject(denied)
    expect(await limited.out('StreamJobs', { queue: 'other' }).ended).toMatchObject(denied)
    // Its queue is `default`.
    const metadata = new Metadata()
    metadata.set('authorization', 'Bearer some-token')
    expect(await limited.both('ProcessJobs', metadata).ended).toMatchObject(denied)
    const events = { queue: 'other', events: ['*'] }
    expect(await limited.out('Subscribe', events).ended).toMatchObject(denied)
    const id = await full.push('other', 1)
    await full.call('Pull', { queue: 'other' })
    expect(await limited.failure('Ack', { id })).toMatchObject({
      status: status.NOT_FOUND,
      details: `Job ${id} not found`,
    })
    expect(await limited.call('AckBatch', { ids: [id] })).toMatchObject({
      acked: 0,
      errors: [{ index: 0, code: 'job_not_found' }],
    })
    expect(await full.call('AckBatch', { ids: [id] })).toMatchObject({ acked: 1 })
  })

  it('ends what a token has opened when it is revoked, and gives its jobs back', async () => {
    const [full, limited] = [open('full'), open('some-token')]
    const queue = 'own'
    const id = await full.push(queue, 1)
    const flow = limited.out('StreamJobs', { queue })
    await flow.until(1)
    const pull = limited.failure('Pull', { queue: 'own.b' })
    write([{ ...some, token: 'another' }])
    const over = { status: status.UNAUTHENTICATED, code: 'auth_invalid' }
    expect(await flow.ended).toMatchObject(over)
    expect(await pull).toMatchObject(over)
    expect(await limited.failure('Stats')).toMatchObject(over)
    expect((await full.job('Pull', { queue, wait_ms: WITHIN_MS })).id).toBe(id)
  })
})

describe('health', () => {
  const server = new SharedServer(GRPC)

  it('tells of the server and of its service, and of no other', async () => {
    const health = clientOf(server.process, undefined, 'grpc.health.v1.Health')
    for (const service of ['', 'flashq.QueueService']) {
      expect(await health.call('Check', { service })).toEqual({ status: 'SERVING' })
    }
    const failure = await health.failure('Check', { service: 'other' })
    expect(failure.status).toBe(status.NOT_FOUND)
    const watch = health.out('Watch', { service: 'other' })
    expect(await watch.until(1)).toEqual([{ status: 'SERVICE_UNKNOWN' }])
    watch.call.cancel()
    await watch.ended
  })

  it('tells watchers when the server stops', async () => {
    const health = clientOf(server.process, undefined, 'grpc.health.v1.Health')
    const watch = health.out('Watch', {})
    await watch.until(1)
    server.process.signal('SIGTERM')
    expect(await watch.ended).toMatchObject({ status: status.UNAVAILABLE })
    expect(watch.got).toEqual([{ status: 'SERVING' }, { status: 'NOT_SERVING' }])
    expect(await server.process.exited).toEqual({ code: 0, signal: null })
  })
})

describe('peers that do not behave', () => {
  const server = new SharedServer(GRPC)
  const raw = (): RawCall => new RawCall(server.process.grpcPort)
  const stillServes = async (): Promise<void> => {
    const clients = Array.from({ length: 4 }, () => clientOf(server.process))
    for (const client of clients) expect(await client.call('Stats')).toHaveProperty('queued')
  }

  it('an unknown call, an unknown service and reflection that is off are UNIMPLEMENTED', async () => {
    for (const path of [
      '/flashq.QueueService/Nothing',
      '/other.Service/Push',
      '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      '/flashq.QueueService/__proto__',
    ]) {
      expect((await raw().send(path, [callMessage(Buffer.alloc(0))])).status, path).toBe(
        status.UNIMPLEMENTED,
      )
    }
    await stillServes()
  })

  it('bytes that are no message are INVALID_ARGUMENT', async () => {
    const huge = Buffer.alloc(2_000_000, Buffer.from([0x10, 1]))
    for (const bytes of [
      Buffer.from([0xff]),
      Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x07]),
      Buffer.from([0x00]),
      Buffer.alloc(1000, 0x0b),
      Buffer.from([0x0a, 1, 0xff]),
    ]) {
      const answer = await raw().send('/flashq.QueueService/PushBatch', [callMessage(bytes)])
      expect(answer, bytes.toString('hex').slice(0, 20)).toMatchObject({
        status: status.INVALID_ARGUMENT,
        code: 'invalid',
      })
    }
    // A million numbers where there is a list of jobs: unknown, and passed.
    const many = await raw().send('/flashq.QueueService/PushBatch', [callMessage(huge)])
    expect(many).toMatchObject({ status: status.INVALID_ARGUMENT, code: 'queue_name_invalid' })
    const ids = Buffer.concat([Buffer.from([0x0a, 0xc0, 0x84, 0x3d]), Buffer.alloc(1_000_000, 1)])
    expect(await raw().send('/flashq.QueueService/AckBatch', [callMessage(ids)])).toMatchObject({
      status: status.INVALID_ARGUMENT,
      code: 'limit_exceeded',
    })
    await stillServes()
  })

  it('a message over 4 MiB, and one that unpacks to more, are RESOURCE_EXHAUSTED', async () => {
    const long = callMessage(Buffer.alloc(4 * 1024 * 1024 + 1))
    expect(await raw().send('/flashq.QueueService/Push', [long])).toMatchObject({
      status: status.RESOURCE_EXHAUSTED,
    })
    const { gzipSync } = await import('node:zlib')
    const bomb = callMessage(gzipSync(Buffer.alloc(64 * 1024 * 1024)), 1)
    expect(
      await raw().send('/flashq.QueueService/Push', [bomb], { 'grpc-encoding': 'gzip' }),
    ).toMatchObject({ status: status.RESOURCE_EXHAUSTED })
    const broken = callMessage(Buffer.from('no gzip'), 1)
    expect(
      await raw().send('/flashq.QueueService/Push', [broken], { 'grpc-encoding': 'gzip' }),
    ).toMatchObject({ status: status.INTERNAL })
    await stillServes()
  })

  it.each([
    ['HTTP/1', 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['the line protocol', '{"cmd":"STATS"}\n'],
    ['a TLS hello', Buffer.from('16030100c8010000c40303', 'hex')],
    ['anything', Buffer.alloc(10_000, 0xa5)],
  ])('what is not HTTP/2 is cut off: %s', async (_, bytes) => {
    const socket = connectTcp(server.process.grpcPort, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.resume()
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.write(bytes)
    await closed
    await stillServes()
  })

  it('more connections than there may be are cut off', async () => {
    const small = await startServer({ ...GRPC, WORKERS: '1', CONNECTIONS_MAX: '2' })
    const [first, second] = [clientOf(small), clientOf(small)]
    await Promise.all([first.call('Stats'), second.call('Stats')])
    const socket = connectTcp(small.grpcPort, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.resume()
    await new Promise((resolve) => socket.once('close', resolve))
    first.close()
    await eventually('there is room again', WITHIN_MS, async () => {
      const { status: how } = await new RawCall(small.grpcPort).send('/flashq.QueueService/Stats', [
        callMessage(Buffer.alloc(0)),
      ])
      return how === status.OK
    })
  })

  it('a call that never ends its half, or sends twice, harms nobody', async () => {
    const open = raw()
    const stream = open.begin('/flashq.QueueService/Push')
    stream.write(callMessage(Buffer.alloc(0)))
    const twice = await raw().send('/flashq.QueueService/Stats', [
      callMessage(Buffer.alloc(0)),
      callMessage(Buffer.alloc(0)),
    ])
    expect(twice.status).not.toBe(status.OK)
    await stillServes()
    open.close()
  })

  it('streams that are opened and reset without end cost the others nothing', async () => {
    const session = connectHttp2(`http://127.0.0.1:${server.process.grpcPort}`)
    onTestFinished(() => session.destroy())
    let isOver = false
    session.on('error', () => undefined)
    session.on('close', () => {
      isOver = true
    })
    let opened = 0
    while (!isOver && opened < 20_000) {
      for (let i = 0; i < 100 && !session.destroyed && !session.closed; i++) {
        const stream = session.request(callHeaders('/flashq.QueueService/Pull'))
        stream.on('error', () => undefined)
        stream.close(constants.NGHTTP2_CANCEL)
        opened++
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
    // HTTP/2 ends a connection that resets streams faster than it may.
    await eventually('the connection is ended', WITHIN_MS, () => isOver)
    expect(opened).toBeLessThan(20_000)
    await stillServes()
  })

  it('headers without end are refused', async () => {
    const many: Record<string, string> = {}
    for (let i = 0; i < 100; i++) many[`x-${i}`] = 'y'.repeat(1000)
    const call = raw()
    const answer = await call.send(
      '/flashq.QueueService/Stats',
      [callMessage(Buffer.alloc(0))],
      many,
    )
    expect(answer.status).not.toBe(status.OK)
    await stillServes()
  })

  it.each([
    ['SETTINGS', Buffer.from('000000040000000000', 'hex')],
    ['PING', Buffer.from('0000080600000000000102030405060708', 'hex')],
    // HEADERS without END_HEADERS on stream 1, then CONTINUATION frames that never end it.
    ['CONTINUATION', Buffer.from('000400090000000001'.padEnd(18 + 2048, '00'), 'hex')],
  ])('a flood of %s ends its connection, and no other', async (kind, frame) => {
    const socket = connectTcp(server.process.grpcPort, '127.0.0.1')
    onTestFinished(() => {
      socket.destroy()
    })
    let isOver = false
    socket.on('error', () => undefined)
    socket.on('close', () => {
      isOver = true
    })
    // It never reads, so that answers pile up.
    socket.pause()
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    socket.write(Buffer.from('000000040000000000', 'hex'))
    if (kind === 'CONTINUATION') socket.write(Buffer.from('00000101000000000182', 'hex'))
    const many = Buffer.concat(Array(200).fill(frame))
    for (let i = 0; i < 400 && !isOver; i++) {
      if (!socket.write(many)) {
        await Promise.race([
          new Promise((resolve) => socket.once('drain', resolve)),
          new Promise((resolve) => socket.once('close', resolve)),
          stillServes(),
        ])
      }
    }
    await stillServes()
    socket.resume()
    await eventually('the connection is ended', WITHIN_MS, () => isOver)
  })
})

describe('reflection', () => {
  const server = new SharedServer({ ...GRPC, GRPC_REFLECTION: '1', WORKERS: '1' })

  it.each(['v1', 'v1alpha'])('tells what there is when it is on: %s', async (version) => {
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`
    const ask = async (no: number, text: string): Promise<string> => {
      const bytes = Buffer.concat([Buffer.from([no * 8 + 2, text.length]), Buffer.from(text)])
      const answer = await new RawCall(server.process.grpcPort).send(path, [callMessage(bytes)])
      expect(answer.status).toBe(status.OK)
      return answer.messages.map((message) => message.toString('latin1')).join()
    }
    const services = await ask(7, '')
    expect(services).toContain('flashq.QueueService')
    expect(services).toContain('grpc.health.v1.Health')
    for (const symbol of ['flashq.QueueService', 'flashq.QueueService.Push', 'flashq.Job']) {
      expect(await ask(4, symbol), symbol).toContain('PushBatchRequest')
    }
    expect(await ask(4, 'grpc.health.v1.Health')).toContain('HealthCheckRequest')
    expect(await ask(3, 'flashq.proto')).toContain('PushBatchRequest')
    expect(await ask(4, 'no.such.Thing')).toContain('Nothing here is called no.such.Thing')
  })
})
