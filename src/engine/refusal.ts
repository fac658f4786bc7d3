// Every way the server says no: a code that never changes, and its text.
//
// Texts that existing clients match are those of the wire; the rest may be improved, codes may not.
// `proto/protocol.md` lists the codes; a test compares the two both ways.

export const refusalCodes = [
  'invalid', // not JSON, unknown cmd, missing field, wrong type or range
  'frame_too_large',
  'auth_required',
  'auth_invalid',
  'auth_throttled',
  'forbidden', // the token's scopes or queues do not include it
  'queue_name_invalid',
  'queue_busy',
  'data_too_large',
  'duplicate_key',
  'limit_exceeded', // a list too long, a key too long, a batch too large
  'job_not_found',
  'job_not_active',
  'job_not_cancellable',
  'job_not_delayed',
  'stale_token',
  'dependency_invalid',
  'cron_not_found',
  'cron_invalid',
  'webhook_not_found',
  'webhook_invalid', // its URL, an event, its secret, a header
  'quota_exceeded', // the token is too fast, or has too much open; try again
  'too_many_waiting',
  'memory_full',
  'draining',
  'unavailable', // did not run; try again
  'outcome_unknown', // may have run
  'storage_refused', // the database refuses to store it
] as const

export type RefusalCode = (typeof refusalCodes)[number]

export interface Refusal {
  readonly code: RefusalCode
  readonly text: string
  /** When it is worth trying again, where that is known. */
  readonly retryAfterMs?: number
}

export const refusals = {
  invalid: (detail: string): Refusal => ({ code: 'invalid', text: `Invalid: ${detail}` }),
  frameTooLarge: (max: number): Refusal => ({
    code: 'frame_too_large',
    text: `Frame too large (max ${max} bytes)`,
  }),
  authRequired: { code: 'auth_required', text: 'Authentication required' },
  authInvalid: { code: 'auth_invalid', text: 'Invalid token' },
  signatureInvalid: { code: 'auth_invalid', text: 'Signature is missing, wrong or too old' },
  authThrottled: { code: 'auth_throttled', text: 'Too many failed attempts, try again later' },
  forbidden: { code: 'forbidden', text: 'This token may not do that' },
  queueEmpty: { code: 'queue_name_invalid', text: 'Queue name cannot be empty' },
  queueTooLong: { code: 'queue_name_invalid', text: 'Queue name too long (max 256 chars)' },
  queueCharacters: {
    code: 'queue_name_invalid',
    text: 'Queue name must contain only alphanumeric characters, underscores, hyphens, or dots',
  },
  queueBusy: (active: number): Refusal => ({
    code: 'queue_busy',
    text: `${active} jobs of the queue are active`,
  }),
  dataTooLarge: (size: number, max: number): Refusal => ({
    code: 'data_too_large',
    text: `Job data too large (${size} bytes, max ${max} bytes)`,
  }),
  resultTooLarge: (size: number, max: number): Refusal => ({
    code: 'data_too_large',
    text: `Result too large (${size} bytes, max ${max} bytes)`,
  }),
  duplicateKey: (key: string): Refusal => ({
    code: 'duplicate_key',
    text: `Duplicate job with key: ${key}`,
  }),
  limitExceeded: (what: string, max: number): Refusal => ({
    code: 'limit_exceeded',
    text: `Limit exceeded: ${what} (max ${max})`,
  }),
  quotaExceeded: (what: string, max: number): Refusal => ({
    code: 'quota_exceeded',
    text: `Quota exceeded: ${what} (max ${max})`,
  }),
  tooFast: (waitMs: number): Refusal => ({
    code: 'quota_exceeded',
    text: `Quota exceeded: this token is too fast, try again in ${waitMs} ms`,
    retryAfterMs: waitMs,
  }),
  jobNotFound: (id: number): Refusal => ({ code: 'job_not_found', text: `Job ${id} not found` }),
  jobNotActive: (id: number): Refusal => ({
    code: 'job_not_active',
    text: `Job ${id} not found in processing`,
  }),
  jobNotCancellable: (id: number): Refusal => ({
    code: 'job_not_cancellable',
    text: `Job ${id} cannot be cancelled (already completed/failed)`,
  }),
  jobNotDelayed: (id: number): Refusal => ({
    code: 'job_not_delayed',
    text: `Job ${id} is not delayed`,
  }),
  staleToken: (id: number): Refusal => ({
    code: 'stale_token',
    text: `Token for job ${id} is stale: the job was redelivered or finished`,
  }),
  dependencyInvalid: (id: number): Refusal => ({
    code: 'dependency_invalid',
    text: `Dependency ${id} does not exist`,
  }),
  cronNotFound: { code: 'cron_not_found', text: 'Cron job not found' },
  cronTooLong: (length: number, max: number): Refusal => ({
    code: 'cron_invalid',
    text: `Cron schedule too long (${length} chars, max ${max} chars)`,
  }),
  cronInterval: (schedule: string): Refusal => ({
    code: 'cron_invalid',
    text: `Invalid interval format: ${schedule}`,
  }),
  cronExpression: (schedule: string, detail: string): Refusal => ({
    code: 'cron_invalid',
    text: `Invalid cron expression '${schedule}': ${detail}`,
  }),
  cronName: (max: number): Refusal => ({
    code: 'cron_invalid',
    text: `Cron name must be 1 to ${max} bytes`,
  }),
  webhookNotFound: { code: 'webhook_not_found', text: 'Webhook not found' },
  webhookInvalid: (detail: string): Refusal => ({
    code: 'webhook_invalid',
    text: `Invalid webhook: ${detail}`,
  }),
  tooManyWaiting: { code: 'too_many_waiting', text: 'Too many waiting pulls on this queue' },
  memoryFull: { code: 'memory_full', text: 'Memory limit reached, job refused; try again later' },
  draining: { code: 'draining', text: 'Server is shutting down' },
  unavailable: {
    code: 'unavailable',
    text: 'The worker that owns this queue is not available; the command did not run, try again',
  },
  outcomeUnknown: {
    code: 'outcome_unknown',
    text: 'The worker that ran this command died before it answered: outcome unknown',
  },
  notStored: {
    code: 'outcome_unknown',
    text: 'The database did not confirm this command in time: outcome unknown',
  },
  interrupted: {
    code: 'outcome_unknown',
    text: 'The queue went to another worker before this command was through: ask again',
  },
  storageRefused: {
    code: 'storage_refused',
    text: 'The database refused to store this command or one beside it: it did not run',
  },
} as const
