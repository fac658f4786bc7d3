import { describe, expect, it } from 'vitest'
import { StorageFault } from '../../../../src/engine/storage-port.ts'
import {
  endsSession,
  faultOf,
  isUnreplicatedCommit,
} from '../../../../src/storage/postgres/fault.ts'

interface Row {
  readonly code: string
  readonly retryable: boolean
  readonly ends: boolean
  readonly why: string
}

function row(code: string, retryable: boolean, ends: boolean, why: string): Row {
  return { code, retryable, ends, why }
}

const states: readonly Row[] = [
  row('08000', true, true, 'connection exception'),
  row('08006', true, true, 'connection failure'),
  row('08P01', true, true, 'protocol violation: a pooler or proxy was confused'),
  row('57P01', true, true, 'shut down, or this session was ended'),
  row('57P02', true, true, 'another session has crashed'),
  row('57P03', true, true, 'starting up'),
  row('57P05', true, true, 'idle for too long'),
  row('57P04', false, true, 'the database was dropped'),
  row('57014', true, false, 'cancelled, or statement_timeout'),
  row('53000', true, false, 'resources'),
  row('53100', true, false, 'disk full'),
  row('53200', true, false, 'out of memory'),
  row('53300', true, false, 'too many connections'),
  row('40001', true, false, 'serialization'),
  row('40P01', true, false, 'deadlock'),
  row('40003', true, false, 'completion unknown'),
  row('40002', false, false, 'a constraint at the commit'),
  row('55P03', true, false, 'lock_timeout'),
  row('55006', true, false, 'object in use'),
  row('55000', false, false, 'object not in the state for it'),
  row('25006', true, true, 'read-only: a standby, by now'),
  row('25P02', false, false, 'in a failed transaction: a bug'),
  row('25P03', true, true, 'idle in a transaction for too long'),
  row('25P04', true, true, 'transaction_timeout'),
  row('26000', true, true, 'the prepared statement is gone'),
  row('42P05', true, true, 'the prepared statement is there already'),
  row('58030', true, false, 'disk error'),
  row('72000', true, false, 'snapshot too old'),
  row('22001', false, false, 'too long'),
  row('22003', false, false, 'out of range'),
  row('22021', false, false, 'not in the encoding'),
  row('22P05', false, false, 'NUL in text'),
  row('23505', false, false, 'not unique'),
  row('23514', false, false, 'of no partition'),
  row('42501', false, false, 'no privilege'),
  row('42601', false, false, 'syntax'),
  row('42P01', false, false, 'no such table'),
  row('0A000', false, false, 'not supported'),
  row('28000', false, true, 'no entry in pg_hba.conf'),
  row('28P01', false, true, 'wrong password'),
  row('3D000', false, true, 'no such database'),
  row('3F000', false, false, 'no such schema'),
  row('54000', false, false, 'too large for an index'),
  row('P0001', false, false, 'somebody raised it'),
  row('XX000', false, false, 'internal error'),
  row('XX001', false, false, 'data corrupted'),
]

function error(code: string, text = 'text', more: object = {}): Error {
  return Object.assign(new Error(text), { code }, more)
}

describe('an error of PostgreSQL', () => {
  for (const { code, retryable, ends, why } of states) {
    it(`${code} (${why}) is ${retryable ? '' : 'not '}worth another try`, () => {
      const fault = faultOf(error(code))
      expect(fault).toBeInstanceOf(StorageFault)
      expect(fault.code).toBe(code)
      expect(fault.retryable).toBe(retryable)
      expect(endsSession(fault)).toBe(ends)
    })
  }

  it('ends the session whenever it is FATAL', () => {
    expect(endsSession(faultOf(error('53300', 'x', { severity: 'FATAL' })))).toBe(true)
    expect(endsSession(faultOf(error('53300', 'x', { severity: 'ERROR' })))).toBe(false)
  })

  it('keeps its cause, and shows none of the row', () => {
    const cause = error('23505', 'duplicate key', { detail: 'Key (data)=(secret)' })
    const fault = faultOf(cause)
    expect(fault.cause).toBe(cause)
    expect(fault.message).toContain('duplicate key')
    expect(fault.message).toContain('23505')
    expect(fault.message).not.toContain('secret')
  })

  it('that is a fault already stays what it is', () => {
    const fault = new StorageFault('lost', 'gone', false)
    expect(faultOf(fault)).toBe(fault)
  })
})

