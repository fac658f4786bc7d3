// The routes that a HTTP door has by itself.

import type { RoutePlugin } from './http-deps.ts'
import { cronRoutes } from './routes/crons.ts'
import { deadLetterRoutes } from './routes/dead-letters.ts'
import { figureRoutes } from './routes/figures.ts'
import { incomingRoutes } from './routes/incoming.ts'
import { jobRoutes } from './routes/jobs.ts'
import { listRoutes } from './routes/lists.ts'
import { nodeRoutes } from './routes/node.ts'
import { pullRoutes } from './routes/pulls.ts'
import { pushRoutes } from './routes/pushes.ts'
import { queueRoutes } from './routes/queues.ts'
import { runRoutes } from './routes/runs.ts'
import { webhookActions, webhookRoutes } from './routes/webhooks.ts'

export const standardRoutes: readonly RoutePlugin[] = [
  pushRoutes,
  pullRoutes,
  runRoutes,
  jobRoutes,
  listRoutes,
  deadLetterRoutes,
  queueRoutes,
  cronRoutes,
  figureRoutes,
  incomingRoutes,
  webhookRoutes,
  webhookActions,
  nodeRoutes,
]
