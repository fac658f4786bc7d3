// Answers of routes: data in its envelope, refusals with their status, and the headers that every answer has.
//
//   {"ok":true,"data":…}      {"ok":false,"error":TEXT,"code":CODE}
//
// A handler returns what these return. Data are bytes that are JSON already, or a value to be made JSON of.
// Short answers leave at the end of the turn (turn-end.ts).

import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import { limits } from '../../engine/limits.ts'
import type { Refusal } from '../../engine/refusal.ts'
import { atTurnEnd } from '../turn-end.ts'
import { type HttpRefusal, httpRefusal } from './http-refusal.ts'
import type { Body } from './reply-lines.ts'

export const JSON_TYPE = 'application/json; charset=utf-8'

const DATA = '{"ok":true,"data":'
/** `{"ok":true,"data":null}`. */
export const NO_DATA = Buffer.from(`${DATA}null}`)

/** A longer answer leaves at once: its client has something to do while the next one is made. */
const SHORT_BYTES_MAX = 4096

interface Leaving {
  readonly reply: FastifyReply
  readonly body: Body
  readonly written: (() => void) | undefined
}

/** On every answer, whatever it is: nobody keeps it, and a browser makes nothing of it but what it says it is. */
export const commonHeaders = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
} as const

/** What the door has to say about each answer. */
export interface Terms {
  /** No connection is kept any more. */
  isEnding: boolean
  /** A long answer must be read within it. */
  readonly writeMs: number
}

declare module 'fastify' {
  interface FastifyInstance {
    readonly terms: Terms
  }
}

/**
 * `body`: a whole envelope. It is written past the framework, whose own way of sending costs as much as a push. What
 * else is to be in the head has been set on `reply.raw`. `written` is called when the kernel has all of it, if ever.
 */
export function sendBody(reply: FastifyReply, body: Body, written?: () => void): FastifyReply {
  reply.hijack()
  const answer = { reply, body, written }
  if (body.length > SHORT_BYTES_MAX) leave(answer)
  else atTurnEnd(() => leave(answer))
  return reply
}

/** The head is made here: until then the answer has not begun, and it knows whether the door has come to its end. */
function leave({ reply, body, written }: Leaving): void {
  const { raw } = reply
  // Its `close` may still be to come: what is written to it until then would count as read.
  if (raw.destroyed || raw.req.socket.destroyed) return
  const { isEnding, writeMs } = reply.server.terms
  if (isEnding) raw.setHeader('connection', 'close')
  raw.writeHead(raw.statusCode, {
    'content-type': JSON_TYPE,
    'content-length': body.length,
    // Written out: a spread costs as much again.
    'cache-control': commonHeaders['cache-control'],
    'content-security-policy': commonHeaders['content-security-policy'],
    'x-content-type-options': commonHeaders['x-content-type-options'],
  })
  if (body.length > limits.httpReplyBytesUnwatched) watchWrite(raw, writeMs)
  if (written === undefined) raw.end(body, 'latin1')
  else endThen(raw, body, written)
}

/** The `finish` of a response also comes when its connection was destroyed, so the write itself is watched. */
function endThen(response: ServerResponse, body: Body, written: () => void): void {
  response.cork()
  response.write(body, 'latin1', (error) => {
    if (!error && response.req.socket.destroyed === false) written()
  })
  response.end()
}

/** `value` is made JSON of. */
export function sendData(reply: FastifyReply, value: unknown, more = ''): FastifyReply {
  return sendBody(reply, Buffer.from(`${DATA}${JSON.stringify(value)}${more}}`))
}

export function sendRefusal(reply: FastifyReply, refusal: Refusal): FastifyReply {
  return sendHttpRefusal(reply, httpRefusal(refusal))
}

export function sendHttpRefusal(reply: FastifyReply, refusal: HttpRefusal): FastifyReply {
  setHeaders(reply, refusal.headers)
  return sendBody(reply.code(refusal.status), refusal.body)
}

export function setHeaders(reply: FastifyReply, headers: Readonly<Record<string, string>>): void {
  for (const name in headers) reply.raw.setHeader(name, headers[name] as string)
}

/** A client that does not read is cut off: what it was to get is held in memory until then. */
function watchWrite(response: ServerResponse, writeMs: number): void {
  const timer = setTimeout(() => response.destroy(), writeMs)
  response.once('close', () => clearTimeout(timer))
}
