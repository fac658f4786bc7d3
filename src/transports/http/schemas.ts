// The shapes of the HTTP API, for its OpenAPI document. Nothing is validated with them at run time; a test holds real
// answers against them.

import { refusalCodes } from '../../engine/refusal.ts'
import { type Fields, schemaOf } from './fields.ts'
import { httpCodes } from './http-refusal.ts'

const uint = { type: 'integer', minimum: 0 }
const text = { type: 'string' }
const textOrNull = { type: ['string', 'null'] }
const ms = { ...uint, description: 'milliseconds' }
const at = { ...uint, description: 'Unix time in milliseconds' }

export const anyJson = { description: 'any JSON value' }
export const nothing = { type: 'null' }
export const count = uint
export const yesOrNo = { type: 'boolean' }
const states = [
  'waiting',
  'delayed',
  'active',
  'completed',
  'failed',
  'waiting-children',
  'unknown',
] as const

export const ref = (name: string) => ({ $ref: `${name}#` })
export const listOf = (items: object) => ({ type: 'array', items })

const jobProperties = {
  id: uint,
  queue: text,
  data: anyJson,
  priority: { type: 'integer' },
  created_at: at,
  run_at: at,
  started_at: { ...at, description: '0 until it is pulled' },
  attempts: uint,
  max_attempts: { ...uint, description: '0 = unlimited' },
  backoff: ms,
  ttl: ms,
  timeout: ms,
  unique_key: textOrNull,
  depends_on: listOf(uint),
  progress: { ...uint, maximum: 100 },
  progress_msg: textOrNull,
  tags: listOf(text),
}
const jobRequired = Object.keys(jobProperties)
/** Of a job that was pushed as a part of a trace. */
const traceProperties = { traceparent: text, tracestate: text }
const exampleJob = {
  id: 33,
  queue: 'mail',
  data: { to: 'ann@example.org' },
  priority: 0,
  created_at: 1_790_000_000_000,
  run_at: 1_790_000_000_000,
  started_at: 0,
  attempts: 0,
  max_attempts: 3,
  backoff: 0,
  ttl: 0,
  timeout: 0,
  unique_key: null,
  depends_on: [],
  progress: 0,
  progress_msg: null,
  tags: [],
}
const exampleRefusal = { index: 1, error: 'Job 65 not found', code: 'job_not_found' }
const state = { enum: states }

/** What a push may say besides the queue. */
const newJobProperties = {
  data: anyJson,
  priority: { type: 'integer', minimum: -(2 ** 31), maximum: 2 ** 31 - 1, default: 0 },
  delay: { ...ms, type: ['integer', 'null'] },
  ttl: { ...ms, type: ['integer', 'null'] },
  timeout: { ...ms, type: ['integer', 'null'] },
  max_attempts: { ...uint, type: ['integer', 'null'] },
  backoff: { ...ms, type: ['integer', 'null'] },
  unique_key: textOrNull,
  depends_on: { type: ['array', 'null'], items: uint, maxItems: 100 },
  tags: { type: ['array', 'null'], items: { ...text, maxLength: 64 }, maxItems: 32 },
}

const itemRefusal = objectOf({ index: uint, error: text, code: { enum: refusalCodes } })

