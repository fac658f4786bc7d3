// Whatever goes wrong with PostgreSQL, as a StorageFault: what its code is, and whether the same call may work later.
//
// 1. Retryable: nobody knows whether it happened, or it did not and may happen later. A statement that cannot ever
//    work (a missing table, a refused password, a value out of range) is not; to repeat it would hide it.
// 2. The text never has the address of the database (a password is in it) nor the `detail` of an error (rows are).
// 3. `endsSession`: the session is over, or must not be used again, e.g. because its server is a standby by now.
//
// Neighbours: `connection.ts` makes every error pass through here.

import { StorageFault } from '../../engine/storage-port.ts'

/** SQLSTATEs, whole ones or their first two characters, after which the same call may succeed. */
const RETRYABLE_STATES = [
  '08', // connection
  '25006', // read-only: a standby, or a primary that has become one
  '25P03', // idle in a transaction for too long: this process was stopped
  '25P04', // transaction_timeout
  '26000', // a prepared statement is gone: a pooler gave the session to somebody else
  '42P05', // a prepared statement exists already: the same
  '40000',
  '40001', // serialization
  '40003', // completion unknown
  '40P01', // deadlock
  '53', // resources: disk full, out of memory, too many connections
  '55006', // object in use
  '55P03', // lock not available
  '57', // operator intervention: cancelled, shut down, starting up
  '58', // the system beneath PostgreSQL
  '72000', // snapshot too old
] as const

/** Of those of class 57, what no waiting repairs: the database was dropped. */
const FINAL_STATES = ['57P04'] as const

/** After these the session is closed by the server, or must be closed by us. */
const SESSION_ENDING_STATES = [
  '08',
  '25006',
  '25P03',
  '25P04',
  '26000',
  '42P05',
  '57P0',
  '3D',
  '28',
]

/** Codes of Node: the way to PostgreSQL, not what was asked of it. ENOENT: its Unix socket is not there (yet). */
const NETWORK_CODES = new Set([
  'EADDRNOTAVAIL',
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'EMFILE',
  'ENETDOWN',
  'ENETRESET',
  'ENETUNREACH',
  'ENFILE',
  'ENOBUFS',
  'ENOENT',
  'ENOMEM',
  'ENOTCONN',
  'ENOTFOUND',
  'EPIPE',
  'ERR_SOCKET_CLOSED',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_WRITE_AFTER_END',
  'ETIMEDOUT',
])

/** What the driver says without a code when the session has ended under it. */
const SESSION_ENDED_TEXT =
  /^(?:Connection terminated|timeout expired|Query read timeout|Client (?:has encountered|was closed)|Received unexpected|There was an error establishing an SSL)/

export function faultOf(error: unknown): StorageFault {
  if (error instanceof StorageFault) return error
  const code = codeOf(error)
  const text = textOf(error)
  if (isSqlState(code)) {
    return new StorageFault(code, `PostgreSQL: ${text} (${code})`, isRetryableState(code), error)
  }
  if (NETWORK_CODES.has(code)) {
    return new StorageFault(code, `PostgreSQL cannot be reached: ${text}`, true, error)
  }
  if (SESSION_ENDED_TEXT.test(text)) {
    return new StorageFault('connection_lost', `PostgreSQL: ${text}`, true, error)
  }
  return new StorageFault(code === '' ? 'driver' : code, `PostgreSQL: ${text}`, false, error)
}

/** Whether the session that it came from can no longer be used. */
export function endsSession(fault: StorageFault): boolean {
  if (isSqlState(fault.code)) {
    return hasSeverityFatal(fault.cause) || startsWithAny(fault.code, SESSION_ENDING_STATES)
  }
  // Of the network, of the driver, or a timeout of ours: the state of the protocol is not known.
  return true
}

interface NoticeFields {
  readonly severity?: string | undefined
  readonly code?: string | undefined
  readonly routine?: string | undefined
}

/**
 * The warning after a commit whose wait for the synchronous standby was cancelled: PostgreSQL reports success, but
 * the commit may be on this server only. A trigger's own `raise warning` has the same code and another routine.
 */
export function isUnreplicatedCommit(notice: NoticeFields): boolean {
  return (
    (notice.code === '01000' || notice.code === '57P01') && notice.routine !== 'exec_stmt_raise'
  )
}

function isRetryableState(code: string): boolean {
  return startsWithAny(code, RETRYABLE_STATES) && !startsWithAny(code, FINAL_STATES)
}

function startsWithAny(code: string, prefixes: readonly string[]): boolean {
  return prefixes.some((prefix) => code.startsWith(prefix))
}

function isSqlState(code: string): boolean {
  // Codes of Node that are five characters long begin with an E and have no digit, unlike any SQLSTATE.
  return /^[0-9A-Z]{5}$/.test(code) && /[0-9]/.test(code)
}

function hasSeverityFatal(error: unknown): boolean {
  if (typeof error !== 'object' || error === null || !('severity' in error)) return false
  return error.severity === 'FATAL' || error.severity === 'PANIC'
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}

function textOf(error: unknown): string {
  // Where a name has several addresses, Node's error has no text of its own, only those of each attempt.
  if (error instanceof AggregateError && error.message === '' && error.errors.length > 0) {
    return textOf(error.errors[0])
  }
  return error instanceof Error ? error.message : String(error)
}