describe('an error of the way to PostgreSQL', () => {
  const codes = [
    'EADDRNOTAVAIL',
    'EAI_AGAIN',
    'ECONNABORTED',
    'ECONNREFUSED',
    'ECONNRESET',
    'EHOSTUNREACH',
    'EMFILE',
    'ENETUNREACH',
    'ENOENT',
    'ENOTFOUND',
    'EPIPE',
    'ETIMEDOUT',
  ]
  for (const code of codes) {
    it(`${code} is worth another try, on a new session`, () => {
      const fault = faultOf(error(code))
      expect(fault).toMatchObject({ code, retryable: true })
      expect(endsSession(fault)).toBe(true)
    })
  }

  const texts = [
    'Connection terminated',
    'Connection terminated unexpectedly',
    'timeout expired',
    'Query read timeout',
    'Client has encountered a connection error and is not queryable',
    'Client was closed and is not queryable',
    'Received unexpected dataRow message from backend.',
    'There was an error establishing an SSL connection',
  ]
  for (const text of texts) {
    it(`"${text}" is, too`, () => {
      const fault = faultOf(new Error(text))
      expect(fault).toMatchObject({ code: 'connection_lost', retryable: true })
      expect(endsSession(fault)).toBe(true)
    })
  }

  it('of a name with several addresses says what the first one was', () => {
    const refused = [error('ECONNREFUSED', 'refused by ::1'), error('ECONNREFUSED', 'by 127.0.0.1')]
    const both = Object.assign(new AggregateError(refused), { code: 'ECONNREFUSED' })
    const fault = faultOf(both)
    expect(fault).toMatchObject({ code: 'ECONNREFUSED', retryable: true })
    expect(fault.message).toContain('refused by ::1')
  })

  it('that waiting does not repair is not', () => {
    for (const [code, text] of [
      ['CERT_HAS_EXPIRED', 'certificate has expired'],
      ['ERR_TLS_CERT_ALTNAME_INVALID', 'not for this host'],
      ['EACCES', 'permission denied'],
      ['', 'The server does not support SSL connections'],
      ['', 'SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string'],
    ] as const) {
      const fault = faultOf(code === '' ? new Error(text) : error(code, text))
      expect(fault).toMatchObject({ code: code || 'driver', retryable: false })
    }
  })

  it('may be anything at all', () => {
    for (const thrown of [undefined, null, 'text', 7, {}]) {
      expect(faultOf(thrown)).toMatchObject({ code: 'driver', retryable: false })
    }
  })
})

describe('a warning after a commit', () => {
  it('says that the standby may not have it', () => {
    const cancelled = { severity: 'WARNING', code: '01000', routine: 'SyncRepWaitForLSN' }
    expect(isUnreplicatedCommit(cancelled)).toBe(true)
    expect(isUnreplicatedCommit({ ...cancelled, code: '57P01' })).toBe(true)
    // Whoever is between us and PostgreSQL may drop what it does not know.
    expect(isUnreplicatedCommit({ code: '01000' })).toBe(true)
  })

  it('may be of a trigger, or about something else', () => {
    expect(isUnreplicatedCommit({ code: '01000', routine: 'exec_stmt_raise' })).toBe(false)
    expect(isUnreplicatedCommit({ code: '25P01', routine: 'EndTransactionBlock' })).toBe(false)
    expect(isUnreplicatedCommit({ code: '00000' })).toBe(false)
  })
})
