// Crons: which there are, and new ones.

import { refusals } from '../../../engine/refusal.ts'
import { frameAround, frameOf } from '../../wire/frames.ts'
import { NO_DATA, sendData, sendRefusal } from '../answers.ts'
import { sendRefused } from '../http-commands.ts'
import type { RoutePlugin } from '../http-deps.ts'
import { bodyOrEmpty } from '../json-bodies.ts'
import { codeOf, isOk, valueBody } from '../reply-lines.ts'
import { anyJson, describeRoute, listOf, nothing, objectOf, ref, yesOrNo } from '../schemas.ts'

interface Named {
  Params: { name: string }
}

export const cronRoutes: RoutePlugin = (app, { commands }) => {
  app.get(
    '/crons',
    { schema: describeRoute({ tag: 'crons', summary: 'All crons', data: listOf(ref('Cron')) }) },
    (request, reply) =>
      commands.run(request, reply, 'CRONLIST', {}, frameOf('CRONLIST', {}), valueBody),
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
      const body = bodyOrEmpty(request)
      const frame = frameAround('CRON', { name }, body)
      const queue = queueIn(body)
      return commands.run(
        request,
        reply,
        'CRON',
        queue === null ? {} : { queue },
        frame,
        () => NO_DATA,
      )
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
    async (request, reply) => {
      const refusal = await commands.admit(request, 'CRONDELETE', {})
      if (refusal !== null) return sendRefusal(reply, refusal)
      const { line } = await commands.call(frameOf('CRONDELETE', request.params))
      if (isOk(line)) return sendData(reply, true)
      const isThere = codeOf(line) !== refusals.cronNotFound.code
      return isThere ? sendRefused(reply, line) : sendData(reply, false)
    },
  )
}

/** Whose jobs the cron will make. When it can't be read, the scanner says why. */
function queueIn(body: Buffer): string | null {
  try {
    const { queue } = JSON.parse(body.toString()) as { queue?: unknown }
    return typeof queue === 'string' ? queue : null
  } catch {
    return null
  }
}
