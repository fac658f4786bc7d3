// The fields of WEBHOOK and its like. They are rare and many, so they are read as ordinary JSON values, from a frame that
// has been scanned: its JSON is good, and not too deep.
//
// What only settings can tell, whether a URL may be asked, is left to the shard (`WebhookPorts.refuseUrl`).

import type { Command } from '../../engine/command.ts'
import { limits } from '../../engine/limits.ts'
import { opNames } from '../../engine/op.ts'
import { refusals } from '../../engine/refusal.ts'
import type { WebhookTerms } from '../../engine/webhook-terms.ts'
import { eventBits, webhookNo } from '../../engine/webhooks.ts'
import type { FrameFields } from './frame-fields.ts'
import { skipBlanks, skipString, skipValue } from './json-scanner.ts'
import { decode } from './json-string.ts'
import { isSecret, SECRET_RULE } from './webhook-secret.ts'

const COMMA = 0x2c

const names = ['id', 'url', 'events', 'queue', 'secret', 'headers', 'enabled', 'reason'] as const
type Name = (typeof names)[number]

/** Those of each command; the others are unknown to it. */
export const webhookFieldsOf: Readonly<Record<string, readonly Name[]>> = {
  WEBHOOK: names,
  WEBHOOKDELETE: ['id'],
  WEBHOOKLIST: [],
  WEBHOOKPING: ['id'],
  WEBHOOKLOG: ['id'],
}

type Values = Partial<Record<Name, unknown>>

/** Fills `into.webhook`; what is wrong is in `fields.problem` afterwards. */
export function readWebhook(fields: FrameFields, into: Command): void {
  const own = webhookFieldsOf[opNames[into.op] ?? ''] ?? []
  const values = valuesOf(fields, own)
  const terms: WebhookTerms = {
    no: readId(fields, values.id),
    url: readText(fields, 'url', values.url ?? undefined, limits.webhookUrlBytesMax),
    events: readEvents(fields, values.events ?? undefined),
    queue: values.queue === null ? null : readText(fields, 'queue', values.queue, 4096),
    secret: readSecret(fields, values.secret),
    headers: readHeaders(fields, values.headers ?? undefined),
    enabled: readFlag(fields, values.enabled ?? undefined),
    reason: readText(fields, 'reason', values.reason ?? undefined, limits.webhookReasonBytesMax),
  }
  into.webhook = terms
  into.queue = terms.queue ?? ''
}

/** The values of the frame's keys that are in `own`. */
function valuesOf(fields: FrameFields, own: readonly Name[]): Values {
  const { bytes, frameTo: to } = fields
  const values: Values = {}
  let at = skipBlanks(bytes, skipBlanks(bytes, fields.frameFrom, to) + 1, to)
  for (;;) {
    const keyEnd = skipString(bytes, at + 1)
    const key = decode(bytes, at + 1, keyEnd - 1)
    const from = skipBlanks(bytes, skipBlanks(bytes, keyEnd, to) + 1, to)
    const end = skipValue(bytes, from, to, limits.jsonDepthMax)
    const name = own.find((each) => each === key)
    if (name !== undefined) {
      if (Object.hasOwn(values, name)) fields.fail(refusals.invalid(`duplicate field "${name}"`))
      values[name] = JSON.parse(bytes.toString('utf8', from, end))
    }
    at = skipBlanks(bytes, end, to)
    if (bytes[at] !== COMMA) return values
    at = skipBlanks(bytes, at + 1, to)
  }
}

/** 0 when there is none. */
function readId(fields: FrameFields, value: unknown): number {
  if (value === undefined || value === null) return 0
  if (typeof value === 'string') return webhookNo(value)
  return wrong(fields, 'id', 'a string')
}

function readText(
  fields: FrameFields,
  name: Name,
  value: unknown,
  bytesMax: number,
): string | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'string') wrong(fields, name, 'a string')
  else if (Buffer.byteLength(value) <= bytesMax) return value
  else fields.fail(refusals.limitExceeded(`${name} bytes`, bytesMax))
  return undefined
}

function readEvents(fields: FrameFields, value: unknown): readonly string[] | undefined {
  if (value === undefined) return undefined
  if (!Array.isArray(value) || !value.every((each) => typeof each === 'string')) {
    wrong(fields, 'events', 'an array of event names')
    return undefined
  }
  if (value.length === 0) bad(fields, 'it has no events')
  if (value.length > limits.webhookEventsMax) {
    fields.fail(refusals.limitExceeded('events', limits.webhookEventsMax))
  }
  const unknown = value.find((name) => eventBits(name) === 0)
  if (unknown !== undefined) bad(fields, `no such event: ${JSON.stringify(unknown.slice(0, 40))}`)
  return value
}

function readSecret(fields: FrameFields, value: unknown): string | null | undefined {
  if (value === undefined || value === null) return value
  if (typeof value !== 'string') wrong(fields, 'secret', 'a string')
  else if (isSecret(value)) return value
  else bad(fields, SECRET_RULE)
  return undefined
}

function readFlag(fields: FrameFields, value: unknown): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value
  wrong(fields, 'enabled', 'true or false')
  return undefined
}

const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/
const HEADER_VALUE = /^[\t\x20-\x7e]*$/
/** Those that the server or the connection decides about. */
const OWN_HEADERS =
  /^(?:host|connection|content-.*|transfer-encoding|te|trailer|upgrade|keep-alive|expect|proxy-.*|user-agent|webhook-.*|x-flashq-.*)$/i

function readHeaders(
  fields: FrameFields,
  value: unknown,
): Readonly<Record<string, string>> | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    wrong(fields, 'headers', 'an object of strings')
    return undefined
  }
  const entries = Object.entries(value as Record<string, unknown>)
  if (entries.length > limits.webhookHeadersMax) {
    fields.fail(refusals.limitExceeded('headers', limits.webhookHeadersMax))
  }
  for (const [name, text] of entries) {
    if (!HEADER_NAME.test(name) || OWN_HEADERS.test(name)) bad(fields, 'a header may not be set')
    else if (typeof text !== 'string' || !HEADER_VALUE.test(text))
      bad(fields, 'a header is not text')
    else if (text.length > limits.webhookHeaderBytesMax) {
      fields.fail(refusals.limitExceeded('header bytes', limits.webhookHeaderBytesMax))
    }
  }
  return Object.fromEntries(entries) as Record<string, string>
}

function bad(fields: FrameFields, detail: string): void {
  fields.fail(refusals.webhookInvalid(detail))
}

function wrong(fields: FrameFields, name: Name, expected: string): 0 {
  return fields.fail(refusals.invalid(`field "${name}" must be ${expected}`))
}
