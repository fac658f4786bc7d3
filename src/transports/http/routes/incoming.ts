// Jobs from whoever can send JSON and nothing else: the whole body is the job's data, with default options.
//
// With WEBHOOK_INCOMING_SECRET the body must be signed, and the signature stands for a token: those who send webhooks
// have none.

import type { IncomingHttpHeaders } from 'node:http'
import { refusals } from '../../../engine/refusal.ts'
import type { Principal } from '../../auth/principal.ts'
import { isSignedBy } from '../../webhooks/signature.ts'
import { frameOf, refuseJson } from '../../wire/frames.ts'
import { readTraceContext, tagsOf } from '../../wire/trace-tags.ts'
import { sendRefusal } from '../answers.ts'
import type { RoutePlugin } from '../http-deps.ts'
import { bodyOf } from '../json-bodies.ts'
import { jobBody } from '../reply-lines.ts'
import { anyJson, describeRoute, ref } from '../schemas.ts'

const NO_BYTES = Buffer.alloc(0)

/** Whoever signs. */
const signer: Principal = { name: 'webhook', scopes: new Set(['produce']), queues: null }

export const incomingRoutes: RoutePlugin = (app, { commands, config, clock }) => {
  const secrets = config.webhookIncomingSecrets
  app.post<{ Params: { queue: string } }>(
    '/webhooks/incoming/:queue',
    {
      schema: describeRoute({
        tag: 'jobs',
        summary: 'Push any JSON as the data of a job',
        data: ref('Job'),
        path: ['queue'],
        body: anyJson,
      }),
      ...(secrets.length > 0 ? { config: { access: 'own' } } : {}),
    },
    (request, reply) => {
      const { queue } = request.params
      const data = bodyOf(request)?.bytes ?? NO_BYTES
      if (secrets.length > 0) {
        const isGood = isSignedBy(secrets, request.headers, data, clock.nowMs())
        if (!isGood) return sendRefusal(reply, refusals.signatureInvalid)
        request.principal = signer
      }
      // It becomes a part of a frame: what is no JSON could say more than its data.
      const frame =
        refuseJson(data) ??
        frameOf('PUSH', { queue, full: true, data, tags: tagsOfHeaders(request.headers) })
      return commands.run(request, reply, frame, jobBody)
    },
  )
}

/** Undefined when the sender has no trace. */
function tagsOfHeaders({ traceparent, tracestate }: IncomingHttpHeaders): string[] | undefined {
  const context = readTraceContext(traceparent, tracestate)
  return context === null ? undefined : tagsOf(context)
}
