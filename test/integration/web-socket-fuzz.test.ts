// The WebSocket door under handshakes and frames that no client sends: a handshake is refused in HTTP, what follows one is
// answered with frames as RFC 6455 has them or the end of the connection; and others are served all the while.
// A failure names its seed; CHAOS_SEED=n runs it again.

import { afterEach, describe, expect, it } from 'vitest'
import { Random } from '../chaos/random.ts'
import { seedsOf } from '../chaos/seeds.ts'
import { HttpClient, RawHttp } from '../support/http-client.ts'
import { envelopeOf, readResponses } from '../support/http-responses.ts'
import { SharedServer } from '../support/shared-server.ts'
import {
  clientFrame,
  mutatedFrames,
  mutatedHandshake,
  serverFrames,
} from '../support/web-socket-bytes.ts'

const CASES = 200
const AT_ONCE = 20
const HANDSHAKE = `GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`

const server = new SharedServer({ HTTP: '1', HTTP_PORT: '0', WORKERS: '1' })
const open = (text: string): RawHttp => new RawHttp(server.process.httpPort).send(text)

afterEach(() => {
  expect(server.process.log.filter(({ level }) => level === 'error')).toEqual([])
  expect(server.process.log.filter(({ msg }) => msg === 'worker started')).toHaveLength(1)
})

/** One that is well-behaved: it is let in, hears an event, and is closed as it asks. */
async function served(): Promise<void> {
  const peer = open(HANDSHAKE)
  await peer.answer('\r\n\r\n')
  await new HttpClient(server.process.httpPort).post('/queues/good/jobs', { data: 1 })
  await peer.answer('"event_type":"pushed"')
  peer.send(clientFrame(0x88, '\x03\xe8'))
  expect(framesIn(await peer.closed()).at(-1)).toMatchObject({ opcode: 8, code: 1000 })
}

function framesIn(text: string): ReturnType<typeof serverFrames> {
  return serverFrames(text.slice(text.indexOf('\r\n\r\n') + 4))
}

function checkAnswer(text: string): void {
  if (text.startsWith('HTTP/1.1 101 ')) return void framesIn(text)
  for (const response of readResponses(text)) {
    if (response.status >= 500 || response.status < 200) throw new Error(`${response.status}`)
    if (response.status >= 400) envelopeOf(response)
  }
}

async function fuzz(seed: number, make: (random: Random) => string[]): Promise<string[]> {
  const random = new Random(seed)
  const all: string[] = []
  for (let from = 0; from < CASES; from += AT_ONCE) {
    const cases = Array.from({ length: AT_ONCE }, () => make(random))
    const peers = cases.map(([first = '']) => open(first))
    // In the same turn as its handshake, or later: the second piece follows an answer.
    await Promise.all(peers.map((peer) => peer.connected()))
    await new HttpClient(server.process.httpPort).get('/stats')
    for (const [n, [, rest = '']] of cases.entries()) peers[n]?.send(rest)
    await served()
    for (const { socket } of peers) socket.end()
    const answers = await Promise.all(peers.map((peer) => peer.closed()))
    for (const [n, answer] of answers.entries()) {
      try {
        checkAnswer(answer)
      } catch (error) {
        const shown = JSON.stringify([cases[n], answer.slice(0, 2000)])
        throw new Error(`seed ${seed}: ${String(error)}, sent and got ${shown}`)
      }
    }
    all.push(...answers)
  }
  return all
}

describe.each(seedsOf(2))('with seed %i', (seed) => {
  it('frames are answered with frames, or end the connection', async () => {
    const answers = await fuzz(seed, (random) => {
      const frames = mutatedFrames(random)
      return random.chance(0.2) ? [HANDSHAKE + frames] : [HANDSHAKE, frames]
    })
    expect(answers.every((answer) => answer.startsWith('HTTP/1.1 101 '))).toBe(true)
    const codes = new Set(answers.flatMap((answer) => framesIn(answer).map(({ code }) => code)))
    for (const code of [1002, 1007]) expect(codes, `${code}`).toContain(code)
  })

  it('handshakes are refused in the envelope, or succeed', async () => {
    const answers = await fuzz(seed, (random) => [mutatedHandshake(random)])
    const statuses = new Set(answers.map((answer) => answer.slice(9, 12)))
    for (const status of ['101', '400', '404']) expect(statuses, status).toContain(status)
  })
})

