// Every command as an HTTP request, and its answer as the reply that the command's reader knows.
//
// 1. A command's text begins with what it is about (queue, id or name): that goes into the path. The rest is the body
//    as it stands, so no payload is parsed and written again.
// 2. `{"ok":true,"data":…}` becomes a reply by the route's `reply`; a refusal has the same shape in both worlds.
//
// Neighbours: `http-transport.ts` sends them; `../command.ts` and the batches make the texts.

import { FlashQError } from '../errors.ts'
import type { Reply } from '../reply.ts'

/** With `data` and what may stand beside it. */
type Answer = Readonly<Record<string, unknown>>

interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** `{}` is what the command is about. */
  readonly path: string
  readonly reply: (data: unknown, about: string, answer: Answer) => Reply
  /** The body is what stands in this field. */
  readonly body?: string
}

export interface HttpCall {
  readonly method: string
  /** Path and query. */
  readonly path: string
  /** JSON, or null for none. */
  readonly body: string | null
  readonly reply: (data: unknown, answer: Answer) => Reply
}

const done = (): Reply => ({ ok: true })
const counted = (count: unknown): Reply => ({ ok: true, ids: [count] })
const under =
  (key: keyof Reply) =>
  (data: unknown): Reply => ({ ok: true, [key]: data })
/** How many, and why not the others. */
const outcome = (data: unknown): Reply => {
  const { count, errors } = data as { count: unknown; errors?: unknown }
  return errors === undefined ? { ok: true, ids: [count] } : { ok: true, ids: [count], errors }
}
/** The same object without its envelope. */
const flat = (data: unknown): Reply => ({ ...(data as object), ok: true })

const ROUTES: Readonly<Record<string, Route>> = {
  PUSH: { method: 'POST', path: '/queues/{}/jobs', reply: flat },
  PUSHB: { method: 'POST', path: '/queues/{}/jobs/batch', reply: flat },
  PULL: { method: 'POST', path: '/queues/{}/pull', reply: under('jobs') },
  PULLB: { method: 'POST', path: '/queues/{}/pull', reply: under('jobs') },
  ACK: { method: 'POST', path: '/jobs/{}/ack', reply: done },
  ACKB: { method: 'POST', path: '/jobs/ack', reply: outcome },
  FAIL: { method: 'POST', path: '/jobs/{}/fail', reply: done },
  HEARTBEAT: { method: 'POST', path: '/jobs/heartbeat', reply: outcome },
  RELEASE: { method: 'POST', path: '/jobs/release', reply: outcome },
  GETJOB: { method: 'GET', path: '/jobs/{}', reply: jobWithState },
  GETSTATE: { method: 'GET', path: '/jobs/{}/state', reply: flat },
  GETRESULT: { method: 'GET', path: '/jobs/{}/result', reply: under('result') },
  GETPROGRESS: { method: 'GET', path: '/jobs/{}/progress', reply: progress },
  PROMOTE: { method: 'POST', path: '/jobs/{}/promote', reply: done },
  LOG: { method: 'POST', path: '/jobs/{}/logs', reply: done },
  GETLOGS: { method: 'GET', path: '/jobs/{}/logs', reply: flat },
  LISTJOBS: { method: 'GET', path: '/jobs', reply: jobPage },
  DRAIN: { method: 'POST', path: '/queues/{}/drain', reply: counted },
  DELETEQUEUE: { method: 'DELETE', path: '/queues/{}', reply: counted },
  CANCEL: { method: 'POST', path: '/jobs/{}/cancel', reply: done },
  PROGRESS: { method: 'POST', path: '/jobs/{}/progress', reply: done },
  DLQ: { method: 'GET', path: '/queues/{}/dlq', reply: under('jobs') },
  RETRYDLQ: { method: 'POST', path: '/queues/{}/dlq/retry', reply: counted },
  'RETRYDLQ id': { method: 'POST', path: '/queues/{}/dlq/{id}/retry', reply: counted },
  'PURGEDLQ id': { method: 'DELETE', path: '/queues/{}/dlq/{id}', reply: counted },
  PURGEDLQ: { method: 'DELETE', path: '/queues/{}/dlq', reply: counted },
  METRICS: { method: 'GET', path: '/metrics', reply: under('metrics') },
  STATS: { method: 'GET', path: '/stats', reply: flat },
  CRON: { method: 'POST', path: '/crons/{}', reply: done },
  CRONDELETE: { method: 'DELETE', path: '/crons/{}', reply: cronDeleted },
  CRONLIST: { method: 'GET', path: '/crons', reply: under('crons') },
  WEBHOOK: { method: 'POST', path: '/webhooks', reply: under('id') },
  'WEBHOOK id': { method: 'PATCH', path: '/webhooks/{}', reply: under('id') },
  WEBHOOKDELETE: { method: 'DELETE', path: '/webhooks/{}', reply: webhookDeleted },
  WEBHOOKLIST: { method: 'GET', path: '/webhooks', reply: under('webhooks') },
  WEBHOOKPING: { method: 'POST', path: '/webhooks/{}/test', reply: under('id') },
  WEBHOOKLOG: { method: 'GET', path: '/webhooks/{}/deliveries', reply: under('deliveries') },
  RATELIMIT: { method: 'POST', path: '/queues/{}/rate-limit', reply: done },
  RATELIMITCLEAR: { method: 'DELETE', path: '/queues/{}/rate-limit', reply: done },
  PAUSE: { method: 'POST', path: '/queues/{}/pause', reply: done },
  RESUME: { method: 'POST', path: '/queues/{}/resume', reply: done },
  SETCONCURRENCY: { method: 'POST', path: '/queues/{}/concurrency', reply: done },
  CLEARCONCURRENCY: { method: 'DELETE', path: '/queues/{}/concurrency', reply: done },
  HELLO: { method: 'POST', path: '/workers/{}/heartbeat', reply: done, body: 'data' },
  WORKERS: { method: 'GET', path: '/workers', reply: under('workers') },
  NODES: { method: 'GET', path: '/cluster/nodes', reply: under('nodes') },
  HEALTH: { method: 'GET', path: '/health', reply: under('health') },
  LISTQUEUES: { method: 'GET', path: '/queues', reply: under('queues') },
}

