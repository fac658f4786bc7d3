// Webhooks that go out: which there are, new ones, how their deliveries went. Secrets come in here and never go out.
//
// Whose token is limited to some queues may add webhooks of those, and nothing else (`authorize`).

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { OpName } from '../../../engine/op.ts'
import { EventKind } from '../../../engine/ports.ts'
import { refusals } from '../../../engine/refusal.ts'
import { frameOf } from '../../wire/frames.ts'
import { NO_DATA, sendData } from '../answers.ts'
import { type HttpCommands, sendRefused } from '../http-commands.ts'
import type { RoutePlugin } from '../http-deps.ts'
import { frameOfBody, frameOfRequiredBody } from '../json-bodies.ts'
import { codeOf, valueBody } from '../reply-lines.ts'
import { describeRoute, listOf, nothing, objectOf, yesOrNo } from '../schemas.ts'

interface Identified {
  Params: { webhook: string }
}

const TRUE = Buffer.from('{"ok":true,"data":true}')

const text = { type: 'string' }
const textOrNull = { type: ['string', 'null'] }
const uint = { type: 'integer', minimum: 0 }
const events = listOf({
  ...text,
  description: `${Object.keys(EventKind).join(', ')}, each also with job. before it, or * for all`,
})
const terms = {
  url: { ...text, maxLength: 2048 },
  events,
  queue: { ...textOrNull, description: 'null: every queue' },
  secret: { ...textOrNull, description: 'what deliveries are signed with; never shown' },
  headers: { type: 'object', additionalProperties: text, description: 'sent along; never shown' },
}
const shown = objectOf({
  ...{ id: text, url: text, events, queue: textOrNull },
  secret: { ...textOrNull, description: 'masked' },
  created_at: uint,
  headers: { type: 'object', additionalProperties: text, description: 'masked' },
  enabled: { type: 'boolean' },
  reason: { ...textOrNull, description: 'why it is not enabled' },
})
const tried = objectOf({
  ...{ id: text, event: text, attempt: uint, at: uint, ok: { type: 'boolean' } },
  ...{ status: { type: ['integer', 'null'] }, error: textOrNull, took_ms: uint },
  next_at: { type: ['integer', 'null'], description: 'when it is tried again' },
})

const tag = 'webhooks'
const path = ['webhook'] as const

export const webhookRoutes: RoutePlugin = (app, { commands }) => {
  app.get(
    '/webhooks',
    { schema: describeRoute({ tag, summary: 'All webhooks', data: listOf(shown) }) },
    (request, reply) => commands.run(request, reply, frameOf('WEBHOOKLIST', {}), valueBody),
  )

  app.post(
    '/webhooks',
    {
      schema: describeRoute({
        ...{ tag, summary: 'Tell a URL of events; answers its id', data: text },
        body: objectOf(terms, ['url', 'events']),
      }),
    },
    (request, reply) => {
      const frame = frameOfRequiredBody(request, 'WEBHOOK', {})
      return commands.run(request, reply, frame, valueBody)
    },
  )

  app.patch<Identified>(
    '/webhooks/:webhook',
    {
      schema: describeRoute({
        ...{ tag, summary: 'Change what is named; the secret before signs for a day more', path },
        ...{ data: text, body: objectOf(terms, []) },
      }),
    },
    (request, reply) => {
      const frame = frameOfBody(request, 'WEBHOOK', idOf(request))
      return commands.run(request, reply, frame, valueBody)
    },
  )

  app.delete<Identified>(
    '/webhooks/:webhook',
    {
      schema: describeRoute({
        ...{ tag, summary: 'Remove a webhook, and what was to be delivered to it', path },
        data: { ...yesOrNo, description: 'false when there is none' },
      }),
    },
    (request, reply) => {
      const frame = frameOf('WEBHOOKDELETE', idOf(request))
      commands.run(request, reply, frame, () => TRUE, sendRemoved)
    },
  )
}

/** Routes about one webhook. */
export const webhookActions: RoutePlugin = (app, { commands }) => {
  for (const [verb, enabled] of [
    ['enable', true],
    ['disable', false],
  ] as const) {
    app.post<Identified>(
      `/webhooks/:webhook/${verb}`,
      {
        schema: describeRoute({
          ...{ tag, path, data: nothing },
          summary: enabled
            ? 'Deliver again, also what waited'
            : 'Deliver nothing until it is enabled',
        }),
      },
      (request, reply) => {
        const frame = frameOf('WEBHOOK', { ...idOf(request), enabled })
        return commands.run(request, reply, frame, () => NO_DATA)
      },
    )
  }

  app.post<Identified>(
    '/webhooks/:webhook/test',
    {
      schema: describeRoute({
        ...{ tag, summary: 'Deliver a ping; answers the id of the delivery', path, data: text },
      }),
    },
    (request, reply) => about(commands, request, reply, 'WEBHOOKPING'),
  )

  app.get<Identified>(
    '/webhooks/:webhook/deliveries',
    {
      schema: describeRoute({
        ...{ tag, summary: 'Its last attempts, the newest first', path, data: listOf(tried) },
      }),
    },
    (request, reply) => about(commands, request, reply, 'WEBHOOKLOG'),
  )
}

function idOf({ params }: FastifyRequest<Identified>): { id: string } {
  return { id: params.webhook }
}

function about(
  commands: HttpCommands,
  request: FastifyRequest<Identified>,
  reply: FastifyReply,
  op: OpName,
): void {
  commands.run(request, reply, frameOf(op, idOf(request)), valueBody)
}

/** That there was none is no refusal. */
function sendRemoved(reply: FastifyReply, line: Buffer): void {
  if (codeOf(line) === refusals.webhookNotFound.code) sendData(reply, false)
  else sendRefused(reply, line)
}
