// Events over WebSocket: who may connect, what they hear, and what becomes of those who send what they should not.

import { connect, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import WebSocket from 'ws'
import { EventClient } from '../support/event-client.ts'
import { eventually } from '../support/eventually.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'

const HTTP = { HTTP: '1', HTTP_PORT: '0' }
const WITHIN_MS = 10_000

interface Heard {
  readonly socket: WebSocket
  readonly messages: Record<string, unknown>[]
  code: number
}

/** Null: it was refused, and `refusal` says how. */
async function open(
  server: ServerProcess,
  path: string,
  protocols: string[] = [],
  options: WebSocket.ClientOptions = {},
): Promise<Heard | { refusal: string }> {
  const socket = new WebSocket(`ws://127.0.0.1:${server.httpPort}${path}`, protocols, options)
  const heard: Heard = { socket, messages: [], code: 0 }
  socket.on('message', (data) => heard.messages.push(JSON.parse(String(data))))
  socket.on('close', (code) => {
    heard.code = code
  })
  onTestFinished(() => socket.terminate())
  return new Promise((resolve, reject) => {
    socket.on('open', () => resolve(heard))
    socket.on('error', (error) => {
      if (heard.code === 0) reject(error)
    })
    socket.on('unexpected-response', (_request, answer) => {
      let text = ''
      answer.on('data', (piece) => {
        text += piece
      })
      answer.on('end', () => resolve({ refusal: `${answer.statusCode} ${text}` }))
    })
  })
}

async function opened(server: ServerProcess, path = '/ws'): Promise<Heard> {
  const heard = await open(server, path)
  if ('refusal' in heard) throw new Error(heard.refusal)
  return heard
}

/** After the handshake, by hand; what comes back gathers in `got`. */
async function raw(
  server: ServerProcess,
  headers = '',
): Promise<{ socket: Socket; got: () => Buffer; isClosed: () => boolean }> {
  const socket = connect(server.httpPort, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  let got = Buffer.alloc(0)
  let isClosed = false
  socket.on('data', (piece) => {
    got = Buffer.concat([got, piece])
  })
  socket.on('error', () => undefined)
  socket.on('close', () => {
    isClosed = true
  })
  socket.write(
    `GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${headers}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  )
  await eventually('the handshake is over', WITHIN_MS, () => got.includes('\r\n\r\n') || isClosed)
  return { socket, got: () => got, isClosed: () => isClosed }
}

/** A frame of a client, masked with zeros unless it should not be. */
function frame(first: number, payload: Buffer, masked = true): Buffer {
  const { length } = payload
  const bit = masked ? 0x80 : 0
  const head =
    length < 126
      ? Buffer.from([first, bit | length])
      : length < 65536
        ? Buffer.from([first, bit | 126, length >> 8, length & 255])
        : Buffer.from([
            first,
            bit | 127,
            0,
            0,
            0,
            0,
            length >>> 24,
            (length >> 16) & 255,
            (length >> 8) & 255,
            length & 255,
          ])
  return Buffer.concat([head, Buffer.alloc(masked ? 4 : 0), payload])
}

const closeCodeIn = (bytes: Buffer): number => {
  const at = bytes.indexOf(Buffer.from([0x88]), bytes.indexOf('\r\n\r\n') + 4)
  return at < 0 ? 0 : bytes.readUInt16BE(at + 2)
}

async function pushes(server: ServerProcess, ...queues: string[]): Promise<void> {
  const client = await server.client()
  for (const queue of queues) {
    client.send({ cmd: 'PUSH', queue, data: { queue } })
    await client.line()
  }
}

describe('a WebSocket', () => {
  it('hears the events of every worker, of all queues or of one, as one text message each', async () => {
    const server = await startServer(HTTP)
    const queues = Array.from({ length: 8 }, (_, i) => `q${i}`)
    const all = [await opened(server), await opened(server)]
    const one = await opened(server, '/ws/q3')
    const ends = await opened(server, '/ws?types=completed')
    await pushes(server, ...queues)
    for (const { messages } of all) {
      await eventually('all are there', WITHIN_MS, () => messages.length === queues.length)
      expect(messages.map(({ queue }) => queue).sort()).toEqual(queues)
      expect(messages[0]).toMatchObject({ event_type: 'pushed', timestamp: expect.any(Number) })
      expect(messages[0]?.['data']).toEqual({ queue: messages[0]?.['queue'] })
    }
    await eventually('its one is there', WITHIN_MS, () => one.messages.length === 1)
    expect(one.messages[0]).toMatchObject({ queue: 'q3' })
    expect(ends.messages).toEqual([])
  })

  it('takes a token in a header, in a subprotocol or in the query, and refuses a wrong one', async () => {
    const server = await startServer({ ...HTTP, AUTH_TOKENS: 'right-token' })
    const refused = { refusal: '401 Invalid or missing token' }
    expect(await open(server, '/ws')).toEqual(refused)
    expect(await open(server, '/ws?token=wrong')).toEqual(refused)
    expect(await open(server, '/ws', ['flashq', 'flashq.bearer.wrong'])).toEqual(refused)
    expect(await open(server, '/ws', [], { headers: { authorization: 'Bearer wrong' } })).toEqual(
      refused,
    )
    const byQuery = await open(server, '/ws?token=right-token')
    const byHeader = await open(server, '/ws', [], {
      headers: { authorization: 'Bearer right-token' },
    })
    const byProtocol = await open(server, '/ws', ['flashq', 'flashq.bearer.right%2Dtoken'])
    for (const heard of [byQuery, byHeader, byProtocol]) expect(heard).not.toHaveProperty('refusal')
    // The token is not said back.
    if ('socket' in byProtocol) expect(byProtocol.socket.protocol).toBe('flashq')
  })

  it('is refused to pages of other origins, and to nobody else', async () => {
    const server = await startServer(HTTP)
    const from = (origin: string): Promise<Heard | { refusal: string }> =>
      open(server, '/ws', [], { origin })
    for (const origin of [
      'https://evil.example',
      'null',
      `http://127.0.0.1:${server.httpPort}.evil.example`,
    ]) {
      const heard = await from(origin)
      expect('refusal' in heard ? heard.refusal.slice(0, 3) : 'open').toBe('403')
    }
    expect(await from(`http://127.0.0.1:${server.httpPort}`)).not.toHaveProperty('refusal')
    expect(await open(server, '/ws')).not.toHaveProperty('refusal')
  })

  it('is refused where the path, the queue or the type is none', async () => {
    const server = await startServer(HTTP)
    const status = async (path: string): Promise<string> => {
      const heard = await open(server, path)
      return 'refusal' in heard ? heard.refusal.slice(0, 3) : 'open'
    }
    expect(await status('/other')).toBe('404')
    expect(await status('/ws/a/b')).toBe('404')
    expect(await status('/ws/a%20b')).toBe('400')
    expect(await status('/ws/%ff')).toBe('400')
    expect(await status('/ws?types=all')).toBe('400')
  })

  it('answers pings, and does not heed what is said', async () => {
    const server = await startServer(HTTP)
    const heard = await opened(server)
    const ponged = new Promise((resolve) =>
      heard.socket.on('pong', (data) => resolve(String(data))),
    )
    heard.socket.send('{"subscribe":"everything"}')
    heard.socket.send(Buffer.from([1, 2, 3]))
    heard.socket.ping('here?')
    expect(await ponged).toBe('here?')
    await pushes(server, 'q')
    await eventually('it hears events', WITHIN_MS, () => heard.messages.length === 1)
  })

  it('is closed when the server is stopped', async () => {
    const server = await startServer(HTTP)
    const heard = await opened(server)
    expect((await server.stop()).code).toBe(0)
    await eventually('it is closed', WITHIN_MS, () => heard.code !== 0)
    expect(heard.code).toBe(1001)
  })
})

