// What a broken or malicious peer of the gRPC door may send: bytes below HTTP/2, and calls that are wrong in some way.

import { connect } from 'node:http2'
import { Duplex } from 'node:stream'
import fc from 'fast-check'
import { methods, processJobs, streamJobs, subscribe } from '../../src/transports/grpc/methods.ts'
import { eventually } from './eventually.ts'
import { packageDefinition } from './grpc-client.ts'
import { callHeaders, callMessage } from './grpc-raw.ts'

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const SETTINGS = Buffer.from('000000040000000000', 'hex')
const WITHIN_MS = 10_000

const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength }).map((each) => Buffer.from(each))

/** A whole message that is good for Push, and of use to no other call. */
function pushMessage(data: string): Buffer {
  const service = packageDefinition['flashq.QueueService'] as unknown as {
    Push: { requestSerialize(value: object): Buffer }
  }
  const request = { queue: 'shot', data: Buffer.from(data), priority: -1, tags: ['a', 'é'] }
  return service.Push.requestSerialize({ ...request, unique_key: 'k', delay_ms: 3_600_000 })
}

/** All that a client sends to push a job: preface, settings, headers, data. */
export async function goodConversation(): Promise<Buffer> {
  const sent: Buffer[] = []
  const wire = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _, done) => {
      sent.push(chunk)
      done()
    },
  })
  const session = connect('http://127.0.0.1', { createConnection: () => wire })
  session.on('error', () => undefined)
  const message = callMessage(pushMessage('{"n":1}'))
  const stream = session.request(callHeaders('/flashq.QueueService/Push'))
  stream.on('error', () => undefined)
  stream.end(message)
  await eventually('it is sent', WITHIN_MS, () => Buffer.concat(sent).includes(message))
  session.destroy()
  return Buffer.concat(sent)
}

/** A conversation that was cut, changed, repeated or interrupted somewhere. */
export const brokenConversation = (good: Buffer): fc.Arbitrary<Buffer> => {
  const at = fc.nat(good.length - 1)
  const cut = at.map((to) => good.subarray(0, to))
  const changed = fc
    .array(fc.tuple(at, fc.nat(255)), { minLength: 1, maxLength: 8 })
    .map((changes) => {
      const copy = Buffer.from(good)
      for (const [place, byte] of changes) copy[place] = byte
      return copy
    })
  const repeated = fc
    .tuple(at, at)
    .map(([from, to]) => Buffer.concat([good, good.subarray(from, to), good.subarray(to)]))
  const interrupted = fc
    .tuple(at, bytes(64))
    .map(([place, junk]) => Buffer.concat([good.subarray(0, place), junk, good.subarray(place)]))
  return fc.oneof(cut, changed, repeated, interrupted)
}

/** Frames of any kind, whose lengths may be lies. */
const frame = fc
  .record({
    type: fc.nat(15),
    flags: fc.nat(255),
    stream: fc.oneof(fc.nat(5), fc.nat(2 ** 31 - 1)),
    payload: bytes(80),
    lie: fc.option(fc.oneof(fc.nat(100), fc.constant(2 ** 24 - 1)), { freq: 4 }),
  })
  .map(({ type, flags, stream, payload, lie }) => {
    const head = Buffer.alloc(9)
    head.writeUIntBE(lie ?? payload.length, 0, 3)
    head[3] = type
    head[4] = flags
    head.writeUInt32BE(stream, 5)
    return Buffer.concat([head, payload])
  })

export const randomFrames = fc
  .tuple(fc.boolean(), fc.array(frame, { minLength: 1, maxLength: 10 }))
  .map(([hasSettings, frames]) =>
    Buffer.concat([PREFACE, ...(hasSettings ? [SETTINGS] : []), ...frames]),
  )

/** With and without a good beginning. */
export const randomBytes = fc
  .tuple(fc.nat(PREFACE.length), bytes(400))
  .map(([kept, junk]) => Buffer.concat([PREFACE.subarray(0, kept), junk]))

export interface Shot {
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** The call's half is ended. */
  readonly ends: boolean
}

const paths = [...methods, streamJobs, processJobs, subscribe].map(
  ({ name }) => `/flashq.QueueService/${name}`,
)
const path = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...paths) },
  fc.constantFrom('/grpc.health.v1.Health/Check', '/grpc.health.v1.Health/Watch'),
  fc.constantFrom('/', '/flashq.QueueService', '/flashq.QueueService/', '//x', '/é', '/%00', '*'),
  fc.string({ unit: 'grapheme-ascii', maxLength: 40 }).map((text) => `/${text}`),
)

/** Absent as often as not. */
const maybe = (...values: string[]): fc.Arbitrary<string | undefined> =>
  fc.option(fc.constantFrom(...values), { nil: undefined, freq: 2 })

const headers = fc
  .record({
    ':path': path,
    ':method': fc.oneof(
      { weight: 6, arbitrary: fc.constant('POST') },
      fc.constantFrom('GET', 'PUT', 'HEAD', 'OPTIONS'),
    ),
    'content-type': fc.oneof(
      { weight: 6, arbitrary: fc.constant('application/grpc') },
      maybe('application/grpc+json', 'application/grpc;x', 'application/json', 'text/plain', 'x'),
    ),
    te: maybe('trailers'),
    'grpc-timeout': maybe('1S', '99999999H', '0n', '-1S', '1', 'S', '123456789S'),
    'grpc-encoding': maybe('gzip', 'deflate', 'identity', 'br', 'x'),
    'x-some-bin': maybe('AAEC', '====', 'no base64', ','),
    'flashq-consumer': maybe('a', 'x'.repeat(200), ' '),
    authorization: maybe('Bearer x', 'Bearer', 'x'),
    queue: maybe('q', 'a b', ''),
    prefetch: maybe('1', '-1', 'x', '99999999999'),
  })
  .map((fields) => Object.fromEntries(Object.entries(fields).filter(([, text]) => text)))

const good = pushMessage('{"n":[1,2,3]}')
const message = fc.oneof(
  bytes(300),
  fc.nat(good.length).map((to) => good.subarray(0, to)),
  fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 5 }).map((changes) => {
    const copy = Buffer.from(good)
    for (const [place, byte] of changes) copy[place] = byte
    return copy
  }),
)

const part = fc
  .record({
    flag: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.constantFrom(1, 2, 255)),
    message,
    declared: fc.oneof(
      { weight: 4, arbitrary: fc.constant(-1) },
      fc.constantFrom(0, 2 ** 22, 2 ** 22 + 1, 2 ** 31, 2 ** 32 - 1),
      fc.nat(400),
    ),
  })
  .map(({ flag, message: content, declared }) => {
    const head = Buffer.alloc(5)
    head[0] = flag
    head.writeUInt32BE(declared < 0 ? content.length : declared, 1)
    return Buffer.concat([head, content])
  })

export const badCall: fc.Arbitrary<Shot> = fc.record({
  headers: headers as fc.Arbitrary<Record<string, string>>,
  body: fc.array(part, { maxLength: 3 }).map((parts) => Buffer.concat(parts)),
  ends: fc.boolean(),
})
