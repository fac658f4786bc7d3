// The dead letters of a queue: seen, retried, purged; all of them or one.

import { frameOf } from '../../wire/frames.ts'
import { sendRefusal } from '../answers.ts'
import { isRefusal, readId, readQuery, uint } from '../fields.ts'
import type { RoutePlugin } from '../http-deps.ts'
import { countBody, valueBody } from '../reply-lines.ts'
import { count, describeRoute, listOf, ref } from '../schemas.ts'

interface InQueue {
  Params: { queue: string }
}

const listFields = {
  count: uint({ description: 'at most; above 1,000 counts as 1,000', default: 100 }),
}

export const deadLetterRoutes: RoutePlugin = (app, { commands }) => {
  app.get<InQueue>(
    '/queues/:queue/dlq',
    {
      schema: describeRoute({
        tag: 'queues',
        summary: 'Dead letters, oldest failure first',
        data: listOf(ref('Job')),
        path: ['queue'],
        query: listFields,
      }),
    },
    (request, reply) => {
      const { queue } = request.params
      const asked = readQuery(listFields, request.query)
      if (isRefusal(asked)) return void sendRefusal(reply, asked)
      const frame = frameOf('DLQ', { queue, count: asked.count })
      return commands.run(request, reply, frame, valueBody)
    },
  )

  const described = { tag: 'queues', data: count } as const
  app.post<InQueue>(
    '/queues/:queue/dlq/retry',
    { schema: describeRoute({ ...described, summary: 'Retry all', path: ['queue'] }) },
    (request, reply) => {
      const { queue } = request.params
      const frame = frameOf('RETRYDLQ', { queue })
      return commands.run(request, reply, frame, countBody)
    },
  )
  app.post<{ Params: { queue: string; id: string } }>(
    '/queues/:queue/dlq/:id/retry',
    { schema: describeRoute({ ...described, summary: 'Retry one', path: ['queue', 'id'] }) },
    (request, reply) => {
      const { queue } = request.params
      const id = readId(request.params.id)
      if (isRefusal(id)) return void sendRefusal(reply, id)
      const frame = frameOf('RETRYDLQ', { queue, id })
      return commands.run(request, reply, frame, countBody)
    },
  )
  app.delete<InQueue>(
    '/queues/:queue/dlq',
    { schema: describeRoute({ ...described, summary: 'Purge all', path: ['queue'] }) },
    (request, reply) => {
      const { queue } = request.params
      const frame = frameOf('PURGEDLQ', { queue })
      return commands.run(request, reply, frame, countBody)
    },
  )
  app.delete<{ Params: { queue: string; id: string } }>(
    '/queues/:queue/dlq/:id',
    { schema: describeRoute({ ...described, summary: 'Purge one', path: ['queue', 'id'] }) },
    (request, reply) => {
      const { queue } = request.params
      const id = readId(request.params.id)
      if (isRefusal(id)) return void sendRefusal(reply, id)
      const frame = frameOf('PURGEDLQ', { queue, id })
      return commands.run(request, reply, frame, countBody)
    },
  )
}
