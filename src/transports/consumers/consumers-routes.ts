// /workers: who consumes, over all workers of the node; and heartbeats of consumers that pull over HTTP.

import { refusals } from '../../engine/refusal.ts'
import { mayUse } from '../auth/principal.ts'
import { sendData, sendRefusal } from '../http/answers.ts'
import type { RoutePlugin } from '../http/http-deps.ts'
import { bodyOf } from '../http/json-bodies.ts'
import { mayReadNode } from '../http/node-reader.ts'
import { describeRoute, listOf, objectOf } from '../http/schemas.ts'
import { parseClaims } from './consumer.ts'
import type { Consumers } from './consumers.ts'
import type { ConsumersOfNode } from './consumers-of-node.ts'

const NO_BODY = Buffer.alloc(0)

const uint = { type: 'integer', minimum: 0 }
const text = { type: 'string' }
const textOrNull = { type: ['string', 'null'] }

const consumerSchema = objectOf({
  id: text,
  queues: listOf(text),
  concurrency: uint,
  last_heartbeat: { ...uint, description: 'Unix time in milliseconds' },
  jobs_processed: uint,
  active: { ...uint, description: 'jobs that it was given and has not ended' },
  connections: uint,
  host: textOrNull,
  address: textOrNull,
  version: textOrNull,
  door: text,
})

export function consumersRoutes(consumers: Consumers, ofNode: ConsumersOfNode): RoutePlugin {
  return (app) => {
    app.get(
      '/workers',
      {
        config: { access: 'read' },
        schema: describeRoute({
          tag: 'server',
          summary: 'Consumers that were heard of in the last 30 seconds, or are connected',
          data: listOf(consumerSchema),
        }),
      },
      async (request, reply) => {
        const refusal = mayReadNode(request)
        if (refusal !== null) return sendRefusal(reply, refusal)
        return sendData(reply, await ofNode.list())
      },
    )

    app.post<{ Params: { worker: string } }>(
      '/workers/:worker/heartbeat',
      {
        config: { access: 'consume' },
        schema: describeRoute({
          tag: 'server',
          summary: 'A consumer says that it is there',
          data: { type: 'null' },
          path: ['worker'],
          body: objectOf(
            {
              queues: listOf(text),
              concurrency: uint,
              processed: uint,
              active: uint,
              host: text,
              version: text,
            },
            ['queues'],
          ),
        }),
      },
      (request, reply) => {
        const body = bodyOf(request)
        const claims = parseClaims(body?.bytes ?? NO_BODY)
        body?.giveBack()
        if ('code' in claims) return sendRefusal(reply, claims)
        const isOwn = (claims.queues ?? []).every((queue) => mayUse(request.principal, queue))
        if (!isOwn) return sendRefusal(reply, refusals.forbidden)
        const { remoteAddress = null } = request.raw.socket
        const refusal = consumers.heartbeat(request.params.worker, claims, remoteAddress)
        return refusal === null ? sendData(reply, null) : sendRefusal(reply, refusal)
      },
    )
  }
}
