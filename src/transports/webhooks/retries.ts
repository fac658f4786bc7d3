// What becomes of a delivery after an attempt.

import { limits } from '../../engine/limits.ts'
import type { DeliveryResult } from '../../engine/webhook-ports.ts'
import type { Attempted } from './attempt.ts'

const GONE = 410
/** The receiver, or what stands before it, has too much to do. */
const THROTTLES: ReadonlySet<number> = new Set([429, 502, 503, 504])
/** Those whose Retry-After counts. */
const ASKS_TO_WAIT: ReadonlySet<number> = new Set([429, 503])
/** Pauses are this part longer or shorter, so that what failed together does not come back together. */
const JITTER = 0.1
/** "At once" is not meant so. */
const RETRY_AFTER_MS_MIN = 1000

export interface RetryTerms {
  /** The pause after the first failed attempt, after the second, … */
  readonly pausesMs: readonly number[]
  /** In [0, 1). */
  readonly random: () => number
}

/** `attempts`: those before this one. */
export function resultOf(
  attempted: Attempted,
  attempts: number,
  tookMs: number,
  terms: RetryTerms,
): DeliveryResult {
  const status = 'status' in attempted ? attempted.status : null
  const error = errorOf(attempted)
  const base = { status, error, tookMs }
  if (error === null) return { ...base, end: 'ok', delayMs: 0 }
  if (status === GONE) return { ...base, end: 'gone', delayMs: 0 }
  const pauseMs = terms.pausesMs[attempts]
  if (pauseMs === undefined) return { ...base, end: 'dead', delayMs: 0 }
  const spread = 1 - JITTER + 2 * JITTER * terms.random()
  return { ...base, end: 'retry', delayMs: wishOf(attempted) ?? Math.round(pauseMs * spread) }
}

export function isThrottling(attempted: Attempted): boolean {
  return 'status' in attempted && THROTTLES.has(attempted.status)
}

function errorOf(attempted: Attempted): string | null {
  if ('error' in attempted) return attempted.error
  const { status } = attempted
  if (status >= 200 && status < 300) return null
  return status >= 300 && status < 400 ? 'redirects are not followed' : `answered ${status}`
}

function wishOf(attempted: Attempted): number | null {
  if ('error' in attempted || !ASKS_TO_WAIT.has(attempted.status)) return null
  const { retryAfterMs } = attempted
  if (retryAfterMs === null) return null
  return Math.min(Math.max(retryAfterMs, RETRY_AFTER_MS_MIN), limits.webhookRetryAfterMsMax)
}
