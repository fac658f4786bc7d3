// What becomes of a request that was refused, or whose reply was lost: the same rules for every transport.

import { describeFault, FlashQError } from './errors.ts'
import type { Request } from './request.ts'

/** The server did not run it, and may do so later. */
const PUT_OFF: ReadonlySet<string> = new Set(['unavailable', 'draining'])
/** Refusals of a whole batch that one of its calls alone may deserve. */
const SPOILT: ReadonlySet<string> = new Set([
  'invalid',
  'limit_exceeded',
  'data_too_large',
  'dependency_invalid',
  'duplicate_key',
])

/** The server may be asked again until the request's time is over. */
export function mayAskAgain(request: Request, refusal: FlashQError): boolean {
  return PUT_OFF.has(refusal.code) || (request.resendable && refusal.code === 'outcome_unknown')
}

/** The calls of a refused batch, to be asked one by one; none when the refusal is for all of them. */
export function partsAfter(request: Request, refusal: FlashQError): Request[] {
  return SPOILT.has(refusal.code) ? request.split() : []
}

/** A pull may be repeated, but it is no mere look. */
export function changesState(request: Request): boolean {
  return !request.resendable || !request.timed
}

export function lostError(
  fault: Error | null,
  closing: boolean,
  maybeExecuted: boolean,
): FlashQError {
  if (closing) return closedError(maybeExecuted)
  if (fault === null) {
    const text = 'Connection lost: the server closed it'
    return new FlashQError('connection_lost', text, { maybeExecuted })
  }
  const text = `Connection lost: ${describeFault(fault)}`
  return new FlashQError('connection_lost', text, { maybeExecuted, cause: fault })
}

export function closedError(maybeExecuted: boolean): FlashQError {
  return new FlashQError('closed', 'Connection closed', { maybeExecuted })
}
