// A job's trace context, as W3C Trace Context has it, lies in two of its tags (ADR 16):
//
//   "tags":["trace:00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","tracestate:vendor=opaque"]
//            └ traceparent                                                  └ when there is one
//
// 1. A header that is not valid is as if absent, as the standard wants it.
// 2. A `tracestate` that does not fit a tag loses members from its end until it does.
// 3. A frame is changed only when there is a context, and a body with tags of its own stays byte-exact around them.

import { limits } from '../../engine/limits.ts'
import {
  FAIL,
  hasSentinel,
  skipBlanks,
  skipColon,
  skipString,
  skipValue,
  withSentinel,
} from './json-scanner.ts'
import { decode } from './json-string.ts'

const QUOTE = 0x22
const COMMA = 0x2c
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const TAGS_KEY = '"tags"'
const PARENT_TAG = 'trace:'
const STATE_TAG = 'tracestate:'

const PARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const PARENT_IN_TAGS = /"trace:(00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})"/
const STATE_IN_TAGS = /"tracestate:([\x20-\x21\x23-\x5b\x5d-\x7e]+)"/
const STATE_MEMBER =
  /^[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x21\x23-\x2b\x2d-\x3c\x3e-\x5b\x5d-\x7e]{1,256}$/
const ZEROS = /^0+$/

export interface TraceContext {
  readonly traceparent: string
  readonly tracestate: string | null
}

/** The context of the headers (or metadata) of a push, or null. */
export function readTraceContext(traceparent: unknown, tracestate: unknown): TraceContext | null {
  if (typeof traceparent !== 'string') return null
  const match = PARENT.exec(traceparent.trim())
  if (match === null) return null
  const [, version = '', traceId = '', spanId = '', flags = '', rest] = match
  if (version === 'ff' || (version === '00' && rest !== undefined)) return null
  if (ZEROS.test(traceId) || ZEROS.test(spanId)) return null
  const state = typeof tracestate === 'string' ? fittingState(tracestate) : null
  return { traceparent: `00-${traceId}-${spanId}-${flags}`, tracestate: state }
}

export function tagsOf({ traceparent, tracestate }: TraceContext): string[] {
  const tags = [`${PARENT_TAG}${traceparent}`]
  if (tracestate !== null) tags.push(`${STATE_TAG}${tracestate}`)
  return tags
}

/** The context in a job's tags, given as their JSON text. */
export function contextIn(tags: string): TraceContext | null {
  if (!tags.includes('"trace:')) return null
  const traceparent = PARENT_IN_TAGS.exec(tags)?.[1]
  if (traceparent === undefined) return null
  return { traceparent, tracestate: STATE_IN_TAGS.exec(tags)?.[1] ?? null }
}

/** The JSON object of one job, with the context in its tags. What is no such object is left to the scanner. */
export function withTraceTags(body: Buffer, context: TraceContext): Buffer {
  const list = JSON.stringify(tagsOf(context)).slice(1, -1)
  const place = placeOfTags(body)
  if (place === null) return body
  const { at, isIn, isEmpty } = place
  const comma = isEmpty ? '' : ','
  const piece = isIn ? `${list}${comma}` : `${comma}${TAGS_KEY}:[${list}]`
  return Buffer.concat([body.subarray(0, at), Buffer.from(piece), body.subarray(at)])
}

interface Place {
  readonly at: number
  /** Within the list of tags, at its beginning; else at the end of the object: what it begins with stays so. */
  readonly isIn: boolean
  readonly isEmpty: boolean
}

function placeOfTags(body: Buffer): Place | null {
  const bytes = hasSentinel(body, body.length) ? body : withSentinel(body, 0, body.length)
  const to = body.length
  const open = skipBlanks(bytes, 0, to)
  if (bytes[open] !== OPEN_OBJECT) return null
  const first = skipBlanks(bytes, open + 1, to)
  const list = body.includes(TAGS_KEY) ? listOfTags(bytes, first, to) : FAIL
  if (list === FAIL) {
    const close = bytes.lastIndexOf(CLOSE_OBJECT, to - 1)
    return close < first ? null : { at: close, isIn: false, isEmpty: close === first }
  }
  const inner = skipBlanks(bytes, list + 1, to)
  return { at: list + 1, isIn: true, isEmpty: bytes[inner] === CLOSE_ARRAY }
}

/** Where the list of the key `tags` of this object itself begins. */
function listOfTags(bytes: Buffer, start: number, to: number): number {
  let i = start
  while (bytes[i] === QUOTE) {
    const keyEnd = skipString(bytes, i + 1)
    if (keyEnd < 0) return FAIL
    const isTags = decode(bytes, i + 1, keyEnd - 1) === 'tags'
    const colon = skipColon(bytes, keyEnd, to)
    if (colon < 0) return FAIL
    const value = skipBlanks(bytes, colon, to)
    if (isTags) return bytes[value] === OPEN_ARRAY ? value : FAIL
    const end = skipValue(bytes, value, to, limits.jsonDepthMax)
    if (end < 0) return FAIL
    i = skipBlanks(bytes, end, to)
    if (bytes[i] !== COMMA) return FAIL
    i = skipBlanks(bytes, i + 1, to)
  }
  return FAIL
}

function fittingState(tracestate: string): string | null {
  const members = tracestate.split(',').map((member) => member.trim())
  const good = members.filter((member) => STATE_MEMBER.test(member))
  while (good.length > 0) {
    const text = good.join(',')
    if (STATE_TAG.length + text.length <= limits.tagBytesMax) return text
    good.pop()
  }
  return null
}
