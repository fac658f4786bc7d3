// Connections of the gRPC door: how many there may be, and what one of them may ask of HTTP/2.

import { type ClientHttp2Session, connect, constants } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { status } from '@grpc/grpc-js'
import { describe, expect, it, onTestFinished } from 'vitest'
import { limits } from '../../src/engine/limits.ts'
import { eventually } from '../support/eventually.ts'
import { callHeaders, callMessage, RawCall } from '../support/grpc-raw.ts'
import { HttpReader } from '../support/http-reader.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'
import { SharedServer } from '../support/shared-server.ts'

const DOORS = { GRPC: '1', GRPC_PORT: '0', HTTP: '1', HTTP_PORT: '0' }
const WITHIN_MS = 30_000
const STATS = '/flashq.QueueService/Stats'
const EMPTY = callMessage(Buffer.alloc(0))

/** A connection whose limits both sides know of. */
async function opened(server: ServerProcess): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${server.grpcPort}`)
  session.on('error', () => undefined)
  onTestFinished(() => session.destroy())
  await new Promise((resolve) => session.once('remoteSettings', resolve))
  // Behind our acknowledgement of the settings.
  await new Promise((resolve) => session.ping(resolve))
  return session
}

interface Ended {
  /** Of gRPC; NaN: there was none. */
  readonly status: number
  /** Of HTTP/2, with which the call was reset; 0: it was not. */
  readonly reset: number
}

function call(session: ClientHttp2Session, headers: object = {}): Promise<Ended> {
  const stream = session.request({ ...callHeaders(STATS), ...headers })
  let how = Number.NaN
  const note = (fields: Record<string, unknown>): void => {
    if (fields['grpc-status'] !== undefined) how = Number(fields['grpc-status'])
  }
  stream.on('error', () => undefined)
  stream.on('response', note)
  stream.on('trailers', note)
  stream.resume()
  stream.end(EMPTY)
  return new Promise((resolve) => {
    stream.on('close', () => resolve({ status: how, reset: stream.rstCode ?? 0 }))
  })
}

/** Of a pull that has just begun to wait. */
function reset(session: ClientHttp2Session): void {
  const stream = session.request(callHeaders('/flashq.QueueService/Pull'))
  stream.on('error', () => undefined)
  stream.write(callMessage(Buffer.from('\n\x01q')))
  stream.close(constants.NGHTTP2_CANCEL)
}

const serves = async (server: ServerProcess): Promise<void> => {
  const { status: how } = await new RawCall(server.grpcPort).send(STATS, [EMPTY])
  expect(how).toBe(status.OK)
}

describe('connections', () => {
  it('1,000 at once are served, all of them, and counted', async () => {
    const server = await startServer(DOORS)
    const sessions = await Promise.all(Array.from({ length: 1000 }, () => opened(server)))
    const answers = await Promise.all(sessions.map((session) => call(session)))
    expect(answers.filter(({ status: how }) => how !== status.OK)).toEqual([])
    const open = async (): Promise<number | undefined> =>
      (await new HttpReader(server).metrics()).value('flashq_connections', { door: 'grpc' })
    expect(await open()).toBe(1000)
    for (const session of sessions) session.destroy()
    await eventually('all are gone', WITHIN_MS, async () => (await open()) === 0)
  })

  it('beyond the most are closed at once, and counted as such', async () => {
    const server = await startServer({ ...DOORS, WORKERS: '1', CONNECTIONS_MAX: '3' })
    const sessions = await Promise.all(Array.from({ length: 3 }, () => opened(server)))
    for (let i = 0; i < 4; i++) {
      const socket = connectTcp(server.grpcPort, '127.0.0.1')
      socket.on('error', () => undefined)
      socket.resume()
      await new Promise((resolve) => socket.once('close', resolve))
    }
    const figures = await new HttpReader(server).metrics()
    expect(figures.value('flashq_connections_refused_total', { door: 'grpc' })).toBe(4)
    expect(figures.value('flashq_connections', { door: 'grpc' })).toBe(3)
    for (const session of sessions) expect((await call(session)).status).toBe(status.OK)
  })
})

describe('a connection', () => {
  const server = new SharedServer(DOORS)

  it('that resets calls as soon as it has made them is told to go', async () => {
    const session = await opened(server.process)
    const told = new Promise((resolve) => session.once('goaway', resolve))
    const closed = new Promise((resolve) => session.once('close', resolve))
    // What comes all at once may be too much for nghttp2 first, which ends the connection with another code.
    const together = limits.grpcResetsMax / 5
    for (let made = 0; made < limits.grpcResetsMax; made += together) {
      for (let i = 0; i < together; i++) reset(session)
      await new Promise((resolve) => session.ping(resolve))
    }
    // Nothing is sent behind it.
    reset(session)
    expect(await told).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM)
    await closed
    const line = (): unknown =>
      server.process.log.find(({ msg }) => msg?.includes('too many calls'))
    await eventually('it is in the log', WITHIN_MS, () => line() !== undefined)
    expect(line()).toMatchObject({ address: '127.0.0.1' })
    await serves(server.process)
  })

  it('may reset some', async () => {
    const session = await opened(server.process)
    for (let i = 0; i < limits.grpcResetsMax; i++) reset(session)
    expect(await call(session)).toEqual({ status: status.OK, reset: 0 })
  })

  it('may have headers of 15 KiB, and not of 17', async () => {
    const session = await opened(server.process)
    const long = (kib: number): object => ({ 'x-long': 'y'.repeat(kib * 1024) })
    expect(await call(session, long(15))).toEqual({ status: status.OK, reset: 0 })
    expect(await call(session, long(17))).toEqual({
      status: Number.NaN,
      reset: constants.NGHTTP2_ENHANCE_YOUR_CALM,
    })
    expect(await call(session)).toEqual({ status: status.OK, reset: 0 })
  })

  it('has so many calls under way, and no more', async () => {
    const session = await opened(server.process)
    expect(session.remoteSettings).toMatchObject({
      maxConcurrentStreams: limits.grpcCallsPerConnectionMax,
      maxHeaderListSize: limits.grpcHeaderBytesMax,
    })
  })
})
