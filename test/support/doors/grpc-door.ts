// gRPC: each command as the call that it is, each message back in the fields of the wire.
//
// Fields of the wire that proto3 can't tell from absent ones are filled in: what is optional and not set is null.

import { Metadata, status } from '@grpc/grpc-js'
import { expect, onTestFinished } from 'vitest'
import type { OpName } from '../../../src/engine/op.ts'
import type { RefusalCode } from '../../../src/engine/refusal.ts'
import { CODE_METADATA, statusOfCode } from '../../../src/transports/grpc/status.ts'
import { GrpcClient } from '../grpc-client.ts'
import { type Command, type DoorClient, done, type Outcome, refused } from './door-client.ts'
import { writeExact } from './exact-json.ts'

type Value = Record<string, unknown>

/** The calls whose names do not follow from the command. */
const calls: Partial<Record<OpName, string>> = {
  PUSH: 'Push',
  PUSHB: 'PushBatch',
  PULL: 'Pull',
  PULLB: 'PullBatch',
  ACK: 'Ack',
  ACKB: 'AckBatch',
  FAIL: 'Fail',
  CANCEL: 'Cancel',
  PROMOTE: 'Promote',
  PROGRESS: 'Progress',
  HEARTBEAT: 'Heartbeat',
  RELEASE: 'Release',
  LOG: 'Log',
  GETLOGS: 'GetLogs',
  GETSTATE: 'GetState',
  GETJOB: 'GetJob',
  GETRESULT: 'GetResult',
  GETPROGRESS: 'GetProgress',
  DLQ: 'Dlq',
  RETRYDLQ: 'RetryDlq',
  PURGEDLQ: 'PurgeDlq',
  DRAIN: 'Drain',
  DELETEQUEUE: 'DeleteQueue',
  PAUSE: 'Pause',
  RESUME: 'Resume',
  RATELIMIT: 'SetRateLimit',
  RATELIMITCLEAR: 'ClearRateLimit',
  SETCONCURRENCY: 'SetConcurrency',
  CLEARCONCURRENCY: 'ClearConcurrency',
  STATS: 'Stats',
  LISTQUEUES: 'ListQueues',
  LISTJOBS: 'ListJobs',
  CRON: 'AddCron',
  CRONLIST: 'ListCrons',
  CRONDELETE: 'DeleteCron',
  WEBHOOKDELETE: 'DeleteWebhook',
  WEBHOOKLIST: 'ListWebhooks',
  WEBHOOKPING: 'PingWebhook',
  WEBHOOKLOG: 'ListAttempts',
}

/** Two calls are one command of the wire. */
function callOf({ cmd, id }: Command): string | undefined {
  if (cmd !== 'WEBHOOK') return calls[cmd]
  return id === undefined ? 'AddWebhook' : 'ChangeWebhook'
}

/** Fields of the wire that end in their unit here. */
const IN_MS = new Set(['delay', 'ttl', 'timeout', 'backoff', 'wait', 'lease'])

/** What a uint64 is, which the client makes a string of. */
const NUMBERS = new Set(
  `id ids created_at run_at started_at backoff ttl timeout depends_on token finished_at pending
   processing dlq queued delayed next_run dropped at count took_ms next_at`.split(/\s+/),
)

export class GrpcDoor implements DoorClient {
  readonly name = 'gRPC'
  private readonly client: GrpcClient

  constructor(port: number, token: string | null) {
    const metadata = new Metadata()
    if (token !== null) metadata.set('authorization', `Bearer ${token}`)
    this.client = new GrpcClient(port, metadata)
    onTestFinished(() => this.client.close())
  }

  async run(command: Command): Promise<Outcome> {
    const name = callOf(command)
    if (name === undefined) throw new Error(`gRPC has no call for ${command.cmd}`)
    try {
      const message = await this.client.call(name, requestOf(command))
      return done(fromMessage(command, plain(message) as Value))
    } catch (error) {
      const { code: got, metadata } = error as { code?: status; metadata?: Metadata }
      if (got === undefined || metadata === undefined) throw error
      const code = String(metadata.get(CODE_METADATA)[0] ?? `no code, but ${status[got]}`)
      if (code in statusOfCode)
        expect([code, got]).toEqual([code, statusOfCode[code as RefusalCode]])
      return refused(code)
    }
  }
}

