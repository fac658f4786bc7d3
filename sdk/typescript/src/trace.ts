// A job's trace context, as W3C Trace Context has it, on its way to the server: as tags, which is where the server keeps
// it (`proto/protocol.md`, Traces). So it travels the same over TCP and HTTP, alone and in batches.
//
// A header that is not valid is as if absent, as the standard wants it: a bad trace never costs a job.

import type { PushOptions } from './job.ts'

const PARENT_TAG = 'trace:'
const STATE_TAG = 'tracestate:'
/** The server takes no longer ones. */
const TAG_CHARS_MAX = 64

const PARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const STATE_MEMBER =
  /^[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x21\x23-\x2b\x2d-\x3c\x3e-\x5b\x5d-\x7e]{1,256}$/
const ZEROS = /^0+$/

export interface TraceContext {
  traceparent?: string
  /** What of it fits a tag. */
  tracestate?: string
}

const NO_TRACE: TraceContext = {}

/** As the job will show it; empty when there is none. */
export function traceOf(options: PushOptions | undefined): TraceContext {
  if (options?.traceparent === undefined) return NO_TRACE
  const traceparent = parentOf(options.traceparent)
  if (traceparent === null) return NO_TRACE
  const tracestate = stateOf(options.tracestate)
  return tracestate === '' ? { traceparent } : { traceparent, tracestate }
}

/** All tags of a job; undefined when none are given. */
export function tagsWith(
  { traceparent, tracestate }: TraceContext,
  tags: readonly string[] | undefined,
): readonly string[] | undefined {
  if (traceparent === undefined) return tags
  const own = [PARENT_TAG + traceparent]
  if (tracestate !== undefined) own.push(STATE_TAG + tracestate)
  return [...own, ...(tags ?? [])]
}

/** In version 00, which every later one begins like. */
function parentOf(text: unknown): string | null {
  if (typeof text !== 'string') return null
  const [all, version, traceId = '', spanId = '', flags = '', rest] = PARENT.exec(text.trim()) ?? []
  if (all === undefined || version === 'ff' || (version === '00' && rest !== undefined)) return null
  if (ZEROS.test(traceId) || ZEROS.test(spanId)) return null
  return `00-${traceId}-${spanId}-${flags}`
}

/** Members that do not fit are left out from the end, as the standard allows. */
function stateOf(text: unknown): string {
  if (typeof text !== 'string') return ''
  const members = text.split(',').map((member) => member.trim())
  const good = members.filter((member) => STATE_MEMBER.test(member))
  while (good.length > 0 && STATE_TAG.length + good.join(',').length > TAG_CHARS_MAX) good.pop()
  return good.join(',')
}
