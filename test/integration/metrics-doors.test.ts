// What the doors of a server with two workers say in a scrape: event streams, gRPC connections, webhooks.

import { renameSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { Metadata, status } from '@grpc/grpc-js'
import { describe, expect, it, onTestFinished } from 'vitest'
import WebSocket from 'ws'
import { EventClient } from '../support/event-client.ts'
import { eventually } from '../support/eventually.ts'
import type { Exposition } from '../support/exposition-parser.ts'
import { type Flow, GrpcClient } from '../support/grpc-client.ts'
import { HttpReader } from '../support/http-reader.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'
import { clientOf as wireClientOf } from '../support/shared-server.ts'
import { WebhookReceiver } from '../support/webhook-receiver.ts'

const DOORS = { HTTP: '1', HTTP_PORT: '0', GRPC: '1', GRPC_PORT: '0' }
const WITHIN_MS = 15_000
const STREAMS = ['sse', 'ws', 'grpc'] as const

async function webSocket(server: ServerProcess, token?: string): Promise<WebSocket> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const socket = new WebSocket(`ws://127.0.0.1:${server.httpPort}/ws`, { headers })
  socket.on('error', () => undefined)
  onTestFinished(() => socket.terminate())
  await new Promise((resolve) => socket.once('open', resolve))
  return socket
}

