// What a consumer says of the jobs that it holds: done, failed, still at it, given back.

import type { OpName } from '../../../engine/op.ts'
import { NO_DATA } from '../answers.ts'
import type { BodyOf } from '../http-commands.ts'
import type { RoutePlugin } from '../http-deps.ts'
import { frameOfBody } from '../json-bodies.ts'
import { countsBody, onlyRefusal, progressBody } from '../reply-lines.ts'
import { anyJson, count, describeRoute, listOf, nothing, objectOf, ref } from '../schemas.ts'
import { type OfJob, ofJob } from './of-job.ts'

const nullBody: BodyOf = (line) => onlyRefusal(line) ?? NO_DATA
const optional = (properties: Readonly<Record<string, object>>) => objectOf(properties, [])
const token = { ...count, description: 'of this delivery: refuses when it is not the newest' }
const tokens = listOf({ type: ['integer', 'null'] })
const lease = { ...count, description: 'ms from now' }

export const runRoutes: RoutePlugin = (app, deps) => {
  const single = (op: OpName, path: string, summary: string, body: object): void => {
    app.post<OfJob>(
      `/jobs/:id/${path}`,
      { schema: describeRoute({ tag: 'jobs', summary, data: nothing, path: ['id'], body }) },
      (request, reply) => ofJob(deps, request, reply, op, nullBody),
    )
  }
  single('ACK', 'ack', 'A job is done', optional({ result: anyJson, token }))
  single('FAIL', 'fail', 'A run has failed', optional({ error: { type: 'string' }, token }))
  single(
    'PROGRESS',
    'progress',
    'How far a job is',
    objectOf({ progress: { ...count, maximum: 255 }, message: { type: 'string' }, token }, [
      'progress',
    ]),
  )
  single('HEARTBEAT', 'heartbeat', 'Hold a lease on', optional({ lease, token }))
  single('RELEASE', 'release', 'Give a job back, no run counted', optional({ token }))

  single(
    'LOG',
    'logs',
    'Keep a line with a job',
    objectOf({ line: { type: 'string', maxLength: 4096 }, token }, ['line']),
  )

  const many = (op: OpName, path: string, summary: string, more: Record<string, object>): void => {
    app.post(
      `/jobs/${path}`,
      {
        bodyLimit: deps.config.frameBytesMax,
        schema: describeRoute({
          tag: 'jobs',
          summary,
          data: ref('Counted'),
          body: objectOf({ ids: { ...listOf(count), maxItems: 1000 }, tokens, ...more }, ['ids']),
        }),
      },
      (request, reply) =>
        deps.commands.run(request, reply, frameOfBody(request, op, {}), countsBody),
    )
  }
  many('ACKB', 'ack', 'Up to 1,000 jobs are done', { results: listOf(anyJson) })
  many('HEARTBEAT', 'heartbeat', 'Hold leases on', { lease })
  many('RELEASE', 'release', 'Give jobs back, no run counted', {})

  app.get<OfJob>(
    '/jobs/:id/progress',
    {
      schema: describeRoute({
        tag: 'jobs',
        summary: 'How far a job is: percent, and a message or null',
        data: { type: 'array', prefixItems: [count, { type: ['string', 'null'] }], minItems: 2 },
        path: ['id'],
      }),
    },
    (request, reply) => ofJob(deps, request, reply, 'GETPROGRESS', progressBody),
  )
}
