// Bodies: JSON in UTF-8, as bytes. Nobody parses them here; the scanner of the line protocol reads them, once.
//
//   writer   [ room for the head of a frame | body | room for a newline ]
//
// A body is gathered where it becomes a frame, in a buffer that is lent: batches would otherwise leave the collector a
// hundred kilobytes each, twice. A buffer that nobody gives back is collected, and a new one made.
//
// A form of a browser can send any text, but not this content type without asking first: so it is required.

import type { IncomingMessage } from 'node:http'
import { errorCodes, type FastifyInstance, type FastifyRequest } from 'fastify'
import type { ByteWriter } from '../../engine/byte-writer.ts'
import type { OpName } from '../../engine/op.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import { frameAround, frameOf, type SmallField } from '../wire/frames.ts'
import { borrowWriter, returnWriter } from '../writer-pool.ts'
import { discard } from './spent-chunks.ts'

/** `application/json`, or a type made of it, in no other characters than UTF-8. */
const JSON_IN_UTF8 = /^application\/(?:[\w.-]+\+)?json(?:; ?charset="?utf-?8"?)?$/i

/** Admits the longest name of a queue, each of its bytes escaped. */
const HEAD_ROOM = 2048

export class JsonBody {
  private readonly writer: ByteWriter
  private isLent = true

  constructor() {
    this.writer = borrowWriter()
    this.writer.reserve(HEAD_ROOM)
    this.writer.length = HEAD_ROOM
  }

  get length(): number {
    return this.writer.length - HEAD_ROOM
  }

  add(chunk: Buffer): void {
    this.writer.copy(chunk, 0, chunk.length)
  }

  /** Valid until it is returned. */
  get bytes(): Buffer {
    return this.writer.bytes.subarray(HEAD_ROOM, this.writer.length)
  }

  /** Once: the frame is where the body was. */
  frame(op: OpName, fields: Readonly<Record<string, SmallField>>): Buffer | Refusal {
    const { writer } = this
    const to = writer.length
    writer.byte(0)
    return frameAround(op, fields, writer.bytes, HEAD_ROOM, to)
  }

  /** Nobody looks at it any more. */
  giveBack(): void {
    if (this.isLent) returnWriter(this.writer)
    this.isLent = false
  }
}

interface WithBody {
  readonly body: unknown
}

/** `took`: so many bytes have come with that request, whatever becomes of it. */
export function takeJsonBodies(app: FastifyInstance, took: Took): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(JSON_IN_UTF8, (request, payload, done) =>
    gather(request, payload, took, done),
  )
}

/** The fields of a request's body around `fields`; no body is an object without fields. */
export function frameOfBody(
  request: WithBody,
  op: OpName,
  fields: Readonly<Record<string, SmallField>>,
): Buffer | Refusal {
  const body = bodyOf(request)
  return body === null ? frameOf(op, fields) : body.frame(op, fields)
}

/** Where the body must say something. */
export function frameOfRequiredBody(
  request: WithBody,
  op: OpName,
  fields: Readonly<Record<string, SmallField>>,
): Buffer | Refusal {
  return bodyOf(request)?.frame(op, fields) ?? refusals.invalid('the body is not a JSON object')
}

/** Null: there is none, or an empty one. */
export function bodyOf({ body }: WithBody): JsonBody | null {
  return body instanceof JsonBody && body.length > 0 ? body : null
}

type Done = (error: Error | null, body?: JsonBody) => void
type Took = (request: FastifyRequest, bytes: number) => void

function gather(request: FastifyRequest, payload: IncomingMessage, took: Took, done: Done): void {
  const { bodyMax } = request
  // Without a route nobody wants it.
  if (request.is404) {
    payload.resume()
    return done(null)
  }
  if (Number(request.headers['content-length']) > bodyMax) {
    return done(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE())
  }
  const body = new JsonBody()
  const end = (error: Error | null): void => {
    payload.off('data', take)
    payload.off('end', finish)
    payload.off('error', broken)
    took(request, body.length)
    if (error === null) return done(null, body)
    body.giveBack()
    done(error)
  }
  const take = (chunk: Buffer): void => {
    if (body.length + chunk.length > bodyMax) end(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE())
    else {
      body.add(chunk)
      discard(chunk)
    }
  }
  const finish = (): void => end(null)
  // The client has gone in the middle of it.
  const broken = (): void => end(new errorCodes.FST_ERR_CTP_INVALID_CONTENT_LENGTH())
  payload.on('data', take)
  payload.on('end', finish)
  payload.on('error', broken)
}
