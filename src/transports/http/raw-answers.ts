// Answers to what never becomes a request: what Node's parser refuses, what takes too long, CONNECT.
//
// The connection is closed after each of them, since nobody knows where the next request would begin.

import type { Duplex } from 'node:stream'
import { commonHeaders, JSON_TYPE } from './answers.ts'
import { type HttpRefusal, refusedByHttp } from './http-refusal.ts'

const PHRASES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Payload Too Large',
  431: 'Request Header Fields Too Large',
}

interface ParserError {
  readonly code?: string
}

/** For the server's `clientError`. */
export function answerParserError(error: ParserError, socket: Duplex): void {
  // A peer that is gone, or an answer that has begun: there is nothing to be said.
  if (error.code === 'ECONNRESET' || !socket.writable || hasBegun(socket)) {
    socket.destroy()
    return
  }
  endWith(socket, refusalOf(error.code ?? ''))
}

export function answerConnect(_request: unknown, socket: Duplex): void {
  endWith(
    socket,
    refusedByHttp('method_not_allowed', 'Method not allowed', {
      allow: 'GET, POST, PATCH, DELETE',
    }),
  )
}

function refusalOf(code: string): HttpRefusal {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return refusedByHttp('headers_too_large', 'Headers too large')
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return refusedByHttp('request_timeout', 'The request took too long to arrive')
    default:
      return refusedByHttp('bad_request', 'Not a request of HTTP/1.1')
  }
}

/** Writes the whole answer, and closes. */
function endWith(socket: Duplex, { status, headers, body }: HttpRefusal): void {
  const lines = Object.entries({
    ...commonHeaders,
    ...headers,
    'content-type': JSON_TYPE,
    'content-length': String(body.length),
    connection: 'close',
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.on('error', () => undefined)
  socket.end(
    Buffer.concat([
      Buffer.from(`HTTP/1.1 ${status} ${PHRASES[status] ?? 'Refused'}\r\n${lines.join('')}\r\n`),
      body,
    ]),
  )
  // Whoever goes on sending is not listened to.
  socket.once('finish', () => socket.destroy())
}

/** Node keeps the response that is being written here. */
function hasBegun(socket: Duplex): boolean {
  const { _httpMessage: message } = socket as { _httpMessage?: { headersSent?: boolean } | null }
  return message?.headersSent === true
}
