// Pushes: one job, answered with the whole job; many, answered with their ids.

import type { RoutePlugin } from '../http-deps.ts'
import { frameOfRequiredBody } from '../json-bodies.ts'
import { fieldsBody, jobBody } from '../reply-lines.ts'
import { describeRoute, listOf, objectOf, ref } from '../schemas.ts'

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
        data: ref('Job'),
        path: ['queue'],
        body: ref('NewJob'),
      }),
    },
    (request, reply) => {
      const { queue } = request.params
      return commands.run(
        request,
        reply,
        frameOfRequiredBody(request, 'PUSH', { queue, full: true }),
        jobBody,
      )
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
      const frame = frameOfRequiredBody(request, 'PUSHB', { queue })
      return commands.run(request, reply, frame, fieldsBody)
    },
  )
}
