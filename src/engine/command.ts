// One command as it travels from the wire to a shard: numbers, a few short strings, and extents
// into the frame's bytes.
//
// 1. A Command is scratch: one per reader, filled anew by each scan, valid until the next one.
// 2. Extents (`…From`, `…To`, end exclusive) point into `bytes`; From = -1 means absent.
// 3. Only the fields that the op's row in `proto/protocol.md` names are meaningful.

import { JobTable } from './job-table.ts'
import { limits } from './limits.ts'
import type { JobQuery } from './list/job-query.ts'
import type { Op } from './op.ts'
import { noTerms, type WebhookTerms } from './webhook-terms.ts'

const NO_BYTES = Buffer.alloc(0)

export class Command {
  op: Op | 0 = 0
  bytes: Buffer = NO_BYTES
  /** Raw JSON text of `reqId` (number or string), or -1. */
  reqIdFrom = -1
  reqIdTo = -1

  /** Decoded `queue`; '' when absent (no command accepts an empty one). */
  queue = ''
  id = 0
  /** RETRYDLQ, PURGEDLQ, HEARTBEAT, RELEASE: whether `id` was there. False for ACKB, which has `ids` only. */
  hasId = false

  /** PUSH: one row. PUSHB: a row per job. */
  readonly jobs = new JobTable()

  /** ACKB, HEARTBEAT, RELEASE. */
  readonly ids = new Float64Array(limits.batchMax)
  idCount = 0
  /** `tokens`, aligned with `ids`; NaN where the client gave null. Valid when `hasTokens`. */
  readonly tokens = new Float64Array(limits.batchMax)
  hasTokens = false
  /** ACKB `results`, aligned with `ids`: from, to; -1 for null or absent. Valid when `hasResults`. */
  readonly results = new Int32Array(2 * limits.batchMax)
  hasResults = false

  /** ACK, FAIL, PROGRESS, LOG, HEARTBEAT, RELEASE `token`; NaN when absent. */
  token = Number.NaN
  /** ACK `result` as raw JSON, or -1 (absent or null). */
  resultFrom = -1
  resultTo = -1

  /** PULL (always 1), PULLB, DLQ `count`. */
  count = 0
  /** PULL, PULLB `wait` in ms; -1 when absent (wait without limit). */
  waitMs = -1
  /** PULL, PULLB, HEARTBEAT `lease` in ms; 0 when absent. */
  leaseMs = 0
  /** PULL, PULLB `token: true`: the jobs carry their delivery token. */
  wantsToken = false
  /** PULL, PULLB `release_on_close: true`. */
  releaseOnClose = false

  /** PUSH, GETJOB `full`. */
  isFull = false
  /** DELETEQUEUE `force`. */
  isForced = false

  /** LISTJOBS. Not scratch: it may be kept. */
  query: JobQuery | null = null

  /** FAIL `error`, PROGRESS `message`, LOG `line`; null when absent. */
  text: string | null = null
  /** PROGRESS `progress` 0–255. */
  progress = 0
  /** RATELIMIT, SETCONCURRENCY. */
  limit = 0
  /** SUBSCRIBE `events`: a mask of EventKind bits. */
  events = 0
  /** CRON, CRONDELETE. */
  name = ''
  schedule = ''
  priority = 0
  /** CRON `data` as raw JSON. */
  dataFrom = -1
  dataTo = -1
  /** WEBHOOK and the like. */
  webhook: WebhookTerms = noTerms
  /** AUTH `token`. */
  secret = ''
}