/** Throws for a command that HTTP does not have. `fields` as in the line protocol. */
export function httpCallOf(name: string, fields: string): HttpCall {
  // One dead letter has a path of its own.
  const [, letter] = /^(?:RETRY|PURGE)DLQ .*,"id":(\d+)$/s.exec(`${name} ${fields}`) ?? []
  const isKnown = letter !== undefined || (name === 'WEBHOOK' && fields.startsWith(',"id":'))
  const route = ROUTES[isKnown ? `${name} id` : name]
  if (route === undefined) throw new FlashQError('unsupported', `HTTP has no ${name}`)
  if (letter !== undefined) return deadLetterCall(route, fields, letter)
  const [about, rest] = route.path.includes('{}') ? split(fields) : ['', fields]
  const path = route.path.replace('{}', () => encodeURIComponent(about))
  const hasBody = route.method === 'POST' || route.method === 'PATCH'
  return {
    method: route.method,
    path: hasBody ? path : path + queryOf(rest),
    body: hasBody ? bodyOf(route, rest) : null,
    reply: (data, answer) => route.reply(data, about, answer),
  }
}

function deadLetterCall(route: Route, fields: string, id: string): HttpCall {
  const [queue] = split(fields)
  const path = route.path.replace('{}', () => encodeURIComponent(queue)).replace('{id}', id)
  return {
    method: route.method,
    path,
    body: null,
    reply: (data, answer) => route.reply(data, queue, answer),
  }
}

/** What a command is about, and the fields that follow. */
function split(fields: string): [about: string, rest: string] {
  const found = /^,"(?:queue|id|name)":("(?:[^"\\]|\\.)*"|\d+)/.exec(fields)
  if (found === null) throw new TypeError('a queue, an id or a name is missing, or no such thing')
  const [all, about = ''] = found
  return [String(JSON.parse(about)), fields.slice(all.length)]
}

function bodyOf({ body }: Route, rest: string): string {
  return body === undefined ? `{${rest.slice(1)}}` : rest.slice(`,"${body}":`.length)
}

function queryOf(rest: string): string {
  if (rest === '') return ''
  const fields = JSON.parse(`{${rest.slice(1)}}`) as Record<string, unknown>
  const query = new URLSearchParams()
  for (const [key, value] of Object.entries(fields))
    if (value !== null) query.set(key, String(value))
  return `?${query}`
}

function jobWithState(data: unknown): Reply {
  const { state, result, error, finished_at, ...job } = data as Record<string, unknown>
  return { ok: true, job: 'id' in job ? job : null, state, result, error, finished_at }
}

/** The list is the data, as it always was; the cursor stands beside it. */
function jobPage(data: unknown, _about: string, { cursor }: Answer): Reply {
  return Array.isArray(data) ? { ok: true, jobs: data, cursor } : flat(data)
}

function progress(data: unknown, about: string): Reply {
  const [value, message] = data as [unknown, unknown]
  return { ok: true, progress: { id: Number(about), progress: value, message } }
}

/** HTTP does not mind what is not there; the command does. */
function cronDeleted(data: unknown): Reply {
  if (data === true) return { ok: true }
  return { ok: false, error: 'Cron job not found', code: 'cron_not_found' }
}

function webhookDeleted(data: unknown): Reply {
  if (data === true) return { ok: true }
  return { ok: false, error: 'Webhook not found', code: 'webhook_not_found' }
}
