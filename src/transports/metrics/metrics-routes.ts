// /metrics/prometheus and /metrics/history, of the whole node.

import type { ConsumersOfNode } from '../consumers/consumers-of-node.ts'
import { sendData, sendRefusal } from '../http/answers.ts'
import { isRefusal, oneOf, readQuery } from '../http/fields.ts'
import type { RoutePlugin } from '../http/http-deps.ts'
import { mayReadNode } from '../http/node-reader.ts'
import { describeRoute, listOf, objectOf } from '../http/schemas.ts'
import { EXPOSITION_TYPE } from './exposition.ts'
import { type HistoryRange, historyRanges } from './history.ts'
import type { HistoryKeeper } from './history-keeper.ts'
import type { Scrapes } from './scrapes.ts'

export interface MetricsRoutesDeps {
  readonly scrapes: Scrapes
  readonly history: HistoryKeeper
  readonly consumers: ConsumersOfNode
}

const number = { type: 'number', minimum: 0 }
const pointSchema = objectOf({
  timestamp: { type: 'integer', description: 'Unix time in milliseconds' },
  queued: number,
  processing: number,
  delayed: number,
  dlq: number,
  completed: { ...number, description: 'since the beginning' },
  failed: { ...number, description: 'since the beginning' },
  throughput: { ...number, description: 'completed jobs per second' },
  latency_ms: { ...number, description: 'mean time from push to ack' },
})

const historyFields = {
  range: oneOf('how far back', Object.keys(historyRanges) as HistoryRange[]),
}

export function metricsRoutes({ scrapes, history, consumers }: MetricsRoutesDeps): RoutePlugin {
  return (app) => {
    app.get(
      '/metrics/prometheus',
      {
        config: { access: 'read' },
        schema: describeRoute({
          tag: 'server',
          summary: 'Metrics of the whole node in the text format of Prometheus',
          data: { type: 'string' },
        }),
      },
      async (request, reply) => {
        const refusal = mayReadNode(request)
        if (refusal !== null) return sendRefusal(reply, refusal)
        const { length } = await consumers.list()
        const text = await scrapes.text(length)
        return reply.header('content-type', EXPOSITION_TYPE).send(text)
      },
    )

    app.get(
      '/metrics/history',
      {
        config: { access: 'read' },
        schema: describeRoute({
          tag: 'server',
          summary: 'What the node did: the last 5 minutes, or up to 24 hours in coarser points',
          data: listOf(pointSchema),
          query: historyFields,
        }),
      },
      async (request, reply) => {
        const refusal = mayReadNode(request)
        if (refusal !== null) return sendRefusal(reply, refusal)
        const asked = readQuery(historyFields, request.query)
        if (isRefusal(asked)) return sendRefusal(reply, asked)
        return sendData(reply, await history.shown(asked.range ?? null))
      },
    )
  }
}
