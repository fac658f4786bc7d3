// One HTTP request and its answer, as a reply; and what a failed one says about what the server did.

import { describeFault, FlashQError } from '../errors.ts'
import { parseJson } from '../exact-json.ts'
import type { Reply } from '../reply.ts'
import type { HttpCall } from './route.ts'

export interface HttpSite {
  /** Without a slash at its end. */
  readonly httpUrl: string
  readonly token: string
  readonly bigint: boolean
}

/** Nothing was sent: this failed before. */
const UNSENT: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'ConnectionRefused',
  'FailedToOpenSocket',
])

/** Rejects with what `fetch` rejects with, or with a FlashQError when the answer is none of FlashQ's. */
export async function exchange(
  site: HttpSite,
  call: HttpCall,
  signal: AbortSignal,
): Promise<Reply> {
  const response = await fetch(site.httpUrl + call.path, {
    method: call.method,
    headers: headersOf(site, call.body !== null),
    body: call.body,
    signal,
  })
  const answer = envelopeOf(await response.text(), response, site.bigint)
  return answer.ok === true ? call.reply(answer['data'], answer) : (answer as Reply)
}

export function headersOf(site: HttpSite, hasBody: boolean): Record<string, string> {
  const headers: Record<string, string> = { accept: 'application/json' }
  if (hasBody) headers['content-type'] = 'application/json'
  if (site.token !== '') headers['authorization'] = `Bearer ${site.token}`
  return headers
}

export function provablyUnsent(fault: unknown): boolean {
  if (!(fault instanceof Error)) return false
  if ('code' in fault && UNSENT.has(fault.code)) return true
  if (fault instanceof AggregateError) return fault.errors.every(provablyUnsent)
  // Deno gives no code.
  if (/tcp connect error|dns error/i.test(fault.message)) return true
  return provablyUnsent(fault.cause)
}

/** The cause is what says something: the error of `fetch` itself is "fetch failed". */
export function describeFetchFault(fault: unknown): string {
  const cause = fault instanceof Error ? fault.cause : undefined
  return cause instanceof Error ? describeFault(cause) : describeFault(fault)
}

interface Envelope {
  readonly ok: boolean
  readonly [key: string]: unknown
}

function envelopeOf(text: string, response: Response, bigint: boolean): Envelope {
  const value = parsedOrNull(text, bigint)
  if (
    typeof value === 'object' &&
    value !== null &&
    'ok' in value &&
    typeof value.ok === 'boolean'
  ) {
    return value as Envelope
  }
  throw new FlashQError('protocol', `No answer of FlashQ's: HTTP ${response.status}`, {
    // A gateway may say so after the server has done it.
    maybeExecuted: response.status === 200 || response.status >= 500,
  })
}

function parsedOrNull(text: string, bigint: boolean): unknown {
  try {
    return parseJson(text, bigint)
  } catch {
    return null
  }
}
