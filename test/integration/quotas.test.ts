// Quotas of tokens at every door of a real server: what one door has used, the others count.

import { writeFileSync } from 'node:fs'
import { Agent, get } from 'node:https'
import { join } from 'node:path'
import { credentials, Metadata, status } from '@grpc/grpc-js'
import { describe, expect, it, onTestFinished } from 'vitest'
import WebSocket from 'ws'
import { limits } from '../../src/engine/limits.ts'
import { Authority } from '../support/certificates.ts'
import { EventClient } from '../support/event-client.ts'
import { eventually } from '../support/eventually.ts'
import { GrpcClient } from '../support/grpc-client.ts'
import { HttpReader } from '../support/http-reader.ts'
import type { LineClient } from '../support/line-client.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'

/** Each worker counts for itself: with one, it does not matter where a connection lands. */
const DOORS = { HTTP: '1', HTTP_PORT: '0', GRPC: '1', GRPC_PORT: '0', WORKERS: '1' }
const WITHIN_MS = 15_000
const scopes = ['read', 'produce', 'consume', 'admin']
const OVER = { ok: false, code: 'quota_exceeded' }
const OVER_GRPC = { status: status.RESOURCE_EXHAUSTED, code: 'quota_exceeded' }
const PUSH = { cmd: 'PUSH', queue: 'a', data: 'x'.repeat(1000) }

const path = join(scratchFolder(), 'tokens.json')
const entry = (token: string, quotas: object = {}): object => ({
  name: token,
  token,
  scopes,
  ...quotas,
})
writeFileSync(
  path,
  JSON.stringify({
    tokens: [
      entry('free'),
      // A command of a kilobyte is paid for in a quarter of an hour: no clock decides these tests.
      ...['line', 'http', 'grpc', 'stream'].map((name) => entry(name, { bytes_per_second: 1 })),
      entry('brief', { commands_per_second: 1 }),
      entry('few', { connections: 3 }),
    ],
  }),
  { mode: 0o600 },
)

const start = (): Promise<ServerProcess> => startServer({ ...DOORS, AUTH_FILE: path })

async function line(server: ServerProcess, token: string): Promise<LineClient> {
  const client = await server.client()
  expect(await ask(client, { cmd: 'AUTH', token })).toEqual({ ok: true })
  return client
}

async function ask(client: LineClient, command: object): Promise<Record<string, unknown>> {
  client.send(command)
  return client.object()
}

function grpc(server: ServerProcess, token: string): GrpcClient {
  return new GrpcClient(server.grpcPort, bearer(token)).closeAfterTest()
}

function bearer(token: string, more: Readonly<Record<string, string>> = {}): Metadata {
  const metadata = new Metadata()
  metadata.set('authorization', `Bearer ${token}`)
  for (const [name, value] of Object.entries(more)) metadata.set(name, value)
  return metadata
}

function post(server: ServerProcess, token: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${server.httpPort}/queues/a/jobs`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ data: PUSH.data }),
  })
}

/** The status with which a WebSocket is refused; 101: it is not. */
function webSocketStatus(server: ServerProcess, token: string): Promise<number> {
  const headers = { authorization: `Bearer ${token}` }
  const socket = new WebSocket(`ws://127.0.0.1:${server.httpPort}/ws`, { headers })
  socket.on('error', () => undefined)
  return new Promise((resolve) => {
    socket.on('open', () => {
      socket.terminate()
      resolve(101)
    })
    socket.on('unexpected-response', (_request, answer) => {
      answer.resume()
      resolve(answer.statusCode ?? 0)
    })
  })
}

