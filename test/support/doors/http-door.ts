// HTTP: each command as the route that it is, each answer back in the fields of the wire.
//
// That there was no cron, or webhook, to delete is `false` there, not a refusal; and a push answers with the whole job.

import {
  Agent,
  type ClientRequest,
  type IncomingHttpHeaders,
  type RequestOptions,
  request,
} from 'node:http'
import { expect, onTestFinished } from 'vitest'
import type { OpName } from '../../../src/engine/op.ts'
import type { RefusalCode } from '../../../src/engine/refusal.ts'
import { retryAfterOf, statusOf } from '../../../src/transports/http/http-refusal.ts'
import { type Command, type DoorClient, done, type Outcome, refused } from './door-client.ts'
import { readExact, writeExact } from './exact-json.ts'

type Value = Record<string, unknown>

interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** Fields of the command between colons; what a path names is not in the body. */
  readonly path: string
  /** `data` of the answer, and what is beside it, as the wire has it. */
  readonly value: (data: never, beside: Value) => Value | null
  /** Fields that are in the query; of the others a body is made. */
  readonly query?: readonly string[]
}

const nothing = (data: unknown): Value => {
  expect(data).toBeNull()
  return {}
}
const itself = (data: Value): Value => data
const named = (id: string): Value => ({ id })
const counted = (data: number): Value => ({ ids: [data] })
const counts = ({ count, ...rest }: Value): Value => ({ ids: [count], ...rest })

const post = (path: string, value: Route['value'] = nothing): Route => ({
  method: 'POST',
  path,
  value,
})
const get = (path: string, value: Route['value'], query: readonly string[] = []): Route => ({
  method: 'GET',
  path,
  value,
  query,
})
const remove = (path: string, value: Route['value'], query: readonly string[] = []): Route => ({
  method: 'DELETE',
  path,
  value,
  query,
})

const listFields = [
  'queue',
  'state',
  'tag',
  'since',
  'until',
  'text',
  'limit',
  'cursor',
  'offset',
] as const

const routes: Partial<Record<OpName, (command: Command) => Route>> = {
  PUSH: () => post('/queues/:queue/jobs', ({ id }: Value) => ({ id })),
  PUSHB: () => post('/queues/:queue/jobs/batch', itself),
  PULL: () => post('/queues/:queue/pull', (jobs: Value[]) => ({ job: jobs[0] ?? null })),
  PULLB: () => post('/queues/:queue/pull', (jobs: Value[]) => ({ jobs })),
  ACK: () => post('/jobs/:id/ack'),
  ACKB: () => post('/jobs/ack', counts),
  FAIL: () => post('/jobs/:id/fail'),
  CANCEL: () => post('/jobs/:id/cancel'),
  PROMOTE: () => post('/jobs/:id/promote'),
  PROGRESS: () => post('/jobs/:id/progress'),
  HEARTBEAT: ({ id }) =>
    id === undefined ? post('/jobs/heartbeat', counts) : post('/jobs/:id/heartbeat'),
  RELEASE: ({ id }) =>
    id === undefined ? post('/jobs/release', counts) : post('/jobs/:id/release'),
  LOG: () => post('/jobs/:id/logs'),
  GETLOGS: () => get('/jobs/:id/logs', itself),
  GETSTATE: () => get('/jobs/:id/state', itself),
  GETJOB: () => get('/jobs/:id', unflattened),
  GETRESULT: ({ id }) => get('/jobs/:id/result', (result: string | null) => ({ id, result })),
  GETPROGRESS: ({ id }) =>
    get('/jobs/:id/progress', ([progress, message]: [number, string | null]) => ({
      progress: { id, progress, message },
    })),
  DLQ: () => get('/queues/:queue/dlq', (jobs: Value[]) => ({ jobs }), ['count']),
  RETRYDLQ: ({ id }) =>
    post(id === undefined ? '/queues/:queue/dlq/retry' : '/queues/:queue/dlq/:id/retry', counted),
  PURGEDLQ: ({ id }) =>
    remove(id === undefined ? '/queues/:queue/dlq' : '/queues/:queue/dlq/:id', counted),
  DRAIN: () => post('/queues/:queue/drain', counted),
  DELETEQUEUE: () => remove('/queues/:queue', counted, ['force']),
  PAUSE: () => post('/queues/:queue/pause'),
  RESUME: () => post('/queues/:queue/resume'),
  RATELIMIT: () => post('/queues/:queue/rate-limit'),
  RATELIMITCLEAR: () => remove('/queues/:queue/rate-limit', nothing),
  SETCONCURRENCY: () => post('/queues/:queue/concurrency'),
  CLEARCONCURRENCY: () => remove('/queues/:queue/concurrency', nothing),
  STATS: () => get('/stats', itself),
  LISTQUEUES: () => get('/queues', (queues: Value[]) => ({ queues })),
  LISTJOBS: () => get('/jobs', (jobs: Value[], { cursor }) => ({ jobs, cursor }), listFields),
  CRON: () => post('/crons/:name'),
  CRONLIST: () => get('/crons', (crons: Value[]) => ({ crons })),
  CRONDELETE: () => remove('/crons/:name', (was: boolean) => (was ? {} : null)),
  WEBHOOK: ({ id }) =>
    id === undefined
      ? post('/webhooks', named)
      : { ...post('/webhooks/:id', named), method: 'PATCH' },
  WEBHOOKDELETE: () => remove('/webhooks/:id', (was: boolean) => (was ? {} : null)),
  WEBHOOKLIST: () => get('/webhooks', (webhooks: Value[]) => ({ webhooks })),
  WEBHOOKPING: () => post('/webhooks/:id/test', named),
  WEBHOOKLOG: () => get('/webhooks/:id/deliveries', (deliveries: Value[]) => ({ deliveries })),
}

