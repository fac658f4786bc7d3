// The messages of `proto/flashq.proto` about webhooks, each with its place in a line of the wire.
//
// A secret and the values of headers only ever go in: what lists show of them is masked before it comes here.

import { message, type Row } from './schema.ts'

const optional = { label: 'optional' } as const
const repeated = { label: 'repeated' } as const
/** Nothing in it: it has none. */
const emptyIsNone = { label: 'optional', nullable: true } as const
const complaint = 'Invalid JSON headers'

const ok: Row = [1, 'bool']
const id: Row = [1, 'string', { always: true }]

export const AddWebhookRequest = message('AddWebhookRequest', {
  url: [1, 'string', { always: true }],
  events: [2, 'string', { label: 'repeated', always: true }],
  queue: [3, 'string'],
  secret: [4, 'string'],
  headers: [5, 'json', { complaint }],
})
export const ChangeWebhookRequest = message('ChangeWebhookRequest', {
  id,
  url: [2, 'string', optional],
  events: [3, 'string', repeated],
  queue: [4, 'string', emptyIsNone],
  secret: [5, 'string', emptyIsNone],
  headers: [6, 'json', { label: 'optional', complaint }],
  enabled: [7, 'bool', optional],
  reason: [8, 'string', optional],
})
export const WebhookRequest = message('WebhookRequest', { id })
export const ListWebhooksRequest = message('ListWebhooksRequest', {})

export const AddWebhookResponse = message('AddWebhookResponse', { ok, id: [2, 'string'] })
export const PingWebhookResponse = message('PingWebhookResponse', { ok, id: [2, 'string'] })

const Webhook = message('Webhook', {
  id: [1, 'string'],
  url: [2, 'string'],
  events: [3, 'string', repeated],
  queue: [4, 'string', optional],
  secret: [5, 'string', optional],
  created_at: [6, 'uint64'],
  headers: [7, 'json'],
  enabled: [8, 'bool'],
  reason: [9, 'string', optional],
})
export const ListWebhooksResponse = message('ListWebhooksResponse', {
  webhooks: [1, Webhook, repeated],
})

const Attempt = message('Attempt', {
  id: [1, 'string'],
  event: [2, 'string'],
  attempt: [3, 'uint32'],
  at: [4, 'uint64'],
  ok: [5, 'bool'],
  status: [6, 'uint32', optional],
  error: [7, 'string', optional],
  took_ms: [8, 'uint64'],
  next_at: [9, 'uint64', optional],
})
export const ListAttemptsResponse = message('ListAttemptsResponse', {
  attempts: [1, Attempt, { label: 'repeated', key: 'deliveries' }],
})
