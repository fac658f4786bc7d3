// Jobs from whoever can send JSON and nothing else: the whole body is the job's data, with default options.

import { refusals } from '../../../engine/refusal.ts'
import { frameOf, isJson } from '../../wire/frames.ts'
import type { RoutePlugin } from '../http-deps.ts'
import { bodyOf } from '../json-bodies.ts'
import { jobBody } from '../reply-lines.ts'
import { anyJson, describeRoute, ref } from '../schemas.ts'

export const incomingRoutes: RoutePlugin = (app, { commands }) => {
  app.post<{ Params: { queue: string } }>(
    '/webhooks/incoming/:queue',
    {
      schema: describeRoute({
        tag: 'jobs',
        summary: 'Push any JSON as the data of a job',
        data: ref('Job'),
        path: ['queue'],
        body: anyJson,
      }),
    },
    (request, reply) => {
      const { queue } = request.params
      const data = bodyOf(request)?.bytes
      // It becomes a part of a frame: what is no JSON could say more than its data.
      const frame =
        data !== undefined && isJson(data)
          ? frameOf('PUSH', { queue, full: true, data })
          : refusals.invalid('the body is not JSON')
      return commands.run(request, reply, frame, jobBody)
    },
  )
}
