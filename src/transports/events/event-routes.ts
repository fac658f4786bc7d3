// `GET /events` and `GET /events/{queue}`: events as Server-Sent Events. And `/ws`, which is no route but an upgrade.
//
// In: requests that the HTTP door has let through. Next: event-streams.ts

// For `summary` in the schemas of routes.
import type {} from '@fastify/swagger'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Refusal } from '../../engine/refusal.ts'
import { refusals } from '../../engine/refusal.ts'
import { ownerOf } from '../auth/owner.ts'
import { sendHttpRefusal } from '../http/answers.ts'
import type { RoutePlugin } from '../http/http-deps.ts'
import { httpRefusal } from '../http/http-refusal.ts'
import type { EventDeps } from './event-deps.ts'
import { EventStreams } from './event-streams.ts'
import { type EventFilter, filterOf, type Wanted } from './filter.ts'
import { realMoments } from './pacer.ts'
import { SseSink } from './sse-sink.ts'
import { WebSocketDoor } from './web-socket-door.ts'

const SUMMARY = 'Events as they happen, as Server-Sent Events'
const parts = {
  types: {
    type: 'string',
    description: 'Event types, with commas between them; all when it is left out',
  },
  queues: {
    type: 'string',
    description: 'Queues, with commas between them; all when it is left out',
  },
  lastEventId: { type: 'string', description: 'In place of the header Last-Event-ID' },
}
const response = {
  200: {
    description:
      'An event a message: its type in `event`, its place in `id`, the event object in `data`',
    content: { 'text/event-stream': { schema: { type: 'string' } } },
  },
}

/** Of the HTTP door. */
export const events: RoutePlugin = (app, http) => {
  const { clock, log, gate, guard, origins, bearer, auth, usage, admission } = http
  const traffic = http.traffic.events
  const streams = new EventStreams({
    ...{ feed: gate.feed, clock, log, traffic, usage, moments: realMoments },
  })
  eventRoutes(app, {
    streams,
    clock,
    traffic,
    guard,
    origins,
    bearer,
    admission,
    principalOf: (request) => request.principal,
    answerOf: httpRefusal,
    isAllowed: (principal) => auth.isValid(principal),
  })
}

function eventRoutes(app: FastifyInstance, deps: EventDeps): void {
  const { types, lastEventId } = parts
  app.get(
    '/events',
    {
      schema: {
        summary: SUMMARY,
        querystring: { type: 'object', properties: parts },
        response,
      },
    },
    (request, reply) => answer(deps, request, reply, undefined),
  )
  app.get<{ Params: { queue: string } }>(
    '/events/:queue',
    {
      schema: {
        summary: `${SUMMARY}, of one queue`,
        params: { type: 'object', properties: { queue: { type: 'string' } } },
        querystring: { type: 'object', properties: { types, lastEventId } },
        response,
      },
    },
    (request, reply) => answer(deps, request, reply, request.params.queue),
  )
  new WebSocketDoor(deps).attach(app.server)
  app.addHook('preClose', (done) => {
    deps.streams.drain()
    done()
  })
}

function answer(
  deps: EventDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  queue: string | undefined,
): void {
  const principal = deps.principalOf(request)
  const owner = ownerOf(principal, request.raw.socket.remoteAddress ?? null)
  const wanted = wantedOf(request.query as Record<string, unknown>, queue)
  const filter = 'code' in wanted ? wanted : filterOf(principal, wanted)
  const refusal = 'code' in filter ? filter : deps.streams.refusalFor(owner)
  if (refusal !== null || 'code' in filter) {
    return void sendHttpRefusal(reply, deps.answerOf(refusal ?? (filter as Refusal)))
  }
  begin(deps, request, reply, filter, owner)
}

function begin(
  deps: EventDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  filter: EventFilter,
  owner: string,
): void {
  const { streams } = deps
  const principal = deps.principalOf(request)
  const headers = reply.getHeaders() as Record<string, string>
  reply.hijack()
  const sink = new SseSink(reply.raw, () => streams.drained())
  const stream = streams.open({
    filter,
    sink,
    owner,
    lastEventId: lastEventIdOf(request),
    begun: (id) => sink.begin(id, headers),
    isAllowed: () => deps.isAllowed(principal),
  })
  reply.raw.on('close', () => streams.close(stream))
}

/** What is given twice is refused: nobody knows which of them was meant. */
function wantedOf(query: Record<string, unknown>, queue: string | undefined): Wanted | Refusal {
  const { types, queues } = query
  const known = [types, queues, query['lastEventId']]
  if (known.some((value) => value !== undefined && typeof value !== 'string')) {
    return refusals.invalid('a parameter is given twice')
  }
  return { types: types as string | undefined, queues: queue ?? (queues as string | undefined) }
}

/** Null: it begins now. */
function lastEventIdOf(request: FastifyRequest): string | null {
  const header = request.headers['last-event-id']
  const text =
    typeof header === 'string' ? header : (request.query as Record<string, unknown>)['lastEventId']
  return typeof text === 'string' && text !== '' ? text : null
}
