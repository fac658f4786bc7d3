// From the fields of a frame to the Command that its op makes of them: types, ranges, what goes with what.
//
// Which fields are there, and not twice, has been checked. Lists scanned on the way are in the Command already.

import type { Command } from '../../engine/command.ts'
import { limits } from '../../engine/limits.ts'
import { Op } from '../../engine/op.ts'
import { EventKind, type EventName } from '../../engine/ports.ts'
import { refusals } from '../../engine/refusal.ts'
import { Field, requiredOf } from './fields.ts'
import type { FrameFields } from './frame-fields.ts'
import { readJob } from './job-rows.ts'
import { skipBlanks, skipString } from './json-scanner.ts'
import { decode } from './json-string.ts'
import { readQuery } from './list-query.ts'
import { readWebhook } from './webhook-fields.ts'

const QUOTE = 0x22
const COMMA = 0x2c
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d

const DLQ_COUNT = 100
const PROGRESS_MAX = 255

/** Fills `into` for `into.op`; what is wrong is in `fields.problem` afterwards. */
export function readCommand(fields: FrameFields, into: Command): void {
  if (((requiredOf[into.op] as number) & (1 << Field.queue)) !== 0) into.queue = fields.queueName()
  switch (into.op) {
    case Op.PUSH:
      into.isFull = fields.optBool(Field.full)
      readJob(fields, into.jobs)
      return
    case Op.PULL:
      into.count = 1
      readPull(fields, into)
      return
    case Op.PULLB:
      into.count = Math.min(fields.uint(Field.count), limits.pullCountMax)
      readPull(fields, into)
      return
    case Op.ACK:
      readAck(fields, into)
      return
    case Op.ACKB:
      readLists(fields, into)
      return
    case Op.FAIL:
      into.text = fields.optString(Field.error)
      readIdAndToken(fields, into)
      return
    case Op.PROGRESS:
      into.progress = fields.uint(Field.progress, PROGRESS_MAX)
      into.text = fields.optString(Field.message)
      readIdAndToken(fields, into)
      return
    case Op.GETJOB:
      into.isFull = fields.optBool(Field.full)
      into.id = fields.uint(Field.id)
      return
    case Op.GETRESULT:
    case Op.GETSTATE:
    case Op.CANCEL:
    case Op.PROMOTE:
    case Op.GETLOGS:
    case Op.GETPROGRESS:
      into.id = fields.uint(Field.id)
      return
    case Op.HEARTBEAT:
    case Op.RELEASE:
      into.leaseMs = into.op === Op.RELEASE ? 0 : fields.optUint(Field.lease, limits.leaseMsMax, 0)
      readHeld(fields, into)
      return
    case Op.DLQ:
      into.count = Math.min(
        fields.optUint(Field.count, Number.MAX_SAFE_INTEGER, DLQ_COUNT),
        limits.pullCountMax,
      )
      return
    case Op.RETRYDLQ:
    case Op.PURGEDLQ:
      into.hasId = fields.isGiven(Field.id)
      into.id = fields.optUint(Field.id, Number.MAX_SAFE_INTEGER, 0)
      return
    default:
      readRare(fields, into)
  }
}

function readRare(fields: FrameFields, into: Command): void {
  switch (into.op) {
    case Op.SUBSCRIBE:
      into.events = readEvents(fields)
      return
    case Op.CRON:
      readCron(fields, into)
      return
    case Op.HELLO: {
      const isGiven = fields.isGiven(Field.data)
      into.name = fields.string(Field.name)
      into.dataFrom = isGiven ? (fields.from[Field.data] as number) : -1
      into.dataTo = isGiven ? (fields.to[Field.data] as number) : -1
      return
    }
    case Op.CRONDELETE:
      into.name = fields.string(Field.name)
      return
    case Op.RATELIMIT:
      into.limit = fields.uint(Field.limit, limits.rateLimitMax)
      return
    case Op.SETCONCURRENCY:
      into.limit = fields.uint(Field.limit, limits.concurrencyMax)
      return
    case Op.LOG:
      into.text = fields.string(Field.line)
      readIdAndToken(fields, into)
      return
    case Op.DELETEQUEUE:
      into.isForced = fields.optBool(Field.force)
      return
    case Op.LISTJOBS:
      into.query = readQuery(fields)
      return
    case Op.WEBHOOK:
    case Op.WEBHOOKDELETE:
    case Op.WEBHOOKPING:
    case Op.WEBHOOKLOG:
      readWebhook(fields, into)
      return
    case Op.AUTH:
      into.secret = fields.string(Field.token)
      return
    default:
  }
}

