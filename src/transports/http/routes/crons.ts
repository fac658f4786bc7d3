// Crons: which there are, and new ones.

import type { FastifyReply } from 'fastify'
import { refusals } from '../../../engine/refusal.ts'
import { frameOf } from '../../wire/frames.ts'
import { NO_DATA, sendData } from '../answers.ts'
import { sendRefused } from '../http-commands.ts'
import type { RoutePlugin } from '../http-deps.ts'
import { frameOfRequiredBody } from '../json-bodies.ts'
import { codeOf, valueBody } from '../reply-lines.ts'
import { anyJson, describeRoute, listOf, nothing, objectOf, ref, yesOrNo } from '../schemas.ts'

const TRUE = Buffer.from('{"ok":true,"data":true}')

interface Named {
  Params: { name: string }
}

export const cronRoutes: RoutePlugin = (app, { commands }) => {
  app.get(
    '/crons',
    { schema: describeRoute({ tag: 'crons', summary: 'All crons', data: listOf(ref('Cron')) }) },
    (request, reply) => commands.run(request, reply, frameOf('CRONLIST', {}), valueBody),
  )

  app.post<Named>(
    '/crons/:name',
    {
      schema: describeRoute({
        tag: 'crons',
        summary: 'Set a cron; replaces one of the same name',
        data: nothing,
        path: ['name'],
        body: objectOf(
          {
            queue: { type: 'string' },
            schedule: { type: 'string', maxLength: 256, examples: ['0 */5 * * * *', '*/30'] },
            data: anyJson,
            priority: { type: 'integer' },
          },
          ['queue', 'schedule', 'data'],
        ),
      }),
    },
    (request, reply) => {
      const { name } = request.params
      const frame = frameOfRequiredBody(request, 'CRON', { name })
      commands.run(request, reply, frame, () => NO_DATA)
    },
  )

  app.delete<Named>(
    '/crons/:name',
    {
      schema: describeRoute({
        tag: 'crons',
        summary: 'Remove a cron; false when there is none',
        data: yesOrNo,
        path: ['name'],
      }),
    },
    (request, reply) => {
      const frame = frameOf('CRONDELETE', request.params)
      commands.run(request, reply, frame, () => TRUE, sendRemoved)
    },
  )
}

/** That there was none is no refusal. */
function sendRemoved(reply: FastifyReply, line: Buffer): void {
  if (codeOf(line) === refusals.cronNotFound.code) sendData(reply, false)
  else sendRefused(reply, line)
}
