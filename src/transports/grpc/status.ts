// What a refusal is in gRPC: the status of its code, its text, and the code itself as trailing metadata `flashq-code`.
//
// UNAVAILABLE is for what did not run and may be tried again as it is: clients do so by themselves. Therefore an unknown
// outcome is UNKNOWN.

import { Metadata, status } from '@grpc/grpc-js'
import type { Refusal, RefusalCode } from '../../engine/refusal.ts'

export const CODE_METADATA = 'flashq-code'
/** A status travels in a header. */
const DETAILS_LENGTH_MAX = 1024

export const statusOfCode: Readonly<Record<RefusalCode, status>> = {
  invalid: status.INVALID_ARGUMENT,
  frame_too_large: status.RESOURCE_EXHAUSTED,
  auth_required: status.UNAUTHENTICATED,
  auth_invalid: status.UNAUTHENTICATED,
  auth_throttled: status.RESOURCE_EXHAUSTED,
  forbidden: status.PERMISSION_DENIED,
  queue_name_invalid: status.INVALID_ARGUMENT,
  data_too_large: status.INVALID_ARGUMENT,
  duplicate_key: status.ALREADY_EXISTS,
  limit_exceeded: status.INVALID_ARGUMENT,
  job_not_found: status.NOT_FOUND,
  job_not_active: status.FAILED_PRECONDITION,
  job_not_delayed: status.FAILED_PRECONDITION,
  queue_busy: status.FAILED_PRECONDITION,
  job_not_cancellable: status.FAILED_PRECONDITION,
  stale_token: status.FAILED_PRECONDITION,
  dependency_invalid: status.INVALID_ARGUMENT,
  cron_not_found: status.NOT_FOUND,
  cron_invalid: status.INVALID_ARGUMENT,
  webhook_not_found: status.NOT_FOUND,
  webhook_invalid: status.INVALID_ARGUMENT,
  quota_exceeded: status.RESOURCE_EXHAUSTED,
  too_many_waiting: status.RESOURCE_EXHAUSTED,
  memory_full: status.RESOURCE_EXHAUSTED,
  draining: status.UNAVAILABLE,
  unavailable: status.UNAVAILABLE,
  outcome_unknown: status.UNKNOWN,
  storage_refused: status.INTERNAL,
}

export interface CallStatus {
  readonly code: status
  readonly details: string
  readonly metadata: Metadata
}

export function statusOf({ code, text }: Refusal): CallStatus {
  const metadata = new Metadata()
  metadata.set(CODE_METADATA, code)
  // Cut between characters: half a surrogate pair cannot be encoded.
  const details = text.slice(0, DETAILS_LENGTH_MAX).replace(/[\ud800-\udbff]$/, '')
  return { code: statusOfCode[code], details, metadata }
}
