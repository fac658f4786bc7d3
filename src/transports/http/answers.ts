// Answers of routes: data in its envelope, refusals with their status, and the headers that every answer has.
//
//   {"ok":true,"data":…}      {"ok":false,"error":TEXT,"code":CODE}
//
// A handler returns what these return. Data are bytes that are JSON already, or a value to be made JSON of.

import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import { limits } from '../../engine/limits.ts'
import type { Refusal } from '../../engine/refusal.ts'
import { type HttpRefusal, httpRefusal } from './http-refusal.ts'

export const JSON_TYPE = 'application/json; charset=utf-8'

const DATA = '{"ok":true,"data":'
/** `{"ok":true,"data":null}`. */
export const NO_DATA = Buffer.from(`${DATA}null}`)

/** On every answer, whatever it is: a page may show none of it, and nobody keeps it. */
export const commonHeaders: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

/** Of the door: no connection is kept any more. */
export interface Ending {
  now: boolean
}

declare module 'fastify' {
  interface FastifyInstance {
    readonly ending: Ending
  }
}

/** `body`: a whole envelope. */
export function sendBody(reply: FastifyReply, body: Buffer): FastifyReply {
  if (body.length > limits.httpReplyBytesUnwatched) watchWrite(reply.raw)
  if (reply.server.ending.now) reply.header('connection', 'close')
  return reply.header('content-type', JSON_TYPE).send(body)
}

/** `value` is made JSON of. */
export function sendData(reply: FastifyReply, value: unknown, more = ''): FastifyReply {
  return sendBody(reply, Buffer.from(`${DATA}${JSON.stringify(value)}${more}}`))
}

export function sendRefusal(reply: FastifyReply, refusal: Refusal): FastifyReply {
  return sendHttpRefusal(reply, httpRefusal(refusal))
}

export function sendHttpRefusal(reply: FastifyReply, refusal: HttpRefusal): FastifyReply {
  return sendBody(reply.code(refusal.status).headers(refusal.headers), refusal.body)
}

/** A client that does not read is cut off: what it was to get is held in memory until then. */
function watchWrite(response: ServerResponse): void {
  const timer = setTimeout(() => response.destroy(), limits.httpWriteMsMax)
  response.once('close', () => clearTimeout(timer))
}
