// One function per command of the wire: what to send, and whether it may be sent twice.
//
// A `read` changes nothing, so it is sent again when a connection was lost before its reply; a `write` never is.
// Pushes, acks and pulls, which carry more state, are in `push-batch.ts`, `ack-batch.ts` and `pull-request.ts`.

import type { CronOptions, ListOptions } from './job.ts'
import { numbersText, numberText, optionalNumber, optionalValue, valueText } from './json-text.ts'

export interface Command {
  readonly name: string
  /** The fields after `cmd` and `reqId`: empty, or beginning with a comma. First comes what it is about: queue, id or name. */
  readonly fields: string
  readonly effect: 'read' | 'write'
}

const read = (name: string, fields = ''): Command => ({ name, fields, effect: 'read' })
const write = (name: string, fields = ''): Command => ({ name, fields, effect: 'write' })
const queueField = (queue: string): string => `,"queue":${valueText(queue)}`
const idField = (id: number): string => `,"id":${numberText(id)}`

export const authCommand = (token: string): Command => read('AUTH', `,"token":${valueText(token)}`)

/** Over HTTP a heartbeat. No `read`: it is about the connection that it is sent on. */
export const helloCommand = (name: string, claims: object): Command =>
  write('HELLO', `,"name":${valueText(name)},"data":${valueText(claims)}`)

export const failCommand = (id: number, error?: string, token?: number): Command =>
  write('FAIL', idField(id) + optionalValue('error', error) + optionalNumber('token', token))

export const getResultCommand = (id: number): Command => read('GETRESULT', idField(id))
export const getJobCommand = (id: number): Command => read('GETJOB', idField(id))
export const getJobInFullCommand = (id: number): Command =>
  read('GETJOB', `${idField(id)},"full":true`)
export const getStateCommand = (id: number): Command => read('GETSTATE', idField(id))
export const getProgressCommand = (id: number): Command => read('GETPROGRESS', idField(id))
export const promoteCommand = (id: number): Command => write('PROMOTE', idField(id))
export const cancelCommand = (id: number): Command => write('CANCEL', idField(id))

/** The wire takes whole numbers only: `value` is rounded, and held within 0 and 100. */
export function progressCommand(
  id: number,
  value: number,
  message?: string,
  token?: number,
): Command {
  const percent = Number.isNaN(value) ? 0 : Math.min(100, Math.max(0, Math.round(value)))
  return write(
    'PROGRESS',
    `${idField(id)},"progress":${percent}${optionalValue('message', message)}${optionalNumber('token', token)}`,
  )
}

export const logCommand = (id: number, line: string, token?: number): Command =>
  write('LOG', `${idField(id)},"line":${valueText(line)}${optionalNumber('token', token)}`)

export const getLogsCommand = (id: number): Command => read('GETLOGS', idField(id))

export const dlqCommand = (queue: string, count: number): Command =>
  read('DLQ', `${queueField(queue)},"count":${numberText(count)}`)

export const retryDlqCommand = (queue: string, id?: number): Command =>
  write('RETRYDLQ', queueField(queue) + optionalNumber('id', id))

export const purgeDlqCommand = (queue: string, id?: number): Command =>
  write('PURGEDLQ', queueField(queue) + optionalNumber('id', id))

export const drainCommand = (queue: string): Command => write('DRAIN', queueField(queue))
export const deleteQueueCommand = (queue: string, force: boolean | undefined): Command =>
  write('DELETEQUEUE', queueField(queue) + optionalValue('force', force))
export const pauseCommand = (queue: string): Command => write('PAUSE', queueField(queue))
export const resumeCommand = (queue: string): Command => write('RESUME', queueField(queue))

export const rateLimitCommand = (queue: string, limit: number): Command =>
  write('RATELIMIT', `${queueField(queue)},"limit":${numberText(limit)}`)

export const rateLimitClearCommand = (queue: string): Command =>
  write('RATELIMITCLEAR', queueField(queue))

export const setConcurrencyCommand = (queue: string, limit: number): Command =>
  write('SETCONCURRENCY', `${queueField(queue)},"limit":${numberText(limit)}`)

export const clearConcurrencyCommand = (queue: string): Command =>
  write('CLEARCONCURRENCY', queueField(queue))

export const listJobsCommand = (options: ListOptions): Command => {
  const { queue, state, tag, since, until, text, limit, cursor, offset } = options
  const fields = { queue, state, tag, since, until, text, limit, cursor, offset }
  const given = Object.entries(fields).map(([name, value]) => optionalValue(name, value))
  return read('LISTJOBS', given.join(''))
}

export const listQueuesCommand = (): Command => read('LISTQUEUES')
export const statsCommand = (): Command => read('STATS')
/** These three are known to HTTP only. */
export const workersCommand = (): Command => read('WORKERS')
export const nodesCommand = (): Command => read('NODES')
export const healthCommand = (): Command => read('HEALTH')

export const metricsCommand = (): Command => read('METRICS')

export const cronCommand = (name: string, cron: CronOptions): Command =>
  write(
    'CRON',
    `,"name":${valueText(name)}${queueField(cron.queue)},"data":${valueText(cron.data)}` +
      `,"schedule":${valueText(cron.schedule)}${optionalNumber('priority', cron.priority)}`,
  )

export const cronDeleteCommand = (name: string): Command =>
  write('CRONDELETE', `,"name":${valueText(name)}`)

export const cronListCommand = (): Command => read('CRONLIST')

export const webhookCommand = (id: string | null, webhook: object): Command =>
  write('WEBHOOK', `${id === null ? '' : `,"id":${valueText(id)}`}${fieldsText(webhook)}`)

export const webhookDeleteCommand = (id: string): Command =>
  write('WEBHOOKDELETE', `,"id":${valueText(id)}`)

export const webhookListCommand = (): Command => read('WEBHOOKLIST')

export const webhookPingCommand = (id: string): Command =>
  write('WEBHOOKPING', `,"id":${valueText(id)}`)

export const webhookLogCommand = (id: string): Command =>
  read('WEBHOOKLOG', `,"id":${valueText(id)}`)

/** `,"a":1,"b":2`, without what is undefined. */
function fieldsText(fields: object): string {
  const text = valueText(fields).slice(1, -1)
  return text === '' ? '' : `,${text}`
}

/** No `read`: sent a second time by the connection, it could give every event twice. */
export const subscribeCommand = (queue: string, events: readonly string[]): Command =>
  write('SUBSCRIBE', `${queueField(queue)},"events":${valueText(events)}`)

/** ACKB with given results, HEARTBEAT and RELEASE over several ids. */
export function idsCommand(
  name: 'ACKB' | 'HEARTBEAT' | 'RELEASE',
  ids: readonly number[],
  tokens: readonly (number | null | undefined)[] | undefined,
  rest = '',
): Command {
  let fields = `,"ids":${numbersText(ids)}`
  if (tokens !== undefined) {
    fields += `,"tokens":${numbersText(tokens.map((token) => token ?? null))}`
  }
  return write(name, fields + rest)
}
