// The figures of the whole node.

import { frameOf } from '../../wire/frames.ts'
import type { RoutePlugin } from '../http-deps.ts'
import { fieldsBody, valueBody } from '../reply-lines.ts'
import { describeRoute, ref } from '../schemas.ts'

export const figureRoutes: RoutePlugin = (app, { commands }) => {
  app.get(
    '/stats',
    { schema: describeRoute({ tag: 'server', summary: 'Jobs by state', data: ref('Stats') }) },
    (request, reply) => commands.run(request, reply, frameOf('STATS', {}), fieldsBody),
  )
  app.get(
    '/metrics',
    { schema: describeRoute({ tag: 'server', summary: 'Counters', data: ref('Metrics') }) },
    (request, reply) => commands.run(request, reply, frameOf('METRICS', {}), valueBody),
  )
}
