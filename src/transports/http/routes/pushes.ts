// Pushes: one job, answered with the whole job; many, answered with their ids.

import type { IncomingHttpHeaders } from 'node:http'
import type { Refusal } from '../../../engine/refusal.ts'
import { readTraceContext, withTraceTags } from '../../wire/trace-tags.ts'
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
      const frame = frameOfRequiredBody(request, 'PUSH', { queue, full: true })
      return commands.run(request, reply, tracedFrame(frame, request.headers), jobBody)
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

/** A job that is pushed as a part of a trace keeps the trace's context. */
function tracedFrame(
  frame: Buffer | Refusal,
  { traceparent, tracestate }: IncomingHttpHeaders,
): Buffer | Refusal {
  if (traceparent === undefined || !Buffer.isBuffer(frame)) return frame
  const context = readTraceContext(traceparent, tracestate)
  return context === null ? frame : withTraceTags(frame, context)
}
