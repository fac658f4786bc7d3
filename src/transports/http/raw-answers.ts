// Answers to what never becomes a request: what Node's parser refuses, what takes too long, CONNECT; and 100 Continue.
//
// 1. Requests that came before it on its connection have their answers first, each its own.
// 2. The connection is closed after it, since nobody knows where the next request would begin.

import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { commonHeaders, JSON_TYPE } from './answers.ts'
import { type HttpRefusal, refusedByHttp } from './http-refusal.ts'

interface ParserError {
  readonly code?: string
}

/** What comes behind it is not read any more. */
const refused = new WeakSet<Duplex>()

/** For the server's `clientError`, which comes for each piece of what a parser has given up. */
export function answerParserError(error: ParserError, socket: Duplex): void {
  // A peer that is gone has nothing to be told.
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  refuseInTurn(socket, refusalOf(error.code ?? ''))
}

export function answerConnect(_request: unknown, socket: Duplex): void {
  refuseInTurn(
    socket,
    refusedByHttp('method_not_allowed', 'Method not allowed', {
      allow: 'GET, POST, PATCH, DELETE',
    }),
  )
}

/**
 * For the server's `checkContinue`: `request` is taken up when its turn comes. What Node is told to write before the turn
 * of an answer it puts behind that answer's head; and an answer without a 100 before it is the last of its connection.
 */
export function continueInTurn(response: ServerResponse, request: () => void): void {
  const go = (): void => {
    response.writeContinue()
    request()
  }
  if (response.socket === null) response.once('socket', go)
  else go()
}

/** Behind the answers that are owed on the connection, which is closed then. */
export function refuseInTurn(socket: Duplex, refusal: HttpRefusal): void {
  if (refused.has(socket)) return
  refused.add(socket)
  socket.on('error', () => undefined)
  answerNext(socket, refusal)
}

function answerNext(socket: Duplex, refusal: HttpRefusal): void {
  const answer = answerUnderWay(socket)
  if (answer === null) return endWith(socket, refusal)
  const { headersSent, writableEnded, req } = answer
  // A stream, which would not come to its end; or the request that broke off has been answered by itself.
  if (headersSent && !(writableEnded && req.complete)) return void socket.destroy()
  if (!req.complete) return endWith(socket, refusal)
  // If it was the last of its connection, that is closing already.
  answer.once('finish', () => {
    if (socket.writable) answerNext(socket, refusal)
  })
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
    'content-type': JSON_TYPE,
    ...headers,
    'content-length': String(body.length),
    connection: 'close',
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(
    Buffer.concat([
      Buffer.from(
        `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}\r\n${lines.join('')}\r\n`,
      ),
      body,
    ]),
  )
  // Whoever goes on sending is not listened to.
  socket.once('finish', () => socket.destroy())
}

/** Null: none is owed. Node keeps the response whose turn it is, until all of it has been written. */
export function answerUnderWay(socket: Duplex): ServerResponse | null {
  return (socket as { _httpMessage?: ServerResponse | null })._httpMessage ?? null
}
