// The keys of a command object, as small numbers, and which of them each command has.
//
// `proto/protocol.md` is the source of the table below. A key that is not in a command's row is unknown to that
// command: its value must be JSON, and nothing else is asked of it.

import { Op, opNames } from '../../engine/op.ts'
import { decode, holdsEscape } from './json-string.ts'
import { NameTable } from './name-table.ts'

/**
 * Field numbers. Those below 31 are common: a set of them is the bits of one integer. Those from `RARE_FROM` on are
 * rare, and have a set of their own, in which each stands at its number less `RARE_FROM` (as `1 << field` does by itself).
 */
export const Field = {
  cmd: 0,
  reqId: 1,
  queue: 2,
  data: 3,
  priority: 4,
  delay: 5,
  ttl: 6,
  timeout: 7,
  max_attempts: 8,
  backoff: 9,
  unique_key: 10,
  depends_on: 11,
  tags: 12,
  jobs: 13,
  id: 14,
  ids: 15,
  token: 16,
  tokens: 17,
  result: 18,
  results: 19,
  wait: 20,
  lease: 21,
  release_on_close: 22,
  count: 23,
  error: 24,
  progress: 25,
  message: 26,
  events: 27,
  limit: 28,
  name: 29,
  schedule: 30,
  full: 32,
  state: 33,
  tag: 34,
  since: 35,
  until: 36,
  text: 37,
  cursor: 38,
  offset: 39,
  force: 40,
  line: 41,
} as const

export type Field = (typeof Field)[keyof typeof Field]
export type FieldName = keyof typeof Field

export const RARE_FROM = 32

/** By number; '' where there is none. */
export const fieldNames: readonly (FieldName | '')[] = namesByNumber()

function namesByNumber(): (FieldName | '')[] {
  const names = new Array<FieldName | ''>(Math.max(...Object.values(Field)) + 1).fill('')
  for (const [name, field] of Object.entries(Field) as [FieldName, Field][]) names[field] = name
  return names
}

/** -1 is a key that no command has. */
export function isCommon(field: Field | -1): field is Field {
  return field >>> 0 < RARE_FROM
}

const fieldTable = new NameTable(fieldNames)
const opTable = new NameTable(Array.from(opNames, (name) => name ?? ''))

/** The field that the key in `bytes[from..to)` (quotes left out) names, or -1. */
export function findField(bytes: Buffer, from: number, to: number): Field | -1 {
  const field = fieldTable.find(bytes, from, to)
  return (field >= 0 ? field : findEscapedField(bytes, from, to)) as Field | -1
}

/** The op that the name in `bytes[from..to)` (quotes left out) means, or 0. */
export function findOp(bytes: Buffer, from: number, to: number): Op | 0 {
  const op = opTable.find(bytes, from, to)
  if (op > 0) return op as Op
  const decoded = decodeEscaped(bytes, from, to)
  return decoded === null ? 0 : (Math.max(opTable.find(decoded, 0, decoded.length), 0) as Op | 0)
}

function findEscapedField(bytes: Buffer, from: number, to: number): number {
  const decoded = decodeEscaped(bytes, from, to)
  return decoded === null ? -1 : fieldTable.find(decoded, 0, decoded.length)
}

/** The text of a key or name that holds escapes, in UTF-8; null when it holds none. */
function decodeEscaped(bytes: Buffer, from: number, to: number): Buffer | null {
  return holdsEscape(bytes, from, to) ? Buffer.from(decode(bytes, from, to)) : null
}

/** What one command has. The sets are bits `1 << field`; `cmd` and `reqId` are in none. */
interface Row {
  readonly required: number
  readonly optional: number
  /** The same of rare fields. */
  readonly rareRequired: number
  readonly rareOptional: number
}

function row(required: readonly FieldName[], optional: readonly FieldName[] = []): Row {
  return {
    required: setOf(required),
    optional: setOf(optional),
    rareRequired: rareSetOf(required),
    rareOptional: rareSetOf(optional),
  }
}

const jobFieldNames: readonly FieldName[] = [
  'data',
  'priority',
  'delay',
  'ttl',
  'timeout',
  'max_attempts',
  'backoff',
  'unique_key',
  'depends_on',
  'tags',
]

