// What the framework refuses, in the envelope of everything else; and what must not happen.

import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { limits } from '../../engine/limits.ts'
import { refusals } from '../../engine/refusal.ts'
import { sendHttpRefusal, sendRefusal } from './answers.ts'
import { refusedByHttp } from './http-refusal.ts'
import type { RoutePaths } from './route-paths.ts'

export function answerErrors(app: FastifyInstance, paths: RoutePaths): void {
  app.setErrorHandler((error: FastifyError, request, reply) => answerError(error, request, reply))
  app.setNotFoundHandler((request, reply) => {
    const methods = paths.methodsOf(request.raw.url ?? '')
    return methods.length === 0
      ? sendHttpRefusal(reply, refusedByHttp('not_found', 'No such route'))
      : sendHttpRefusal(
          reply,
          refusedByHttp('method_not_allowed', 'Method not allowed', { allow: methods.join(', ') }),
        )
  })
}

/** Also for errors before a route is known. */
export function answerError(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  switch (error.code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return sendHttpRefusal(
        reply,
        refusedByHttp('unsupported_media_type', 'The body must be application/json in UTF-8'),
      )
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return sendRefusal(reply, refusals.frameTooLarge(request.routeOptions.bodyLimit))
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
