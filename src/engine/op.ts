// The commands of the wire, as small integers, and how each finds its shard.

export const Op = {
  PUSH: 1,
  PUSHB: 2,
  PULL: 3,
  PULLB: 4,
  ACK: 5,
  ACKB: 6,
  FAIL: 7,
  GETRESULT: 8,
  GETJOB: 9,
  GETSTATE: 10,
  CANCEL: 11,
  PROGRESS: 12,
  GETPROGRESS: 13,
  DLQ: 14,
  RETRYDLQ: 15,
  PURGEDLQ: 16,
  SUBSCRIBE: 17,
  UNSUBSCRIBE: 18,
  METRICS: 19,
  STATS: 20,
  CRON: 21,
  CRONDELETE: 22,
  CRONLIST: 23,
  RATELIMIT: 24,
  RATELIMITCLEAR: 25,
  PAUSE: 26,
  RESUME: 27,
  SETCONCURRENCY: 28,
  CLEARCONCURRENCY: 29,
  LISTQUEUES: 30,
  AUTH: 31,
  HEARTBEAT: 32,
  RELEASE: 33,
  PROMOTE: 34,
  LISTJOBS: 35,
  DRAIN: 36,
  DELETEQUEUE: 37,
  LOG: 38,
  GETLOGS: 39,
  HELLO: 40,
  WEBHOOK: 60,
  WEBHOOKDELETE: 61,
  WEBHOOKLIST: 62,
  WEBHOOKPING: 63,
  WEBHOOKLOG: 64,
} as const

export type Op = (typeof Op)[keyof typeof Op]
export type OpName = keyof typeof Op

/** How a command finds the shard that runs it. `webhooks` is one shard, `every` asks all, `connection` none. */
export type Route = 'queue' | 'id' | 'ids' | 'name' | 'webhooks' | 'every' | 'connection'

export const routeOf: Readonly<Record<OpName, Route>> = {
  PUSH: 'queue',
  PUSHB: 'queue',
  PULL: 'queue',
  PULLB: 'queue',
  ACK: 'id',
  ACKB: 'ids',
  FAIL: 'id',
  GETRESULT: 'id',
  GETJOB: 'id',
  GETSTATE: 'id',
  CANCEL: 'id',
  PROGRESS: 'id',
  GETPROGRESS: 'id',
  DLQ: 'queue',
  RETRYDLQ: 'queue',
  PURGEDLQ: 'queue',
  SUBSCRIBE: 'connection',
  UNSUBSCRIBE: 'connection',
  METRICS: 'every',
  STATS: 'every',
  CRON: 'name',
  CRONDELETE: 'name',
  CRONLIST: 'every',
  RATELIMIT: 'queue',
  RATELIMITCLEAR: 'queue',
  PAUSE: 'queue',
  RESUME: 'queue',
  SETCONCURRENCY: 'queue',
  CLEARCONCURRENCY: 'queue',
  LISTQUEUES: 'every',
  AUTH: 'connection',
  HEARTBEAT: 'ids',
  RELEASE: 'ids',
  PROMOTE: 'id',
  LISTJOBS: 'every',
  DRAIN: 'queue',
  DELETEQUEUE: 'queue',
  LOG: 'id',
  GETLOGS: 'id',
  HELLO: 'connection',
  WEBHOOK: 'webhooks',
  WEBHOOKDELETE: 'webhooks',
  WEBHOOKLIST: 'webhooks',
  WEBHOOKPING: 'webhooks',
  WEBHOOKLOG: 'webhooks',
}

/** Op number → its name. */
export const opNames: readonly OpName[] = opNamesByNumber()

function opNamesByNumber(): OpName[] {
  const names: OpName[] = []
  for (const [name, op] of Object.entries(Op) as [OpName, Op][]) names[op] = name
  return names
}