export const jobFields = setOf(jobFieldNames)

const pullOptions: readonly FieldName[] = ['wait', 'lease', 'token', 'release_on_close']

const rows: Readonly<Record<keyof typeof Op, Row>> = {
  PUSH: row(['queue', 'data'], [...jobFieldNames, 'full']),
  PUSHB: row(['queue', 'jobs']),
  PULL: row(['queue'], pullOptions),
  PULLB: row(['queue', 'count'], pullOptions),
  ACK: row(['id'], ['result', 'token']),
  ACKB: row(['ids'], ['tokens', 'results']),
  FAIL: row(['id'], ['error', 'token']),
  GETRESULT: row(['id']),
  GETJOB: row(['id'], ['full']),
  GETSTATE: row(['id']),
  CANCEL: row(['id']),
  PROMOTE: row(['id']),
  LOG: row(['id', 'line'], ['token']),
  GETLOGS: row(['id']),
  PROGRESS: row(['id', 'progress'], ['message', 'token']),
  GETPROGRESS: row(['id']),
  DLQ: row(['queue'], ['count']),
  RETRYDLQ: row(['queue'], ['id']),
  PURGEDLQ: row(['queue'], ['id']),
  DRAIN: row(['queue']),
  DELETEQUEUE: row(['queue'], ['force']),
  SUBSCRIBE: row(['queue', 'events']),
  UNSUBSCRIBE: row(['queue']),
  METRICS: row([]),
  STATS: row([]),
  CRON: row(['name', 'queue', 'schedule', 'data'], ['priority']),
  CRONDELETE: row(['name']),
  CRONLIST: row([]),
  RATELIMIT: row(['queue', 'limit']),
  RATELIMITCLEAR: row(['queue']),
  PAUSE: row(['queue']),
  RESUME: row(['queue']),
  SETCONCURRENCY: row(['queue', 'limit']),
  CLEARCONCURRENCY: row(['queue']),
  LISTQUEUES: row([]),
  LISTJOBS: row(
    [],
    ['queue', 'state', 'tag', 'since', 'until', 'text', 'limit', 'cursor', 'offset'],
  ),
  AUTH: row(['token']),
  // Of `id` and `ids` one is required, which the reader of these two checks.
  HEARTBEAT: row([], ['id', 'ids', 'lease', 'token', 'tokens']),
  RELEASE: row([], ['id', 'ids', 'token', 'tokens']),
  HELLO: row(['name'], ['data']),
  // Their fields are read by webhook-fields.ts: they are rare, and there are too many.
  WEBHOOK: row([]),
  WEBHOOKDELETE: row([]),
  WEBHOOKLIST: row([]),
  WEBHOOKPING: row([]),
  WEBHOOKLOG: row([]),
}

/** By op: fields that must be there; all fields of the command, `cmd` and `reqId` included. */
export const requiredOf = new Int32Array(opNames.length)
export const knownOf = new Int32Array(opNames.length)
/** The same of rare fields. */
export const rareRequiredOf = new Int32Array(opNames.length)
export const rareKnownOf = new Int32Array(opNames.length)
for (const [name, own] of Object.entries(rows) as [keyof typeof Op, Row][]) {
  requiredOf[Op[name]] = own.required
  knownOf[Op[name]] = own.required | own.optional | setOf(['cmd', 'reqId'])
  rareRequiredOf[Op[name]] = own.rareRequired
  rareKnownOf[Op[name]] = own.rareRequired | own.rareOptional
}

/** The name of the lowest field in a set that is not empty; `from`: `RARE_FROM` for a set of rare ones. */
export function lowestField(set: number, from: 0 | typeof RARE_FROM = 0): FieldName {
  return fieldNames[from + 31 - Math.clz32(set & -set)] as FieldName
}

function setOf(names: readonly FieldName[]): number {
  let set = 0
  for (const name of names) if (isCommon(Field[name])) set |= 1 << Field[name]
  return set
}

function rareSetOf(names: readonly FieldName[]): number {
  let set = 0
  for (const name of names) if (!isCommon(Field[name])) set |= 1 << (Field[name] - RARE_FROM)
  return set
}