function requestOf({ cmd, ...fields }: Command): Value {
  const request: Value = {}
  for (const [key, value] of Object.entries(fields)) {
    if (key === 'jobs') request[key] = (value as Value[]).map((job) => fieldsOf(job))
    else Object.assign(request, fieldsOf({ [key]: value }))
  }
  // Calls about one job are calls about several here.
  const isHeld = cmd === 'HEARTBEAT' || cmd === 'RELEASE'
  if (!isHeld || fields['id'] === undefined) return request
  const { id, token, ...rest } = request
  return { ids: [id], ...(token === undefined ? {} : { tokens: [token] }), ...rest }
}

function fieldsOf(fields: Value): Value {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => {
      if (key === 'data' || key === 'result' || key === 'headers')
        return [key, Buffer.from(writeExact(value))]
      if (value === null) return [key, '']
      if (key === 'results') return [key, (value as unknown[]).map((each) => resultOf(each))]
      if (key === 'tokens') return [key, (value as unknown[]).map((each) => each ?? 0)]
      if (key === 'state')
        return [key, `JOB_STATE_${String(value).toUpperCase().replace('-', '_')}`]
      return [IN_MS.has(key) ? `${key}_ms` : key, value]
    }),
  )
}

const resultOf = (value: unknown): Buffer => Buffer.from(value === null ? '' : writeExact(value))

/** Bytes as the text that they are, numbers as numbers, states by their names on the wire. */
function plain(value: unknown, key = ''): unknown {
  if (Buffer.isBuffer(value)) return value.toString() === 'null' ? null : value.toString()
  if (Array.isArray(value)) return value.map((each) => plain(each, key))
  if (typeof value === 'object' && value !== null) {
    // Names that begin so are of groups with one optional field.
    const fields = Object.entries(value).filter(([name]) => !name.startsWith('_'))
    return Object.fromEntries(fields.map(([name, each]) => [name, plain(each, name)]))
  }
  if (key === 'state') return String(value).slice(10).toLowerCase().replace('_', '-')
  // Ids of webhooks and of deliveries are texts.
  const isNumber = NUMBERS.has(key) && typeof value === 'string' && /^\d+$/.test(value)
  return isNumber ? Number(value) : value
}

function fromMessage({ cmd, id }: Command, message: Value): Value {
  const { ok, errors, count, acked, ...rest } = message
  const refusals = Array.isArray(errors) && errors.length > 0 ? { errors } : {}
  switch (cmd) {
    case 'PULL':
      return { job: message['id'] === 0 ? null : jobOf(message) }
    case 'PULLB':
    case 'DLQ':
      return { jobs: (message['jobs'] as Value[]).map((job) => jobOf(job)) }
    case 'LISTJOBS':
      return {
        jobs: (message['jobs'] as Value[]).map(listedOf),
        cursor: message['cursor'] ?? null,
      }
    case 'GETJOB': {
      const { job, state } = message
      return { job: job === null ? null : jobOf(job as Value), state, ...endOf(message) }
    }
    case 'GETRESULT':
      return { result: null, ...message }
    case 'GETPROGRESS':
      return { progress: { message: null, ...message } }
    case 'LISTQUEUES': {
      const queues = (message['queues'] as Value[]).map((queue) => ({
        rate_limit: null,
        concurrency_limit: null,
        ...queue,
      }))
      return { queues }
    }
    case 'WEBHOOK':
      // ChangeWebhook does not repeat it.
      return { id, ...rest }
    case 'WEBHOOKLIST':
      return { webhooks: (message['webhooks'] as Value[]).map(webhookOf) }
    case 'WEBHOOKLOG': {
      const none = { status: null, error: null, next_at: null }
      return {
        deliveries: (message['attempts'] as Value[]).map((tried) => ({ ...none, ...tried })),
      }
    }
    case 'ACKB':
      return { ids: [acked], ...refusals }
    case 'HEARTBEAT':
    case 'RELEASE':
      return id === undefined || 'errors' in refusals ? { ids: [count], ...refusals } : {}
    default:
      return { ...(count === undefined ? {} : { ids: [count] }), ...rest, ...refusals }
  }
}

function jobOf(job: Value): Value {
  const { state, result, error, finished_at, ...rest } = job
  return { unique_key: null, progress_msg: null, ...rest }
}

function webhookOf({ headers, ...rest }: Value): Value {
  return { queue: null, secret: null, reason: null, ...rest, headers: JSON.parse(String(headers)) }
}

function listedOf(job: Value): Value {
  const { state } = job
  const isOver = state === 'completed' || state === 'failed'
  return { ...jobOf(job), state, ...(isOver ? endOf(job) : {}) }
}

function endOf({ result, error, finished_at }: Value): Value {
  return {
    result: result ?? null,
    error: error ?? null,
    finished_at: finished_at === 0 ? null : finished_at,
  }
}
