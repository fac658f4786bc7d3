// Frames of WebSockets by hand (RFC 6455, 5.2), good and bad. Bytes as strings, a character for each.

import type { Random } from '../chaos/random.ts'

export interface ServerFrame {
  readonly opcode: number
  readonly payload: string
  /** Of a close: 1005 when it has none, as in the RFC. Else 0. */
  readonly code: number
}

/** Masked with zeros. `first`: FIN, the reserved bits and the opcode. */
export function clientFrame(first: number, payload: string): string {
  const { length } = payload
  const two = String.fromCharCode(length >> 8, length & 255)
  const size = length < 126 ? String.fromCharCode(0x80 | length) : `\xfe${two}`
  return `${String.fromCharCode(first)}${size}\0\0\0\0${payload}`
}

/** What a server of events may send: whole texts that are JSON, pings, pongs and a close, behind which nothing is. */
export function serverFrames(bytes: string): ServerFrame[] {
  const frames: ServerFrame[] = []
  let at = 0
  while (at < bytes.length) {
    if (frames.at(-1)?.opcode === 8) throw new Error('something behind a close')
    const { frame, to } = frameAt(Buffer.from(bytes.slice(at), 'latin1'))
    check(frame)
    frames.push(frame)
    at += to
  }
  return frames
}

function frameAt(bytes: Buffer): { frame: ServerFrame; to: number } {
  const [first = 0, second = 0] = bytes
  if ((first & 0xf0) !== 0x80) throw new Error(`a frame that begins with ${first}`)
  const from = second < 126 ? 2 : second === 126 ? 4 : 10
  const length =
    second < 126
      ? second
      : second === 126
        ? bytes.readUInt16BE(2)
        : Number(bytes.readBigUInt64BE(2))
  const to = from + length
  if (second > 127 || to > bytes.length) throw new Error('a masked frame, or one cut off')
  const opcode = first & 15
  const payload = bytes.subarray(from, to)
  const code = opcode !== 8 ? 0 : length === 0 ? 1005 : payload.readUInt16BE(0)
  return { frame: { opcode, payload: payload.toString(), code }, to }
}

function check({ opcode, payload, code }: ServerFrame): void {
  if (![1, 8, 9, 10].includes(opcode)) throw new Error(`opcode ${opcode}`)
  if (opcode === 1) JSON.parse(payload)
  if (opcode === 8 && (code < 1000 || code > 4999 || code === 1006 || code === 1015)) {
    throw new Error(`close code ${code}`)
  }
}

/** One to six frames, most of them odd in some way. */
export function mutatedFrames(random: Random): string {
  let text = ''
  for (let n = random.between(1, 6); n > 0; n--) text += frame(random)
  if (!random.chance(0.2)) return text
  const at = random.below(text.length)
  return text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + 1)
}

function frame(random: Random): string {
  const payload = random.pick([
    '',
    'a',
    '{"a":1}',
    '\xc3\xa9',
    '\xc3',
    '\xff\xfe',
    '\x03\xe8',
    '\x03\xe8bye',
    '\x03\xee',
    'x'.repeat(125),
    'x'.repeat(126),
    'x'.repeat(5000),
  ])
  const opcode = random.chance(0.8) ? random.pick([0, 1, 1, 1, 2, 9, 10, 8]) : random.below(16)
  const fin = random.chance(0.8) ? 0x80 : 0
  const reserved = random.chance(0.1) ? random.pick([0x10, 0x20, 0x40, 0x70]) : 0
  const first = fin | reserved | opcode
  const way = random.below(12)
  // Not masked; a long length for little; a length that is not there.
  if (way === 0) return String.fromCharCode(first, payload.length & 0x7f) + payload
  if (way === 1) return `${String.fromCharCode(first)}\xfe\0\x01\0\0\0\0a`
  if (way === 2)
    return `${String.fromCharCode(first)}\xff${random.pick(['\0\0\0\0\0\x01\0\0', '\x7f\xff\xff\xff\xff\xff\xff\xff', '\0\0\0\0\0\0\0\x01'])}\0\0\0\0`
  return clientFrame(first, payload)
}

const PATHS = [
  '/ws',
  '/ws',
  '/ws',
  '/ws/q',
  '/ws/',
  '/ws/%ff',
  '/ws/a%20b',
  '/ws/a/b',
  '//ws',
  '/wsx',
  '/',

  '/ws/%00',
  '/ws?types=all',
  '/ws?queues=a,b',
  '/ws?queues=%ff',
  '/ws?token=%',
  '/ws?types=pushed&types=x',
  '*',
  'http://localhost/ws',
  '/ws//',
  '//',
  '/ws?%',
]
const HEADERS = [
  'Host: localhost',
  'Origin: null',
  'Origin: http://[',
  'Sec-WebSocket-Protocol: ,',
  'Sec-WebSocket-Protocol: a, a',
  'Sec-WebSocket-Protocol: flashq.bearer.%ff',
  'Sec-WebSocket-Extensions: permessage-deflate; x="',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 8',
  'Content-Length: 3',
  'Transfer-Encoding: chunked',
  'Upgrade: h2c',
  'Expect: dinner',
  'Authorization: \xff',
]

/** A request for a WebSocket with something about it changed. */
export function mutatedHandshake(random: Random): string {
  const lines = [
    'Host: localhost',
    `Connection: ${random.chance(0.9) ? 'Upgrade' : random.pick(['upgrade, close', 'keep-alive', 'Upgrade;', ''])}`,
    `Upgrade: ${random.chance(0.9) ? 'websocket' : random.pick(['WebSocket', 'websocket, h2c', 'h2c', ''])}`,
    `Sec-WebSocket-Version: ${random.chance(0.8) ? '13' : random.pick(['7', '0', '13, 8', 'x', '1e1'])}`,
    `Sec-WebSocket-Key: ${random.chance(0.8) ? 'dGhlIHNhbXBsZSBub25jZQ==' : random.pick(['', 'x', 'dGhl', '='.repeat(24)])}`,
  ]
  if (random.chance(0.2)) lines.splice(random.below(lines.length), 1)
  if (random.chance(0.4)) lines.splice(random.below(lines.length + 1), 0, random.pick(HEADERS))
  const method = random.chance(0.93) ? 'GET' : random.pick(['POST', 'PUT', 'OPTIONS', 'TRACE'])
  const path = random.pick(PATHS)
  return `${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`
}
