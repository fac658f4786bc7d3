// What HTTP/2 itself may cost: headers, and calls that are opened only to be reset (CVE-2023-44487).
//
// 1. The headers of a call are at most `grpcHeaderBytesMax`: a call with more is reset by Node.
// 2. A connection with more than `grpcResetsMax` calls in `grpcResetsWindowMs` that were reset sooner than `grpcResetSoonMs`
//    after they began is over: GOAWAY with ENHANCE_YOUR_CALM. Calls that waited longer, as pulls with a deadline do, do
//    not count here; nghttp2 itself ends a connection after a burst of 1,000 resets and 33 a second, whatever they are.
// 3. grpc-js makes the HTTP/2 server and shows it to nobody: it is taken from where it keeps it. When a release keeps it
//    elsewhere the door does not open, rather than open unguarded.

import { constants, type Http2Server, type ServerHttp2Session } from 'node:http2'
import type { Server } from '@grpc/grpc-js'
import { limits } from '../../engine/limits.ts'
import type { Log } from '../log.ts'

/** `server`: with its one injector made. `now`: ms, of a clock that only goes forward. */
export function guardHttp2(server: Server, log: Log, now = () => performance.now()): void {
  const { http2Servers } = server as unknown as { http2Servers?: Map<Http2Server, unknown> }
  const [http2] = http2Servers?.keys() ?? []
  if (http2 === undefined) throw new Error('grpc-js no longer keeps its HTTP/2 servers here')
  http2.updateSettings({ maxHeaderListSize: limits.grpcHeaderBytesMax })
  http2.on('session', (session) => guardSession(session, log, now))
}

function guardSession(session: ServerHttp2Session, log: Log, now: () => number): void {
  const resets = new ResetCount()
  session.on('stream', (stream) => {
    const beganMs = now()
    // Before its answer was sent to the end, with whatever code and by whatever side.
    const wasReset = (): void => {
      const nowMs = now()
      const isSoon = nowMs - beganMs <= limits.grpcResetSoonMs
      if (isSoon && resets.isTooMany(nowMs)) end(session, log)
    }
    // A reset that was read together with the call has been dealt with before this is told of the call.
    if (stream.aborted) wasReset()
    else stream.on('aborted', wasReset)
  })
}

/** Of one connection, in windows that follow each other. */
class ResetCount {
  private sinceMs = 0
  private count = 0

  /** With one more. */
  isTooMany(nowMs: number): boolean {
    if (nowMs - this.sinceMs > limits.grpcResetsWindowMs) {
      this.sinceMs = nowMs
      this.count = 0
    }
    return ++this.count > limits.grpcResetsMax
  }
}

function end(session: ServerHttp2Session, log: Log): void {
  // All calls of a connection that is lost are reset at once.
  if (session.destroyed || session.socket.destroyed) return
  const { remoteAddress: address } = session.socket
  session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM)
  session.destroy()
  log.warn({ address }, 'a gRPC connection was closed: it reset too many calls')
}