function readPull(fields: FrameFields, into: Command): void {
  into.waitMs = fields.optUint(Field.wait, limits.waitMsMax, -1)
  into.leaseMs = fields.optUint(Field.lease, limits.leaseMsMax, 0)
  into.wantsToken = fields.optBool(Field.token)
  into.releaseOnClose = fields.optBool(Field.release_on_close)
}

function readAck(fields: FrameFields, into: Command): void {
  const isGiven = fields.isGiven(Field.result)
  into.resultFrom = isGiven ? (fields.from[Field.result] as number) : -1
  into.resultTo = isGiven ? (fields.to[Field.result] as number) : -1
  readIdAndToken(fields, into)
}

function readIdAndToken(fields: FrameFields, into: Command): void {
  into.id = fields.uint(Field.id)
  into.token = fields.optUint(Field.token, Number.MAX_SAFE_INTEGER, Number.NaN)
}

/** HEARTBEAT and RELEASE name one job or several; one is shown in `ids` and `tokens` too. */
function readHeld(fields: FrameFields, into: Command): void {
  into.hasId = fields.isGiven(Field.id)
  const hasIds = fields.isGiven(Field.ids)
  if (into.hasId === hasIds) {
    if (hasIds) fields.fail(refusals.invalid('"id" and "ids" exclude each other'))
    else fields.missing('id or ids')
    return
  }
  const strangerOf = into.hasId ? Field.tokens : Field.token
  if (fields.isGiven(strangerOf)) {
    fields.fail(refusals.invalid('"token" goes with "id", and "tokens" with "ids"'))
    return
  }
  if (hasIds) {
    readLists(fields, into)
    return
  }
  readIdAndToken(fields, into)
  into.ids[0] = into.id
  into.idCount = 1
  into.tokens[0] = into.token
  into.hasTokens = fields.isGiven(Field.token)
  into.hasResults = false
}

/** The lists are scanned; whether they are given and as long as `ids` is seen here. */
function readLists(fields: FrameFields, into: Command): void {
  into.hasId = false
  into.id = into.idCount > 0 ? (into.ids[0] as number) : 0
  into.hasTokens = fields.isGiven(Field.tokens)
  into.hasResults = into.op === Op.ACKB && fields.isGiven(Field.results)
  if (into.hasTokens) checkLength(fields, 'tokens', fields.tokenCount, into.idCount)
  if (into.hasResults) checkLength(fields, 'results', fields.resultCount, into.idCount)
}

function checkLength(fields: FrameFields, name: string, count: number, idCount: number): void {
  if (count === idCount) return
  fields.fail(refusals.invalid(`field "${name}" has ${count} elements, "ids" has ${idCount}`))
}

function readCron(fields: FrameFields, into: Command): void {
  into.name = fields.string(Field.name)
  into.schedule = fields.string(Field.schedule)
  into.dataFrom = fields.from[Field.data] as number
  into.dataTo = fields.to[Field.data] as number
  const hasPriority = (fields.seen & (1 << Field.priority)) !== 0
  into.priority = hasPriority
    ? fields.int32(
        Field.priority,
        fields.from[Field.priority] as number,
        fields.to[Field.priority] as number,
      )
    : 0
}

/** The names in SUBSCRIBE's `events` as a mask. */
function readEvents(fields: FrameFields): number {
  const { bytes } = fields
  const to = fields.to[Field.events] as number
  let i = fields.from[Field.events] as number
  const expected = 'an array of event names'
  if (bytes[i] !== OPEN_ARRAY) return fields.wrongType(Field.events, expected)
  let mask = 0
  i = skipBlanks(bytes, i + 1, to)
  while (bytes[i] !== CLOSE_ARRAY) {
    if (bytes[i] !== QUOTE) return fields.wrongType(Field.events, expected)
    const end = skipString(bytes, i + 1)
    const kind = eventBits(decode(bytes, i + 1, end - 1))
    if (kind === 0) return fields.wrongType(Field.events, expected)
    mask |= kind
    i = skipBlanks(bytes, end, to)
    if (bytes[i] === COMMA) i = skipBlanks(bytes, i + 1, to)
  }
  return mask
}

function eventBits(name: string): number {
  if (name === '*') return ALL_EVENTS
  return Object.hasOwn(EventKind, name) ? EventKind[name as EventName] : 0
}

const ALL_EVENTS = Object.values(EventKind).reduce<number>((mask, bit) => mask | bit, 0)
