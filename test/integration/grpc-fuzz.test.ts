// The gRPC door against peers that send anything: each time a good call on another connection is answered, nothing is
// reported as a bug, the worker lives, and its memory is bounded.
//
// FLASHQ_SEED repeats a run; the seed is in the name of the test.

import { type ClientHttp2Session, connect } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { status } from '@grpc/grpc-js'
import fc from 'fast-check'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import { limits } from '../../src/engine/limits.ts'
import { callHeaders, callMessage, RawCall } from '../support/grpc-raw.ts'
import {
  badCall,
  brokenConversation,
  goodConversation,
  randomBytes,
  randomFrames,
  type Shot,
} from '../support/grpc-shots.ts'
import { residentBytes, SharedServer } from '../support/shared-server.ts'

const RUNS = 150
const MEMORY_MAX = 256 * 1024 * 1024
const seed = Number(process.env['FLASHQ_SEED'] ?? Date.now() % 2 ** 31)

// One worker: whoever is answered is answered by the one that was shot at.
const server = new SharedServer({
  ...{ GRPC: '1', GRPC_PORT: '0', WORKERS: '1' },
  // For connections that are left broken: a stop cuts them off.
  DRAIN_TIMEOUT_MS: '1000',
})

function opened(): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${server.process.grpcPort}`)
  session.on('error', () => undefined)
  onTestFinished(() => session.destroy())
  return session
}

/** Of a call that is as it should be. */
function goodCall(session: ClientHttp2Session): Promise<number> {
  const stream = session.request(callHeaders('/flashq.QueueService/Stats'))
  let how = Number.NaN
  stream.on('error', () => undefined)
  stream.on('trailers', (fields) => {
    how = Number(fields['grpc-status'])
  })
  stream.resume()
  stream.end(callMessage(Buffer.alloc(0)))
  return new Promise((resolve) => stream.on('close', () => resolve(how)))
}

/**
 * Sends it and ends its half. The server may keep its own until the pings of that connection are not answered: after a
 * frame of a wrong length Node reads on.
 */
function sendBytes(bytes: Buffer): Promise<void> {
  const socket = connectTcp(server.process.grpcPort, '127.0.0.1')
  onTestFinished(() => {
    socket.destroy()
  })
  socket.on('error', () => undefined)
  socket.resume()
  return new Promise((resolve) => {
    socket.on('close', () => resolve())
    socket.end(bytes, () => resolve())
  })
}

afterEach(() => {
  const { log, errors } = server.process
  const bugs = log.filter(({ msg }) => /failed|exited|uncaught|unhandled/i.test(msg ?? ''))
  expect(bugs).toEqual([])
  expect(errors).not.toMatch(/error|warning|\bat \S+:\d+/i)
  expect(log.filter(({ msg }) => msg === 'worker started')).toHaveLength(1)
  expect(residentBytes(server.process)).toBeLessThan(memoryBefore + MEMORY_MAX)
})
let memoryBefore = Number.POSITIVE_INFINITY

describe(`a peer that sends anything, seed ${seed}`, () => {
  /** As often as it is run: the others are served. */
  async function holds<T>(what: fc.Arbitrary<T>, send: (each: T) => Promise<void>): Promise<void> {
    const other = opened()
    expect(await goodCall(other)).toBe(status.OK)
    if (memoryBefore === Number.POSITIVE_INFINITY) memoryBefore = residentBytes(server.process)
    const property = fc.asyncProperty(what, async (each) => {
      await send(each)
      expect(await goodCall(other)).toBe(status.OK)
    })
    await fc.assert(property, { seed, numRuns: RUNS })
  }

  it('bytes that are no HTTP/2', () => holds(randomBytes, sendBytes))

  it('frames of any kind, with lengths that are lies', () => holds(randomFrames, sendBytes))

  it('a good conversation, cut or changed anywhere', async () => {
    const good = await goodConversation()
    // It is good: it leaves a job behind.
    await sendBytes(good)
    await holds(brokenConversation(good), sendBytes)
  })

  it('calls with wrong paths, headers, lengths, flags and messages', async () => {
    await holds(badCall, async ({ headers, body, ends }: Shot) => {
      const session = opened()
      const stream = session.request(headers, { endStream: false })
      stream.on('error', () => undefined)
      stream.resume()
      stream.write(body)
      if (ends) stream.end()
      // Whether it is answered or waits for a job, it has been read then.
      await new Promise((resolve) => {
        session.once('close', resolve)
        session.ping(resolve)
      })
      session.destroy()
    })
  })
})

describe('a message', () => {
  const push = '/flashq.QueueService/Push'
  const head = (flag: number, length: number): Buffer => {
    const bytes = Buffer.alloc(5)
    bytes[0] = flag
    bytes.writeUInt32BE(length, 1)
    return bytes
  }

  it('whose length is too large is refused before it has come', async () => {
    for (const length of [limits.grpcMessageBytesMax + 1, 2 ** 31, 2 ** 32 - 1]) {
      const answer = await new RawCall(server.process.grpcPort).send(push, [head(0, length)])
      expect(answer.status, String(length)).toBe(status.RESOURCE_EXHAUSTED)
    }
  })

  it('that ends too early, or is compressed by nothing that is known, is refused', async () => {
    const message = callMessage(Buffer.from('\n\x01q'))
    for (const [name, bytes, headers] of [
      ['no message', Buffer.alloc(0), {}],
      ['half a head', Buffer.from([0, 0]), {}],
      ['half a message', message.subarray(0, 6), {}],
      ['compressed, it does not say how', callMessage(Buffer.from('\n\x01q'), 1), {}],
      ['compressed, somehow', callMessage(Buffer.from('\n\x01q'), 1), { 'grpc-encoding': 'br' }],
    ] as const) {
      const answer = await new RawCall(server.process.grpcPort).send(push, [bytes], headers)
      expect(answer.status, name).toBeGreaterThan(status.OK)
    }
  })

  it('that is announced and does not come takes no memory', async () => {
    const before = residentBytes(server.process)
    const session = opened()
    for (let i = 0; i < 500; i++) {
      const stream = session.request(callHeaders(push))
      stream.on('error', () => undefined)
      stream.write(Buffer.concat([head(0, limits.grpcMessageBytesMax), Buffer.alloc(100)]))
    }
    await new Promise((resolve) => session.ping(resolve))
    // As announced it would be 2 GiB.
    expect(residentBytes(server.process) - before).toBeLessThan(MEMORY_MAX)
    expect(await goodCall(session)).toBe(status.OK)
  })

  it('of another content type is no call', async () => {
    const session = opened()
    const headers = { ...callHeaders(push), 'content-type': 'application/json' }
    const stream = session.request(headers)
    stream.on('error', () => undefined)
    const answered = new Promise<Record<string, unknown>>((resolve) => {
      stream.once('response', resolve)
    })
    stream.resume()
    stream.end('{}')
    expect((await answered)[':status']).toBe(415)
  })
})
