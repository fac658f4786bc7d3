// Queues: which there are, and what they may do.

import type { OpName } from '../../../engine/op.ts'
import { frameOf } from '../../wire/frames.ts'
import { NO_DATA, sendRefusal } from '../answers.ts'
import { flag, isRefusal, readQuery } from '../fields.ts'
import type { BodyOf } from '../http-commands.ts'
import type { RoutePlugin } from '../http-deps.ts'
import { frameOfBody } from '../json-bodies.ts'
import { countBody, valueBody } from '../reply-lines.ts'
import { count, describeRoute, listOf, nothing, objectOf, ref } from '../schemas.ts'

interface InQueue {
  Params: { queue: string }
}

const deleteFields = { force: flag('also while jobs are active') }

const nullBody: BodyOf = () => NO_DATA

export const queueRoutes: RoutePlugin = (app, { commands }) => {
  app.get(
    '/queues',
    {
      schema: describeRoute({
        tag: 'queues',
        summary: 'All queues',
        data: listOf(ref('QueueInfo')),
      }),
    },
    (request, reply) => commands.run(request, reply, frameOf('LISTQUEUES', {}), valueBody),
  )

  const order = (method: 'POST' | 'DELETE', path: string, op: OpName, summary: string): void => {
    app.route<InQueue>({
      method,
      url: `/queues/:queue/${path}`,
      schema: describeRoute({ tag: 'queues', summary, data: nothing, path: ['queue'] }),
      handler: (request, reply) => {
        const { queue } = request.params
        return commands.run(request, reply, frameOf(op, { queue }), nullBody)
      },
    })
  }
  order('POST', 'pause', 'PAUSE', 'Give out no jobs')
  order('POST', 'resume', 'RESUME', 'Give out jobs again')
  order('DELETE', 'rate-limit', 'RATELIMITCLEAR', 'Any number of jobs per second')
  order('DELETE', 'concurrency', 'CLEARCONCURRENCY', 'Any number of jobs at the same time')

  app.post<InQueue>(
    '/queues/:queue/drain',
    {
      schema: describeRoute({
        tag: 'queues',
        summary: 'Take out what waits; how many',
        data: count,
        path: ['queue'],
      }),
    },
    (request, reply) => {
      const { queue } = request.params
      const frame = frameOf('DRAIN', { queue })
      commands.run(request, reply, frame, countBody)
    },
  )

  app.delete<InQueue>(
    '/queues/:queue',
    {
      schema: describeRoute({
        tag: 'queues',
        summary: 'Delete a queue with all that is not completed; how many jobs',
        data: count,
        path: ['queue'],
        query: deleteFields,
      }),
    },
    (request, reply) => {
      const { queue } = request.params
      const asked = readQuery(deleteFields, request.query)
      if (isRefusal(asked)) return void sendRefusal(reply, asked)
      const frame = frameOf('DELETEQUEUE', { queue, ...asked })
      commands.run(request, reply, frame, countBody)
    },
  )

  const limit = (path: string, op: OpName, summary: string): void => {
    app.post<InQueue>(
      `/queues/:queue/${path}`,
      {
        schema: describeRoute({
          tag: 'queues',
          summary,
          data: nothing,
          path: ['queue'],
          body: objectOf({ limit: { ...count, maximum: 0xffff_ffff } }),
        }),
      },
      (request, reply) => {
        const { queue } = request.params
        const frame = frameOfBody(request, op, { queue })
        return commands.run(request, reply, frame, nullBody)
      },
    )
  }
  limit('rate-limit', 'RATELIMIT', 'At most so many jobs per second')
  limit('concurrency', 'SETCONCURRENCY', 'At most so many jobs at the same time')
}