describe('a token that owes bytes', () => {
  it('is refused at every door, and others are not', async () => {
    const server = await start()
    const client = await line(server, 'line')
    expect(await ask(client, PUSH)).toMatchObject({ ok: true })
    expect(await ask(client, { cmd: 'STATS', reqId: 'r' })).toMatchObject({ ...OVER, reqId: 'r' })
    const answer = await post(server, 'line')
    expect([answer.status, (await answer.json()) as object]).toEqual([
      429,
      expect.objectContaining(OVER),
    ])
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(60)
    expect(await webSocketStatus(server, 'line')).toBe(429)
    const headers = { authorization: 'Bearer line' }
    expect((await EventClient.open({ port: server.httpPort, headers })).status).toBe(429)
    expect(await grpc(server, 'line').failure('Stats')).toMatchObject(OVER_GRPC)
    const flow = grpc(server, 'line').out('Subscribe', { queue: 'a', events: ['*'] })
    expect(await flow.ended).toMatchObject(OVER_GRPC)
    expect(await ask(await line(server, 'free'), PUSH)).toMatchObject({ ok: true })
    expect((await post(server, 'free')).status).toBeLessThan(300)
    const text = await new HttpReader(server, 'free').metrics()
    const code = OVER.code
    for (const door of ['tcp', 'http', 'grpc']) {
      expect(text.value('flashq_command_errors_total', { door, code }), door).toBeGreaterThan(0)
    }
  })

  it('has come to owe them by the body of a request', async () => {
    const server = await start()
    expect((await post(server, 'http')).status).toBeLessThan(300)
    expect((await post(server, 'http')).status).toBe(429)
  })

  it('has come to owe them by the message of a call', async () => {
    const client = grpc(await start(), 'grpc')
    await client.push('a', PUSH.data)
    expect(await client.failure('Stats')).toMatchObject(OVER_GRPC)
  })

  it('has come to owe them by what it said on a stream, which goes on', async () => {
    const server = await start()
    const free = await line(server, 'free')
    for (let n = 0; n < 2; n++) await ask(free, { cmd: 'PUSH', queue: 's', data: n })
    const client = grpc(server, 'stream')
    const flow = client.both('ProcessJobs', bearer('stream', { queue: 's', prefetch: '1' }))
    const result = Buffer.from(JSON.stringify('x'.repeat(2000)))
    const [first] = await flow.until(1)
    flow.call.write({ id: first?.id, success: true, result })
    const [, second] = await flow.until(2)
    expect(await client.failure('Stats')).toMatchObject(OVER_GRPC)
    flow.call.write({ id: second?.id, success: true, result })
    flow.call.end()
    expect(await flow.ended).toBeNull()
    expect(await ask(free, { cmd: 'STATS' })).toMatchObject({ queued: 0, processing: 0 })
  })
})

describe('a token of one command a second', () => {
  it('is refused the second of two that come at once, and runs again when its time has come', async () => {
    const client = await line(await start(), 'brief')
    const commands = Array.from({ length: 200 }, () => ({ cmd: 'STATS' }))
    client.send(...commands)
    const replies = (await client.linesOf(commands.length)).map((reply) => JSON.parse(reply))
    expect(replies[0]).toMatchObject({ ok: true })
    expect(replies.filter(({ code }) => code === OVER.code).length).toBeGreaterThan(0)
    await eventually(
      'one runs',
      WITHIN_MS,
      async () => (await ask(client, { cmd: 'STATS' }))['ok'] === true,
    )
  })
})

describe('a token of so many connections', () => {
  it('has no more, at whichever door, and one more when one has gone', async () => {
    const server = await start()
    const [first] = [await line(server, 'few'), await line(server, 'few')]
    const calls = grpc(server, 'few')
    await calls.call('Stats')
    const late = await server.client()
    expect(await ask(late, { cmd: 'AUTH', token: 'few' })).toMatchObject(OVER)
    expect((await post(server, 'few')).status).toBe(429)
    expect(await webSocketStatus(server, 'few')).toBe(429)
    expect(await grpc(server, 'few').failure('Stats')).toMatchObject(OVER_GRPC)
    // Those that it has go on.
    await calls.call('Stats')
    first?.destroy()
    await eventually(
      'there is room again',
      WITHIN_MS,
      async () => (await ask(late, { cmd: 'AUTH', token: 'few' }))['ok'] === true,
    )
    expect(await ask(late, { cmd: 'STATS' })).toMatchObject({ ok: true })
  })

  it('counts those of HTTP and gRPC until they close', async () => {
    const server = await start()
    const headers = { authorization: 'Bearer few' }
    const streams = [
      await EventClient.open({ port: server.httpPort, headers }),
      await EventClient.open({ port: server.httpPort, headers }),
    ]
    const calls = grpc(server, 'few')
    await calls.call('Stats')
    const late = await server.client()
    const auth = (): Promise<Record<string, unknown>> => ask(late, { cmd: 'AUTH', token: 'few' })
    expect(await auth()).toMatchObject(OVER)
    calls.close()
    await eventually('gRPC has gone', WITHIN_MS, async () => (await auth())['ok'] === true)
    expect((await post(server, 'few')).status).toBe(429)
    for (const stream of streams) stream.close()
    await eventually(
      'SSE has gone',
      WITHIN_MS,
      async () => (await post(server, 'few')).status < 300,
    )
  })
})

