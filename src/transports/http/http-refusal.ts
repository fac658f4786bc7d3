// How refusals look in HTTP: a status for each code of the engine, and the codes that only HTTP has.
//
// 1. Every code of the engine has its status: the table does not compile without.
// 2. A refusal that may be tried again says when, in `Retry-After`.
// 3. Nothing of a request is repeated in a header.
//
// `docs/http.md` lists both tables; a test compares them both ways.

import type { Refusal, RefusalCode } from '../../engine/refusal.ts'

/** What is refused before there is a command. */
export const httpCodes = {
  bad_request: 400,
  host_refused: 421,
  origin_refused: 403,
  not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  unsupported_media_type: 415,
  expectation_failed: 417,
  headers_too_large: 431,
  internal: 500,
} as const

export type HttpCode = keyof typeof httpCodes

export const statusOf: Readonly<Record<RefusalCode, number>> = {
  invalid: 400,
  frame_too_large: 413,
  auth_required: 401,
  auth_invalid: 401,
  auth_throttled: 429,
  forbidden: 403,
  queue_name_invalid: 400,
  data_too_large: 413,
  duplicate_key: 409,
  limit_exceeded: 400,
  job_not_found: 404,
  job_not_active: 409,
  job_not_delayed: 409,
  job_not_cancellable: 409,
  queue_busy: 409,
  stale_token: 409,
  dependency_invalid: 400,
  cron_not_found: 404,
  cron_invalid: 400,
  webhook_not_found: 404,
  webhook_invalid: 400,
  quota_exceeded: 429,
  too_many_waiting: 429,
  memory_full: 503,
  draining: 503,
  unavailable: 503,
  outcome_unknown: 504,
  storage_refused: 500,
}

/** Seconds after which it is worth trying again. */
export const retryAfterOf: Readonly<Partial<Record<RefusalCode, number>>> = {
  auth_throttled: 60,
  quota_exceeded: 1,
  too_many_waiting: 1,
  memory_full: 5,
  draining: 1,
  unavailable: 1,
}

export interface HttpRefusal {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** For what the engine refuses, or would. */
export function httpRefusal(refusal: Refusal): HttpRefusal {
  const { code, text, retryAfterMs } = refusal
  return {
    status: statusOf[code],
    headers: headersOf(code, retryAfterMs),
    body: bodyOf(code, text),
  }
}

export function refusedByHttp(
  code: HttpCode,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): HttpRefusal {
  return { status: httpCodes[code], headers, body: bodyOf(code, text) }
}

const NONE: Readonly<Record<string, string>> = {}

export function headersOf(
  code: RefusalCode,
  retryAfterMs?: number,
): Readonly<Record<string, string>> {
  const seconds = retryAfterMs === undefined ? retryAfterOf[code] : Math.ceil(retryAfterMs / 1000)
  if (seconds !== undefined) return { 'retry-after': String(seconds) }
  return statusOf[code] === 401 ? { 'www-authenticate': 'Bearer' } : NONE
}

function bodyOf(code: string, text: string): Buffer {
  return Buffer.from(`{"ok":false,"error":${JSON.stringify(text)},"code":"${code}"}`)
}