describe('hostile frames', () => {
  it.each([
    ['a message of 65 KiB', 1009, [frame(0x81, Buffer.alloc(65 * 1024, 97))]],
    [
      'fragments without end',
      1008,
      Array.from({ length: 100 }, (_, i) => frame(i === 0 ? 0x01 : 0x00, Buffer.from('a'))),
    ],
    [
      'fragments that are too long together',
      1009,
      Array.from({ length: 20 }, (_, i) => frame(i === 0 ? 0x01 : 0x00, Buffer.alloc(4096, 97))),
    ],
    ['a frame that is not masked', 1002, [frame(0x81, Buffer.from('a'), false)]],
    ['reserved bits', 1002, [frame(0xf1, Buffer.from('a'))]],
    ['an opcode that is none', 1002, [frame(0x83, Buffer.from('a'))]],
    ['text that is not UTF-8', 1007, [frame(0x81, Buffer.from([0xc0, 0xaf]))]],
    [
      'a thousand pings at once',
      1008,
      Array.from({ length: 1000 }, () => frame(0x89, Buffer.from('p'))),
    ],
    [
      'a thousand messages at once',
      1008,
      Array.from({ length: 1000 }, () => frame(0x81, Buffer.from('m'))),
    ],
    ['a compressed message', 1002, [frame(0xc1, Buffer.from('a'))]],
  ])('%s: closed, and the server goes on', async (_what, code, frames) => {
    const server = await startServer(HTTP)
    const { socket, got, isClosed } = await raw(
      server,
      'Sec-WebSocket-Extensions: permessage-deflate\r\n',
    )
    expect(got().toString('latin1')).toMatch(/^HTTP\/1.1 101 /)
    expect(got().toString('latin1').toLowerCase()).not.toContain('sec-websocket-extensions')
    for (const each of frames) socket.write(each)
    await eventually('it is closed', WITHIN_MS, isClosed)
    expect(closeCodeIn(got())).toBe(code)
    await opened(server)
    expect(server.log.filter(({ level }) => level === 'error')).toEqual([])
  })

  it('a handshake that is none is refused', async () => {
    const server = await startServer(HTTP)
    const { got } = await raw(server, 'Sec-WebSocket-Version: 7\r\n')
    expect(got().toString('latin1')).toMatch(/^HTTP\/1.1 400 /)
  })

  it('more streams than one client may have are refused, and there is room when some have gone', async () => {
    const server = await startServer({ ...HTTP, WORKERS: '1' })
    const streams: Heard[] = []
    for (let i = 0; i < 100; i++) streams.push(await opened(server))
    const more = await open(server, '/ws')
    expect('refusal' in more ? more.refusal : 'open').toMatch(/^429 .*quota_exceeded/)
    const sse = await EventClient.open({ port: server.httpPort })
    expect(sse.status).not.toBe(200)
    for (const { socket } of streams.splice(0, 10)) socket.close()
    await eventually(
      'there is room again',
      WITHIN_MS,
      async () => !('refusal' in (await open(server, '/ws'))),
    )
  })
})
