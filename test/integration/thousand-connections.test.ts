// A thousand clients of a door at once: none is refused or cut off, each is served, memory stays bounded, and when they
// have gone nothing of them is left in the counters. (gRPC has its own.)

import { writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import { EventClient } from '../support/event-client.ts'
import { eventually } from '../support/eventually.ts'
import { HttpReader } from '../support/http-reader.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { residentBytes, SharedServer } from '../support/shared-server.ts'
import { WireClient } from '../support/wire-client.ts'

const COUNT = 1000
const WITHIN_MS = 30_000
/** Of a connection, what the kernel has for it left out: buffers, objects of Node, a session. */
const BYTES_EACH = 64 * 1024

const unix = join(scratchFolder(), 'q.sock')
/** A worker takes a hundred streams of a token: with six the streams fit only when both have their part of each. */
const TOKENS = Array.from({ length: 6 }, (_, n) => `token-${n}`)
const file = join(scratchFolder(), 'tokens.json')
const scopes = ['read', 'produce', 'consume', 'admin']
const entries = TOKENS.map((token) => ({ name: token, token, scopes }))
writeFileSync(file, JSON.stringify({ tokens: entries }), { mode: 0o600 })
const headers = { authorization: `Bearer ${TOKENS[0]}` }
const server = new SharedServer({
  ...{ HTTP: '1', HTTP_PORT: '0', WORKERS: '2', UNIX_SOCKET: unix },
  // All of them come from one address, and say who they are one after the other.
  ...{ AUTH_FILE: file, UNAUTHENTICATED_MAX: '2000' },
})

/** Connections that the server counts at a door; its own probes and the asking one are gone or at HTTP. */
async function counted(door: string): Promise<number> {
  const metrics = await new HttpReader(server.process).metrics(headers)
  return metrics.sum('flashq_connections', { door })
}

afterEach(async () => {
  for (const door of ['tcp', 'unix']) {
    await eventually(
      `no connection of ${door} is left`,
      WITHIN_MS,
      async () => (await counted(door)) === 0,
    )
  }
  // The one that asks.
  await eventually(
    'no other connection of http is left',
    WITHIN_MS,
    async () => (await counted('http')) <= 1,
  )
  const metrics = await new HttpReader(server.process).metrics(headers)
  expect(metrics.sum('flashq_connections_refused_total')).toBe(0)
  expect(server.process.log.filter(({ level }) => level === 'error')).toEqual([])
})

const grown = (before: number): number => residentBytes(server.process) - before

const every = <T>(make: (n: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: COUNT }, (_, n) => make(n)))

describe.each(['tcp', 'unix'] as const)('a thousand connections of %s', (door) => {
  it('each push, pull and ack, and leave nothing behind', async () => {
    const where =
      door === 'unix' ? { path: unix } : { host: '127.0.0.1', port: server.process.port }
    const before = residentBytes(server.process)
    const clients = await every(async (n) => {
      const client = await WireClient.open(where)
      await client.ok({ cmd: 'AUTH', token: TOKENS[n % TOKENS.length] })
      return client
    })
    expect(await counted(door)).toBe(COUNT)
    const queue = `of-${door}`
    const pushed = await Promise.all(clients.map((client, n) => client.push(queue, n)))
    const pulled = await Promise.all(clients.map((client) => client.pull(queue)))
    expect(new Set(pulled.map(({ id }) => id))).toEqual(new Set(pushed))
    await Promise.all(clients.map((client, n) => client.ok({ cmd: 'ACK', id: pulled[n]?.id })))
    expect(grown(before)).toBeLessThan(COUNT * BYTES_EACH)
    for (const client of clients) client.lines.socket.end()
    await Promise.all(clients.map(({ lines }) => lines.ended))
  })
})

/** One connection, kept. */
class KeptHttp {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 1 })

  constructor() {
    onTestFinished(() => this.agent.destroy())
  }

  ask(method: string, path: string, body?: string): Promise<{ data: unknown; port: number }> {
    return new Promise((resolve, reject) => {
      const options = {
        host: '127.0.0.1',
        port: server.process.httpPort,
        method,
        path,
        agent: this.agent,
      }
      const type = body === undefined ? {} : { 'content-type': 'application/json' }
      const asked = request({ ...options, headers: { ...headers, ...type } }, (answer) => {
        let text = ''
        answer.on('data', (piece) => {
          text += piece
        })
        const port = answer.socket.localPort ?? 0
        answer.on('end', () => {
          if (answer.statusCode === 200) resolve({ data: JSON.parse(text).data, port })
          else reject(new Error(`${answer.statusCode} ${text}`))
        })
      })
      asked.on('error', reject)
      asked.end(body)
    })
  }

  close(): void {
    this.agent.destroy()
  }
}

it('a thousand connections of HTTP each push, pull and ack, and leave nothing behind', async () => {
  const before = residentBytes(server.process)
  const clients = await every(() => Promise.resolve(new KeptHttp()))
  const pushed = await Promise.all(
    clients.map((client, n) => client.ask('POST', '/queues/of-http/jobs', `{"data":${n}}`)),
  )
  expect(await counted('http')).toBeGreaterThanOrEqual(COUNT)
  const pulled = await Promise.all(
    clients.map((client) => client.ask('GET', '/queues/of-http/jobs?timeout=60000')),
  )
  const ids = pulled.map(({ data }) => (data as { id: number }[])[0]?.id)
  expect(new Set(ids)).toEqual(new Set(pushed.map(({ data }) => (data as { id: number }).id)))
  const acked = await Promise.all(
    clients.map((client, n) => client.ask('POST', `/jobs/${ids[n]}/ack`)),
  )
  // On the connection that they came with.
  expect(acked.map(({ port }) => port)).toEqual(pushed.map(({ port }) => port))
  expect(grown(before)).toBeLessThan(COUNT * BYTES_EACH)
  for (const client of clients) client.close()
})

it('a thousand streams, spread over the workers, all hear an event, and leave nothing behind', async () => {
  const before = residentBytes(server.process)
  const streams: EventClient[] = []
  // One after the other: so they are handed out in turn.
  for (let n = 0; n < COUNT; n++) {
    const authorization = `Bearer ${TOKENS[Math.floor((n * TOKENS.length) / COUNT)]}`
    streams.push(
      await EventClient.open({ port: server.process.httpPort, headers: { authorization } }),
    )
  }
  expect(streams.map(({ status }) => status)).toEqual(streams.map(() => 200))
  expect(await counted('http')).toBeGreaterThanOrEqual(COUNT)
  const client = await server.client()
  await client.ok({ cmd: 'AUTH', token: TOKENS[0] })
  const ids = [await client.push('heard', 1), await client.push('heard-too', 2)]
  for (const stream of streams) {
    await stream.until('both are heard', ({ jobs }) => jobs.length === ids.length, WITHIN_MS)
    expect([...stream.jobs].sort()).toEqual([...ids].sort())
  }
  expect(grown(before)).toBeLessThan(COUNT * BYTES_EACH)
  for (const stream of streams) stream.close()
  client.lines.socket.end()
})