async function subscription(server: ServerProcess, queue: string, token?: string): Promise<Flow> {
  const metadata = new Metadata()
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`)
  const client = new GrpcClient(server.grpcPort, metadata).closeAfterTest()
  const flow = client.out('Subscribe', { queue, events: ['*'] })
  await new Promise((resolve) => flow.call.on('metadata', resolve))
  return flow
}

/** Looks at scrapes until one is so, whichever worker answers. */
async function scraped(
  http: HttpReader,
  what: string,
  check: (text: Exposition) => boolean,
): Promise<Exposition> {
  let last: Exposition | null = null
  await eventually(what, WITHIN_MS, async () => {
    last = await http.metrics()
    return check(last)
  })
  return last as unknown as Exposition
}

const openStreams = (text: Exposition): number[] =>
  STREAMS.map((door) => text.value('flashq_event_streams', { door }) ?? Number.NaN)

describe('event streams', () => {
  it('are counted by door while they are open, and what they miss as they are told it', async () => {
    const server = await startServer(DOORS)
    const http = new HttpReader(server)
    const sse = await EventClient.open({ port: server.httpPort })
    const ws = await webSocket(server)
    const told = { ws: 0, grpc: 0 }
    ws.on('message', (data) => {
      const note = JSON.parse(String(data)) as { event_type: string; count?: number }
      if (note.event_type === 'dropped') told.ws += note.count ?? 0
    })
    const flow = await subscription(server, 'a')
    flow.call.on('data', (event) => {
      told.grpc += Number(event['dropped'])
    })
    expect(openStreams(await http.metrics())).toEqual([1, 1, 1])
    sse.answer.pause()
    ws.pause()
    flow.call.pause()
    const client = await server.client()
    const jobs = Array.from({ length: 50 }, () => ({ data: 'x'.repeat(30_000) }))
    const dropped = (text: Exposition, door: string): number =>
      text.value('flashq_events_dropped_total', { door }) ?? 0
    for (let i = 0; i < 100; i++) {
      client.send({ cmd: 'PUSHB', queue: 'a', jobs })
      const { ids } = (await client.object()) as { ids: number[] }
      client.send({ cmd: 'DRAIN', queue: 'a' })
      await client.line()
      expect(ids).toHaveLength(50)
      const text = await http.metrics()
      if (STREAMS.every((door) => dropped(text, door) > 0)) break
    }
    const text = await http.metrics()
    for (const door of STREAMS) expect(dropped(text, door), door).toBeGreaterThan(0)
    expect([dropped(text, 'tcp'), dropped(text, 'unix')]).toEqual([0, 0])
    sse.answer.resume()
    ws.resume()
    flow.call.resume()
    const toldBySse = (): number =>
      sse.dropped.reduce((sum, { data }) => sum + Number(data['count'] ?? 0), 0)
    await eventually('all are told', WITHIN_MS, () =>
      [toldBySse(), told.ws, told.grpc].every((count) => count > 0),
    )
    sse.close()
    ws.terminate()
    flow.call.cancel()
    await scraped(http, 'none is open', (scrape) => openStreams(scrape).every((n) => n === 0))
  })

  it('that the server ends are counted with the reason', async () => {
    const path = join(scratchFolder(), 'tokens.json')
    const write = (tokens: readonly string[]): void => {
      const entries = tokens.map((token) => ({ name: token, token, scopes: ['read', 'produce'] }))
      writeFileSync(`${path}.new`, JSON.stringify({ tokens: entries }), { mode: 0o600 })
      renameSync(`${path}.new`, path)
    }
    write(['stays', 'goes'])
    const server = await startServer({ ...DOORS, AUTH_FILE: path })
    const http = new HttpReader(server, 'stays')
    const headers = { authorization: 'Bearer goes' }
    await EventClient.open({ port: server.httpPort, headers })
    await webSocket(server, 'goes')
    const flow = await subscription(server, 'a', 'goes')
    const flooding = await webSocket(server, 'stays')
    for (let n = 0; n < 1000; n++) flooding.send('x')
    const cut = (text: Exposition, door: string, reason: string): number =>
      text.value('flashq_event_streams_cut_total', { door, reason }) ?? Number.NaN
    await scraped(http, 'the flood is cut off', (text) => cut(text, 'ws', 'flood') === 1)
    write(['stays'])
    const text = await scraped(http, 'they are cut off', (scrape) =>
      STREAMS.every((door) => cut(scrape, door, 'revoked') === 1),
    )
    expect(await flow.ended).toMatchObject({ code: 'auth_invalid' })
    expect(text.sum('flashq_event_streams_cut_total')).toBe(4)
  })
})

describe('gRPC connections', () => {
  it('are counted while they are open, and those that are refused', async () => {
    const server = await startServer({ ...DOORS, CONNECTIONS_MAX: '2' })
    const http = new HttpReader(server)
    const at = { door: 'grpc' }
    const sockets: Socket[] = []
    let refused = 0
    const dial = async (): Promise<void> => {
      const socket = connect(server.grpcPort, '127.0.0.1')
      sockets.push(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => refused++)
      onTestFinished(() => void socket.destroy())
      // Nothing is read of what the server says of itself, but that it says something.
      await new Promise((resolve) => {
        socket.once('data', resolve)
        socket.once('close', resolve)
        socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0')
      })
    }
    await eventually('each worker has its two', WITHIN_MS, async () => {
      await dial()
      return (await http.metrics()).value('flashq_connections', at) === 4
    })
    await dial()
    expect(refused).toBeGreaterThan(0)
    const text = await http.metrics()
    expect(text.value('flashq_connections', at)).toBe(4)
    expect(text.value('flashq_connections_refused_total', at)).toBe(refused)
    for (const socket of sockets) socket.destroy()
    await scraped(http, 'all are gone', (scrape) => scrape.value('flashq_connections', at) === 0)
    const client = new GrpcClient(server.grpcPort, new Metadata()).closeAfterTest()
    expect(await client.failure('Ack', { id: 1 })).toMatchObject({ status: status.NOT_FOUND })
    expect((await http.metrics()).value('flashq_connections', at)).toBe(1)
  })
})

describe('webhooks', () => {
  it('are counted by what became of their attempts, with what waits and what is under way', async () => {
    const receiver = await WebhookReceiver.open()
    const answers: Readonly<Record<string, number | undefined>> = {
      '/ok': 200,
      '/bad': 500,
      '/gone': 410,
    }
    receiver.answering = ({ path }) => answers[path]
    const server = await startServer({
      ...DOORS,
      ...receiver.settings,
      WEBHOOK_RETRIES_MS: '20,20',
    })
    const http = new HttpReader(server)
    const client = await wireClientOf(server)
    const queues = ['ok', 'bad', 'gone']
    for (const queue of queues) {
      const url = `http://127.0.0.1:${receiver.port}/${queue}`
      await client.ok({ cmd: 'WEBHOOK', url, events: ['pushed'], queue })
      await client.ok({ cmd: 'PUSH', queue, data: 1 })
    }
    const attempts = (text: Exposition): Record<string, number> =>
      Object.fromEntries(
        text
          .samples('flashq_webhook_attempts_total')
          .map(({ labels, value }) => [labels['outcome'], value]),
      )
    const due = { delivered: 1, retried: 2, given_up: 1, gone: 1 }
    const text = await scraped(http, 'all are over', (scrape) => {
      const isDisabled = scrape.value('flashq_webhooks', { state: 'disabled' }) === 1
      return isDisabled && scrape.value('flashq_webhook_outbox') === 0
    })
    expect(attempts(text)).toEqual(due)
    expect(text.value('flashq_webhooks', { state: 'enabled' })).toBe(2)
    expect(text.value('flashq_webhook_events_dropped_total')).toBe(0)
    const url = `http://127.0.0.1:${receiver.port}/hangs`
    await client.ok({ cmd: 'WEBHOOK', url, events: ['pushed'], queue: 'hangs' })
    for (let n = 0; n < 6; n++) await client.ok({ cmd: 'PUSH', queue: 'hangs', data: n })
    const busy = await scraped(
      http,
      'as many as may be are under way',
      (scrape) => scrape.value('flashq_webhook_attempts_in_flight') === 4,
    )
    expect(busy.value('flashq_webhook_outbox')).toBe(6)
    expect(attempts(busy)).toEqual(due)
  })
})