export const commonSchemas: readonly { readonly $id: string; readonly [key: string]: unknown }[] = [
  {
    $id: 'Error',
    ...objectOf({
      ok: { const: false },
      error: { ...text, description: 'for people; may change' },
      code: { enum: [...refusalCodes, ...Object.keys(httpCodes)], description: 'never changes' },
    }),
    examples: [{ ok: false, error: 'Job 7 not found', code: 'job_not_found' }],
  },
  {
    $id: 'NewJob',
    type: 'object',
    properties: newJobProperties,
    required: ['data'],
    examples: [{ data: { to: 'ann@example.org' }, max_attempts: 3 }],
  },
  {
    $id: 'Job',
    type: 'object',
    properties: { ...jobProperties, ...traceProperties },
    required: jobRequired,
    examples: [exampleJob],
  },
  {
    $id: 'PulledJob',
    type: 'object',
    properties: {
      ...jobProperties,
      ...traceProperties,
      token: { ...uint, description: 'of this delivery; with `token` or `lease`' },
    },
    required: jobRequired,
    examples: [{ ...exampleJob, started_at: 1_790_000_000_005, token: 7 }],
  },
  {
    $id: 'JobWithState',
    description: 'When the job itself is forgotten, only its state and result.',
    type: 'object',
    properties: {
      ...jobProperties,
      ...traceProperties,
      state,
      result: anyJson,
      error: textOrNull,
      finished_at: { ...at, type: ['integer', 'null'] },
    },
    required: ['state'],
    examples: [
      {
        ...exampleJob,
        state: 'completed',
        result: { sent: true },
        error: null,
        finished_at: 1_790_000_000_900,
      },
    ],
  },
  { $id: 'JobState', ...objectOf({ id: uint, state }) },
  {
    $id: 'JobLogs',
    ...objectOf({ id: uint, logs: listOf(objectOf({ at, line: text })), dropped: uint }),
  },
  {
    $id: 'Batch',
    ...objectOf({ ids: listOf(uint), errors: listOf(itemRefusal) }, ['ids']),
    examples: [{ ids: [33, 65] }],
  },
  {
    $id: 'Counted',
    ...objectOf({ count: uint, errors: listOf(itemRefusal) }, ['count']),
    examples: [{ count: 1, errors: [exampleRefusal] }],
  },
  {
    $id: 'QueueInfo',
    ...objectOf({
      name: text,
      pending: uint,
      processing: uint,
      dlq: uint,
      paused: yesOrNo,
      rate_limit: { type: ['integer', 'null'] },
      concurrency_limit: { type: ['integer', 'null'] },
      worker: uint,
    }),
  },
  {
    $id: 'Cron',
    ...objectOf({
      name: text,
      queue: text,
      data: anyJson,
      schedule: text,
      priority: { type: 'integer' },
      next_run: at,
    }),
  },
  { $id: 'Stats', ...objectOf({ queued: uint, processing: uint, delayed: uint, dlq: uint }) },
  {
    $id: 'Metrics',
    ...objectOf({
      total_pushed: uint,
      total_completed: uint,
      total_failed: uint,
      jobs_per_second: { type: 'number' },
      avg_latency_ms: { type: 'number' },
      queues: listOf(
        objectOf({
          name: text,
          pending: uint,
          processing: uint,
          dlq: uint,
          rate_limit: { type: ['integer', 'null'] },
        }),
      ),
      worker: uint,
    }),
  },
  {
    $id: 'Settings',
    ...objectOf({
      version: text,
      tcp_port: uint,
      http_port: uint,
      database_connected: yesOrNo,
      database_url: textOrNull,
      auth_enabled: yesOrNo,
      auth_token_count: uint,
      uptime_seconds: uint,
    }),
  },
  {
    $id: 'Health',
    ...objectOf({
      status: { enum: ['healthy', 'unhealthy'] },
      node_id: textOrNull,
      is_leader: yesOrNo,
      cluster_enabled: yesOrNo,
      postgres_connected: yesOrNo,
    }),
  },
  {
    $id: 'Node',
    ...objectOf({
      node_id: text,
      host: text,
      port: uint,
      is_leader: yesOrNo,
      last_heartbeat: at,
      started_at: at,
    }),
  },
]

interface Described {
  readonly tag: 'queues' | 'jobs' | 'crons' | 'webhooks' | 'server'
  readonly summary: string
  /** Of `data` in the answer. */
  readonly data: object
  /** Beside `data`. */
  readonly beside?: Readonly<Record<string, object>>
  readonly query?: Fields
  /** Names in the path. */
  readonly path?: readonly ('queue' | 'id' | 'name' | 'worker' | 'webhook')[]
  readonly body?: object
  readonly isPublic?: boolean
}

const pathParts = {
  queue: { ...text, description: 'a queue, percent-encoded' },
  id: { ...uint, description: "a job's id" },
  name: { ...text, description: 'a cron, percent-encoded' },
  worker: { ...text, description: 'a consumer, percent-encoded' },
  webhook: { ...text, description: "a webhook's id", examples: ['wh_1'] },
}

/** The `schema` of a route. */
export function describeRoute(route: Described): object {
  const { tag, summary, data, beside = {}, query, path = [], body, isPublic } = route
  return {
    tags: [tag],
    summary,
    ...(query === undefined ? {} : { querystring: schemaOf(query) }),
    ...(path.length === 0
      ? {}
      : { params: objectOf(Object.fromEntries(path.map((name) => [name, pathParts[name]]))) }),
    ...(body === undefined ? {} : { body }),
    ...(isPublic ? { security: [] } : {}),
    response: {
      200: { description: 'done', ...objectOf({ ok: { const: true }, data, ...beside }) },
      default: { description: 'refused', ...ref('Error') },
    },
  }
}

export function objectOf(
  properties: Readonly<Record<string, object>>,
  required: readonly string[] = Object.keys(properties),
): object {
  return { type: 'object', properties, required }
}
