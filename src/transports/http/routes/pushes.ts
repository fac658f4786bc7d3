// Pushes: one job, answered with the whole job; many, answered with their ids.

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Refusal } from '../../../engine/refusal.ts'
import { frameAround, frameOf } from '../../wire/frames.ts'
import { sendBody, sendData, sendRefusal } from '../answers.ts'
import { isRefusal } from '../fields.ts'
import { type HttpCommands, sendRefused } from '../http-commands.ts'
import type { RoutePlugin } from '../http-deps.ts'
import { bodyOf } from '../json-bodies.ts'
import { fieldsBody, idOf, isOk, jobBody } from '../reply-lines.ts'
import { describeRoute, listOf, objectOf, pushed, ref } from '../schemas.ts'

interface InQueue {
  Params: { queue: string }
}

export const pushRoutes: RoutePlugin = (app, { commands, config }) => {
  app.post<InQueue>(
    '/queues/:queue/jobs',
    {
      schema: describeRoute({
        tag: 'jobs',
        summary: 'Push a job',
        data: pushed,
        path: ['queue'],
        body: ref('NewJob'),
      }),
    },
    (request, reply) => {
      const { queue } = request.params
      return push(commands, request, reply, queue, frameAround('PUSH', { queue }, bodyOf(request)))
    },
  )

  app.post<InQueue>(
    '/queues/:queue/jobs/batch',
    {
      bodyLimit: config.frameBytesMax,
      schema: describeRoute({
        tag: 'jobs',
        summary: 'Push up to 1,000 jobs',
        data: ref('Batch'),
        path: ['queue'],
        body: objectOf({ jobs: { ...listOf(ref('NewJob')), maxItems: 1000 } }),
      }),
    },
    (request, reply) => {
      const { queue } = request.params
      const frame = frameAround('PUSHB', { queue }, bodyOf(request))
      return commands.run(request, reply, 'PUSHB', { queue }, frame, fieldsBody)
    },
  )
}

/** The job is read again, as it is stored. */
export async function push(
  commands: HttpCommands,
  request: FastifyRequest,
  reply: FastifyReply,
  queue: string,
  frame: Buffer | Refusal,
): Promise<FastifyReply> {
  const refusal = await commands.admit(request, 'PUSH', { queue })
  if (refusal !== null) return sendRefusal(reply, refusal)
  if (isRefusal(frame)) return sendRefusal(reply, frame)
  const { line } = await commands.call(frame)
  if (!isOk(line)) return sendRefused(reply, line)
  const id = idOf(line)
  const { line: found } = await commands.call(frameOf('GETJOB', { id }))
  const body = isOk(found) ? jobBody(found) : null
  // A job may be done and forgotten before it can be read, or its owner gone. It was accepted all the same.
  return body === null ? sendData(reply, { id }) : sendBody(reply, body)
}
