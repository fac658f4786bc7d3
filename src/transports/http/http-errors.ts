// What the framework refuses, in the envelope of everything else; and what must not happen.

import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { limits } from '../../engine/limits.ts'
import { refusals } from '../../engine/refusal.ts'
import { sendHttpRefusal, sendRefusal, setHeaders } from './answers.ts'
import { refusedByHttp } from './http-refusal.ts'
import type { RoutePaths } from './route-paths.ts'

/** What every request is asked before its handler; `done` when it may go on. */
export type Look = (request: FastifyRequest, reply: FastifyReply, done: () => void) => void

/** `look`: at requests that have no route. */
export function answerErrors(app: FastifyInstance, paths: RoutePaths, look: Look): void {
  app.setErrorHandler((error: FastifyError, request, reply) => answerError(error, request, reply))
  app.setNotFoundHandler((request, reply) =>
    look(request, reply, () => {
      const methods = paths.methodsOf(request.raw.url ?? '')
      sendHttpRefusal(
        reply,
        methods.length === 0
          ? refusedByHttp('not_found', 'No such route')
          : refusedByHttp('method_not_allowed', 'Method not allowed', {
              allow: methods.join(', '),
            }),
      )
    }),
  )
}

/** Also for errors before a route is known. */
export function answerError(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  // What is left of the body is not read.
  if (request.raw.complete === false) setHeaders(reply, { connection: 'close' })
  switch (error.code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return sendHttpRefusal(
        reply,
        refusedByHttp('unsupported_media_type', 'The body must be application/json in UTF-8'),
      )
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return sendRefusal(reply, refusals.frameTooLarge(request.bodyMax))
    case 'FST_ERR_BAD_URL':
      return sendHttpRefusal(
        reply,
        refusedByHttp('bad_request', 'The path is not percent-encoded UTF-8'),
      )
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return sendHttpRefusal(
        reply,
        refusedByHttp(
          'bad_request',
          `A part of the path is too long (max ${limits.pathPartBytesMax})`,
        ),
      )
  }
  // The client has gone in the middle of its body, or did not send what it had announced.
  if (error.statusCode !== undefined && error.statusCode < 500) {
    return sendHttpRefusal(reply, refusedByHttp('bad_request', 'The request did not arrive whole'))
  }
  // A bug: what has seen it is not trusted any more, and the process ends as it would anywhere else.
  setImmediate(() => {
    throw error
  })
  return sendHttpRefusal(reply, refusedByHttp('internal', 'A bug in the server'))
}
