// Pulls: by GET as ever (it changes things, though it is a GET), and by POST.
//
// A pull waits for a bounded time, and then answers with an empty list. When its client goes away it waits no longer.

import type { FastifyReply, FastifyRequest } from 'fastify'
import { limits } from '../../../engine/limits.ts'
import { refusals } from '../../../engine/refusal.ts'
import { frameOf } from '../../wire/frames.ts'
import { sendData, sendRefusal } from '../answers.ts'
import { flag, isRefusal, readBody, readQuery, schemaOf, uint, type Values } from '../fields.ts'
import type { HttpDeps, RoutePlugin } from '../http-deps.ts'
import { bodyOf } from '../json-bodies.ts'
import { valueBody } from '../reply-lines.ts'
import { describeRoute, listOf, ref } from '../schemas.ts'

const pullFields = {
  count: uint({ description: 'jobs at most; above 1,000 counts as 1,000', default: 1 }),
  timeout: uint({
    description: 'ms to wait for a first job; 0 = not at all',
    max: limits.pollMsMax,
    default: limits.pollMs,
  }),
  lease: uint({ description: 'ms within which a job must be done', max: limits.leaseMsMax }),
  token: flag('show the token of each delivery'),
}

interface InQueue {
  Params: { queue: string }
}

export const pullRoutes: RoutePlugin = (app, deps) => {
  const described = { tag: 'jobs', data: listOf(ref('PulledJob')), path: ['queue'] } as const

  app.get<InQueue>(
    '/queues/:queue/jobs',
    { schema: describeRoute({ ...described, summary: 'Pull jobs', query: pullFields }) },
    (request, reply) => {
      const asked = readQuery(pullFields, request.query)
      if (isRefusal(asked)) sendRefusal(reply, asked)
      else pull(deps, request, reply, asked)
    },
  )

  app.post<InQueue>(
    '/queues/:queue/pull',
    {
      schema: describeRoute({ ...described, summary: 'Pull jobs', body: schemaOf(pullFields) }),
    },
    (request, reply) => {
      const asked = readBody(pullFields, bodyOf(request)?.bytes)
      bodyOf(request)?.giveBack()
      if (isRefusal(asked)) sendRefusal(reply, asked)
      else pull(deps, request, reply, asked)
    },
  )
}

function pull(
  { commands, polls }: HttpDeps,
  request: FastifyRequest<InQueue>,
  reply: FastifyReply,
  asked: Values<typeof pullFields>,
): void {
  const { queue } = request.params
  const { count = 1, timeout = limits.pollMs, lease, token } = asked
  if (polls.isFull(request.raw.socket)) return void sendRefusal(reply, refusals.tooManyWaiting)
  const frame = frameOf('PULLB', { queue, count, wait: timeout, lease, token })
  polls.wait(request.principal, frame, request.raw.socket, (answer) => {
    if (answer === null) sendData(reply, [])
    else commands.give(reply, answer, valueBody)
  })
}
