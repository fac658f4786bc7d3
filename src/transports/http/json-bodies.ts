// Bodies: JSON in UTF-8, as bytes. Nobody parses them here; the scanner of the line protocol reads them, once.
//
// A form can send any text, but not this content type without asking first: so it is required.

import type { FastifyInstance } from 'fastify'

/** `application/json`, or a type made of it, in no other characters than UTF-8. */
const JSON_IN_UTF8 = /^application\/(?:[\w.-]+\+)?json(?:; ?charset="?utf-?8"?)?$/i

const NONE = Buffer.alloc(0)

export function takeJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(JSON_IN_UTF8, { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  )
}

/** Of a request; empty when it has none. */
export function bodyOf(request: { body: unknown }): Buffer {
  return Buffer.isBuffer(request.body) ? request.body : NONE
}

const EMPTY_OBJECT = Buffer.from('{}')

/** The same where no body means an object without fields. */
export function bodyOrEmpty(request: { body: unknown }): Buffer {
  const body = bodyOf(request)
  return body.length === 0 ? EMPTY_OBJECT : body
}
