// /health, /livez, /readyz for whoever watches from outside, /health/cluster for whoever looks inside.

import { sendData, sendRefusal } from '../http/answers.ts'
import type { RoutePlugin } from '../http/http-deps.ts'
import { mayReadNode } from '../http/node-reader.ts'
import { describeRoute, listOf, objectOf, ref } from '../http/schemas.ts'
import type { NodeHealth } from './node-health.ts'

const UNHEALTHY = 503
const yesOrNo = { type: 'boolean' }
const checks = listOf(
  objectOf({ name: { type: 'string' }, ok: yesOrNo, detail: { type: 'string' } }),
)

export function healthRoutes(health: NodeHealth): RoutePlugin {
  return (app, { config, node }) => {
    const open = { exposeHeadRoute: true, config: { access: 'public' } } as const

    app.get(
      '/livez',
      {
        ...open,
        schema: describeRoute({
          tag: 'server',
          summary: 'Whether the event loop of a worker answers; nothing else',
          data: { const: 'alive' },
          isPublic: true,
        }),
      },
      (_request, reply) => sendData(reply, 'alive'),
    )

    app.get(
      '/readyz',
      {
        ...open,
        schema: describeRoute({
          tag: 'server',
          summary: 'Whether requests should be sent here; status 503 when not',
          data: objectOf({ ready: yesOrNo, checks }),
          isPublic: true,
        }),
      },
      async (_request, reply) => {
        const { ready, checks: made } = await health.readiness()
        if (!ready) reply.code(UNHEALTHY)
        return sendData(reply, { ready, checks: made })
      },
    )

    app.get(
      '/health',
      {
        ...open,
        schema: describeRoute({
          tag: 'server',
          summary: 'Whether it is well; status 503 when not',
          data: ref('Health'),
          isPublic: true,
        }),
      },
      async (_request, reply) => {
        const { ready, storeUp } = await health.readiness()
        const isHealthy = ready && storeUp !== false && node.leads()
        if (!isHealthy) reply.code(UNHEALTHY)
        return sendData(reply, {
          status: isHealthy ? 'healthy' : 'unhealthy',
          node_id: node.id,
          is_leader: node.leads(),
          // With a database other nodes may stand by.
          cluster_enabled: config.databaseUrl !== null,
          postgres_connected: storeUp === true,
        })
      },
    )

    app.get(
      '/health/cluster',
      {
        config: { access: 'read' },
        schema: describeRoute({
          tag: 'server',
          summary:
            'Every worker and shard, and staged checks: the first that fails says where to look',
          data: objectOf({
            node_id: { type: ['string', 'null'] },
            ok: yesOrNo,
            first_failure: { type: ['string', 'null'] },
            checks,
            lease_left_ms: { type: ['number', 'null'] },
            workers: listOf({ type: 'object' }),
            silent: listOf({ type: 'integer' }),
            shards: listOf({ type: 'object' }),
          }),
        }),
      },
      async (request, reply) => {
        const refusal = mayReadNode(request)
        if (refusal !== null) return sendRefusal(reply, refusal)
        return sendData(reply, { node_id: node.id, ...(await health.cluster()) })
      },
    )
  }
}