describe('the end of a connection has its code', () => {
  const close = (payload: string): string => clientFrame(0x88, payload)
  it.each([
    ['a ping of 126 bytes', clientFrame(0x89, 'p'.repeat(126)), 1002],
    ['a ping in fragments', clientFrame(0x09, 'p'), 1002],
    ['a close of 126 bytes', close(`\x03\xe8${'r'.repeat(124)}`), 1002],
    ['a close in fragments', clientFrame(0x08, '\x03\xe8'), 1002],
    ['a close of one byte', close('\x03'), 1002],
    ['a close with 999', close('\x03\xe7'), 1002],
    ['a close with 1004, which means nothing', close('\x03\xec'), 1002],
    ['a close with 1005, which is never sent', close('\x03\xed'), 1002],
    ['a close with 1006, which is never sent', close('\x03\xee'), 1002],
    ['a close with 1015, which is never sent', close('\x03\xf7'), 1002],
    ['a close with 5000', close('\x13\x88'), 1002],
    ['a close whose reason is not UTF-8', close('\x03\xe8\xc0\xaf'), 1007],
    ['a close with 4000, which is the client’s own', close('\x0f\xa0'), 4000],
    ['a close without a code', close(''), 1005],
    ['a fragment that continues nothing', clientFrame(0x80, 'a'), 1002],
    ['a text within a text', clientFrame(0x01, 'a') + clientFrame(0x81, 'b'), 1002],
    [
      'a ping within a text, and its end',
      `${clientFrame(0x01, 'a')}${clientFrame(0x89, 'p')}${clientFrame(0x80, 'b')}${close('\x03\xe8')}`,
      1000,
    ],
    [
      'UTF-8 that is wrong only when put together',
      clientFrame(0x01, '\xc3') + clientFrame(0x80, 'a'),
      1007,
    ],
    ['RSV2', clientFrame(0xa1, 'a'), 1002],
    ['an opcode of control that is none', clientFrame(0x8b, 'a'), 1002],
    ['no mask', '\x81\x01a', 1002],
    ['a length of 2^63', '\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00', 1009],
    ['a length of 65,537', '\x81\xff\x00\x00\x00\x00\x00\x01\x00\x01', 1009],
  ])('%s', async (_what, frames, code) => {
    const peer = open(HANDSHAKE)
    await peer.answer('\r\n\r\n')
    expect(framesIn(await peer.send(frames).closed()).at(-1)).toMatchObject({ opcode: 8, code })
    await served()
  })
})

it('an upgrade to what is not spoken here is a request like any other, and its connection stays', async () => {
  const upgrade = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEA\r\n'
  const body = '{"data":"h2c"}'
  const push = `POST /queues/h2c/jobs HTTP/1.1\r\nHost: localhost\r\n${upgrade}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`
  const peer = open(push)
  await peer.connected()
  peer.send(body)
  await peer.answer('"ok":true')
  peer.send(push + body)
  await peer.answer('"ok":true', 2)
  const gone = 'GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
  const responses = readResponses(await peer.send(gone).closed())
  expect(responses.map(({ status }) => status)).toEqual([200, 200, 404])
  const http = new HttpClient(server.process.httpPort)
  const pulled = await http.get('/queues/h2c/jobs?count=10&timeout=0')
  expect((pulled.json.data as { data: string }[]).map(({ data }) => data)).toEqual(['h2c', 'h2c'])
})

it('a hundred upgrades to what is not spoken here are answered, and the last one ends its connection', async () => {
  const wish =
    'GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'
  const peer = open(wish)
  for (let times = 1; times < 100; times++) {
    await peer.answer('HTTP/1.1 200', times)
    peer.send(wish)
  }
  const responses = readResponses(await peer.closed())
  expect(responses.map(({ status }) => status)).toEqual(Array(100).fill(200))
})

it('an upgrade behind a request that waits for its answer is refused, and the answer comes first', async () => {
  const text = `GET /queues/before/jobs?timeout=60000 HTTP/1.1\r\nHost: localhost\r\n\r\n${HANDSHAKE}`
  const peer = open(text)
  await peer.connected()
  await new HttpClient(server.process.httpPort).post('/queues/before/jobs', { data: 'first' })
  const [pulled, refused] = readResponses(await peer.closed())
  expect(pulled?.body).toContain('"data":"first"')
  expect(refused && envelopeOf(refused)).toMatchObject({ code: 'bad_request' })
})