describe('a token of so many connections, with TLS', () => {
  it('has no more over HTTP and gRPC either, and one more when one has gone', async () => {
    const authority = new Authority()
    const { cert, key } = authority.issue('quotas')
    const files = { TLS_CERT: join(path, '../tls.crt'), TLS_KEY: join(path, '../tls.key') }
    writeFileSync(files.TLS_CERT, cert)
    writeFileSync(files.TLS_KEY, key, { mode: 0o600 })
    const server = await startServer({ ...DOORS, ...files, AUTH_FILE: path })
    const ca = Buffer.from(authority.cert)
    const agents = Array.from(
      { length: 4 },
      () => new Agent({ keepAlive: true, maxSockets: 1, ca }),
    )
    onTestFinished(() => {
      for (const agent of agents) agent.destroy()
    })
    const statusBy = (agent: Agent | undefined): Promise<number> =>
      new Promise((resolve, reject) => {
        const headers = { authorization: 'Bearer few' }
        const asked = { host: '127.0.0.1', port: server.httpPort, path: '/stats', headers }
        get({ ...asked, ...(agent === undefined ? {} : { agent }) }, (answer) => {
          answer.resume()
          answer.on('end', () => resolve(answer.statusCode ?? 0))
        }).on('error', reject)
      })
    for (const [n, agent] of agents.entries()) expect(await statusBy(agent)).toBe(n < 3 ? 200 : 429)
    const port = server.grpcPort
    const call = (): GrpcClient =>
      new GrpcClient(
        ...([port, bearer('few'), undefined, credentials.createSsl(ca)] as const),
      ).closeAfterTest()
    expect(await call().failure('Stats')).toMatchObject(OVER_GRPC)
    agents[0]?.destroy()
    const holder = call()
    await eventually('there is room again', WITHIN_MS, () =>
      holder.call('Stats').then(
        () => true,
        () => false,
      ),
    )
    expect(await statusBy(agents[3])).toBe(429)
    holder.close()
    await eventually('gRPC has gone', WITHIN_MS, async () => (await statusBy(agents[3])) === 200)
  })
})

describe('a token of a hundred event streams', () => {
  it('has no more, be they of SSE, WebSocket or gRPC', async () => {
    const server = await start()
    const client = grpc(server, 'free')
    const flows = Array.from({ length: limits.streamsPerOwnerMax - 1 }, (_, n) =>
      client.out('Subscribe', { queue: `q-${n}`, events: ['*'] }),
    )
    await Promise.all(flows.map(({ call }) => new Promise((done) => call.on('metadata', done))))
    const headers = { authorization: 'Bearer free' }
    const last = await EventClient.open({ port: server.httpPort, headers })
    expect(last.status).toBe(200)
    const flow = client.out('Subscribe', { queue: 'one-more', events: ['*'] })
    expect(await flow.ended).toMatchObject(OVER_GRPC)
    expect(await webSocketStatus(server, 'free')).toBe(429)
    expect((await EventClient.open({ port: server.httpPort, headers })).status).toBe(429)
    flows[0]?.call.cancel()
    await eventually(
      'there is room again',
      WITHIN_MS,
      async () => (await webSocketStatus(server, 'free')) === 101,
    )
  })
})
