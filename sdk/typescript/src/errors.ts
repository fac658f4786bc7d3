// What a call can be refused with, or fail with, in one catalogue.
//
// 1. The text of a server's refusal is the server's own: existing programs match it (`too large`, `Cron job not found`).
// 2. `maybeExecuted` is true whenever the server may have run the request; only a request for which it is
//    false may be repeated without thought.
// 3. `retryable` means: nothing was done, and the same call may well succeed later.
//
// The server's codes are listed in `proto/protocol.md`; the client adds those of `ClientCode`.

export type ServerCode =
  | 'invalid'
  | 'frame_too_large'
  | 'auth_required'
  | 'auth_invalid'
  | 'auth_throttled'
  | 'forbidden'
  | 'queue_name_invalid'
  | 'queue_busy'
  | 'data_too_large'
  | 'duplicate_key'
  | 'limit_exceeded'
  | 'quota_exceeded'
  | 'job_not_found'
  | 'job_not_active'
  | 'job_not_cancellable'
  | 'job_not_delayed'
  | 'stale_token'
  | 'dependency_invalid'
  | 'cron_not_found'
  | 'cron_invalid'
  | 'too_many_waiting'
  | 'memory_full'
  | 'draining'
  | 'unavailable'
  | 'outcome_unknown'

export type ClientCode =
  /** No connection could be made, or `close()` was called before. */
  | 'not_connected'
  /** No answer in time. */
  | 'timeout'
  /** The connection ended between the request and its reply. */
  | 'connection_lost'
  /** `close()` was called while the request was under way. */
  | 'closed'
  /** Too many requests wait for a connection. */
  | 'overloaded'
  /** The server answered something that is no answer to the request. */
  | 'protocol'
  /** The client cannot do this. */
  | 'unsupported'

/** A newer server may know codes that this client does not: hence the open end. */
export type ErrorCode = ServerCode | ClientCode | (string & {})

const TRANSIENT: ReadonlySet<string> = new Set([
  'auth_throttled',
  'quota_exceeded',
  'too_many_waiting',
  'memory_full',
  'draining',
  'unavailable',
  'not_connected',
  'timeout',
  'overloaded',
])

export interface FlashQErrorOptions {
  readonly maybeExecuted?: boolean
  readonly cause?: unknown
}

export class FlashQError extends Error {
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly maybeExecuted: boolean

  constructor(code: ErrorCode, text: string, options: FlashQErrorOptions = {}) {
    super(text, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'FlashQError'
    this.code = code
    this.maybeExecuted = options.maybeExecuted ?? code === 'outcome_unknown'
    this.retryable = TRANSIENT.has(code) && !this.maybeExecuted
  }
}

/** One refused item of a batch; `index` is its place in the call's array. */
export interface ItemError {
  readonly index: number
  readonly error: string
  readonly code: ErrorCode
}

/**
 * Some jobs of a `pushBatch` were not accepted. `ids` is as long as the call's array and holds `null` where `errors`
 * has an entry. `code` and the end of `message` are those of the first refusal.
 */
export class BatchError extends FlashQError {
  readonly ids: readonly (number | null)[]
  readonly errors: readonly ItemError[]

  constructor(ids: readonly (number | null)[], errors: readonly ItemError[], unsure: boolean) {
    const first = errors[0]
    super(
      first?.code ?? 'protocol',
      `${errors.length} of ${ids.length} jobs were refused: ${first?.error ?? 'no reason given'}`,
      { maybeExecuted: unsure },
    )
    this.name = 'BatchError'
    this.ids = ids
    this.errors = errors
  }
}

/** The text of a network error. An attempt on several addresses fails with an AggregateError, whose message is empty. */
export function describeFault(fault: unknown): string {
  if (fault instanceof AggregateError && fault.errors.length > 0) {
    return fault.errors.map(describeFault).join('; ')
  }
  return fault instanceof Error && fault.message !== '' ? fault.message : String(fault)
}
