// What a connection of HTTP/2 may cost, on a server whose calls and clock the test makes.

import { EventEmitter } from 'node:events'
import { constants, type Http2Server } from 'node:http2'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { limits } from '../../../../src/engine/limits.ts'
import { guardHttp2 } from '../../../../src/transports/grpc/http2-guard.ts'
import { CapturedLog } from '../../../support/captured-log.ts'

const { grpcResetsMax, grpcResetSoonMs, grpcResetsWindowMs } = limits

/** A connection whose calls are reset by the test. */
class Connection extends EventEmitter {
  readonly socket = { destroyed: false, remoteAddress: '10.0.0.1' }
  destroyed = false
  readonly codes: number[] = []

  goaway(code: number): void {
    this.codes.push(code)
  }

  destroy(): void {
    this.destroyed = true
  }
}

class Bench {
  ms = 5000
  readonly log = new CapturedLog()
  readonly settings: object[] = []
  private readonly http2 = Object.assign(new EventEmitter(), {
    updateSettings: (settings: object) => this.settings.push(settings),
  })

  constructor() {
    const http2Servers = new Map([[this.http2 as unknown as Http2Server, {}]])
    guardHttp2({ http2Servers } as unknown as Server, this.log, () => this.ms)
  }

  connect(): Connection {
    const connection = new Connection()
    this.http2.emit('session', connection)
    return connection
  }

  /** So many calls that are each reset after so long. */
  reset(connection: Connection, count: number, afterMs = 0): void {
    for (let i = 0; i < count; i++) {
      const call = new EventEmitter()
      connection.emit('stream', call)
      this.ms += afterMs
      call.emit('aborted')
    }
  }
}

describe('the guard of HTTP/2', () => {
  it('ends a connection that resets more calls than it may, and no other', () => {
    const bench = new Bench()
    const [bad, good] = [bench.connect(), bench.connect()]
    bench.reset(good, grpcResetsMax)
    bench.reset(bad, grpcResetsMax)
    expect([bad.codes, good.codes]).toEqual([[], []])
    bench.reset(bad, 1)
    expect(bad).toMatchObject({ codes: [constants.NGHTTP2_ENHANCE_YOUR_CALM], destroyed: true })
    expect(good).toMatchObject({ codes: [], destroyed: false })
    // What is left of it is reset as well, and said no more.
    bench.reset(bad, 10)
    expect(bad.codes).toHaveLength(1)
    expect(bench.log.lines).toMatchObject([{ level: 'warn', fields: { address: '10.0.0.1' } }])
  })

  it('counts a call that was reset before anybody heard of it', () => {
    const bench = new Bench()
    const connection = bench.connect()
    for (let i = 0; i <= grpcResetsMax; i++) {
      connection.emit('stream', Object.assign(new EventEmitter(), { aborted: true }))
    }
    expect(connection.codes).toEqual([constants.NGHTTP2_ENHANCE_YOUR_CALM])
  })

  it('begins to count anew when the time is over', () => {
    const bench = new Bench()
    const connection = bench.connect()
    for (let i = 0; i < 5; i++) {
      bench.reset(connection, grpcResetsMax)
      bench.ms += grpcResetsWindowMs + 1
    }
    expect(connection.codes).toEqual([])
  })

  it('counts no calls that had waited before they were reset, as those with a deadline do', () => {
    const bench = new Bench()
    const connection = bench.connect()
    const calls = Array.from({ length: 2 * grpcResetsMax }, () => new EventEmitter())
    for (const call of calls) connection.emit('stream', call)
    bench.ms += grpcResetSoonMs + 1
    for (const call of calls) call.emit('aborted')
    expect(connection.codes).toEqual([])
  })

  it('has nothing to say of a connection that is lost', () => {
    const bench = new Bench()
    const connection = bench.connect()
    connection.socket.destroyed = true
    bench.reset(connection, 2 * grpcResetsMax)
    expect([connection.codes, bench.log.lines]).toEqual([[], []])
  })

  it('is given by the server of this very grpc-js, and not without it', () => {
    const server = new Server()
    const log = new CapturedLog()
    expect(() => guardHttp2(server, log)).toThrow('no longer keeps')
    server.createConnectionInjector(ServerCredentials.createInsecure())
    guardHttp2(server, log)
    server.forceShutdown()
  })

  it('tells clients how long headers may be', () => {
    expect(new Bench().settings).toEqual([{ maxHeaderListSize: limits.grpcHeaderBytesMax }])
  })
})