export class HttpDoor implements DoorClient {
  readonly name = 'HTTP'
  private readonly base: string
  private readonly token: string | null
  /** Its connections are its own, and stay. */
  private readonly agent = new Agent({ keepAlive: true })

  constructor(port: number, token: string | null) {
    this.base = `http://127.0.0.1:${port}`
    this.token = token
    onTestFinished(() => this.agent.destroy())
  }

  async run(command: Command): Promise<Outcome> {
    const route = routes[command.cmd]?.(command)
    if (route === undefined) throw new Error(`HTTP has no route for ${command.cmd}`)
    const isPost = route.method === 'POST' || route.method === 'PATCH'
    const options: RequestOptions = {
      agent: this.agent,
      method: route.method,
      headers: {
        ...(this.token === null ? {} : { authorization: `Bearer ${this.token}` }),
        ...(isPost ? { 'content-type': 'application/json' } : {}),
      },
    }
    const url = this.base + pathOf(route, command)
    const response = await answerTo(request(url, options), isPost ? bodyOf(route, command) : '')
    return outcomeOf(route, response)
  }
}

interface HttpAnswer {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

function answerTo(asked: ClientRequest, body: string): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    asked.on('error', reject)
    asked.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const { statusCode: status, headers } = response
        resolve({ status, headers, text: Buffer.concat(chunks).toString() })
      })
    })
    asked.end(body)
  })
}

/** The envelope, its status and its headers; all of them say the same. */
function outcomeOf(route: Route, { status, headers, text }: HttpAnswer): Outcome {
  expect(headers['cache-control']).toBe('no-store')
  // `data` is a payload's name: what is in it is read by itself.
  const { ok, data, error, code, ...beside } = readExact(text) as Value
  if (ok === true) {
    expect(status).toBe(200)
    const inner = route.path.endsWith('/result') ? data : readExact((data as string) ?? 'null')
    const value = route.value(inner as never, beside)
    return value === null
      ? refused(route.path === '/crons/:name' ? 'cron_not_found' : 'webhook_not_found')
      : done(value)
  }
  expect([code, status]).toEqual([code, statusOf[code as RefusalCode]])
  const retryAfter = retryAfterOf[code as RefusalCode]
  // Of a rate it is known when.
  if (code === 'quota_exceeded') expect(Number(headers['retry-after'])).toBeGreaterThan(0)
  else expect(headers['retry-after']).toBe(retryAfter?.toString())
  return refused(String(code))
}

function pathOf({ path, query = [] }: Route, command: Command): string {
  const filled = path.replace(/:(\w+)/g, (_, name: string) =>
    encodeURIComponent(String(command[name])),
  )
  const asked = query.filter((name) => command[name] !== undefined)
  if (asked.length === 0) return filled
  return `${filled}?${new URLSearchParams(asked.map((name): [string, string] => [name, String(command[name])]))}`
}

function bodyOf({ path }: Route, command: Command): string {
  const { cmd, wait, ...fields } = command
  const inPath = new Set([...path.matchAll(/:(\w+)/g)].map(([, name]) => name))
  const rest = Object.entries(fields).filter(([name]) => !inPath.has(name))
  return writeExact({ ...Object.fromEntries(rest), timeout: wait ?? fields['timeout'] })
}

/** The job with what is beside it, apart again. */
function unflattened(data: Value): Value {
  const { state, result, error, finished_at, ...job } = data
  return { job: 'id' in job ? job : null, state, result, error, finished_at }
}
