// A pull by HTTP: a row of short long polls until there is a job, or the pull's own wait is over.

import type { PullRequest } from '../pull-request.ts'
import type { Reply } from '../reply.ts'
import { exchange, type HttpSite } from './exchange.ts'
import { httpCallOf } from './route.ts'

/** ms that one request waits: below what proxies allow an answer to take. */
const SLICE_MS = 20_000

export async function askPull(
  site: HttpSite,
  pull: PullRequest,
  signal: AbortSignal,
): Promise<Reply> {
  for (;;) {
    const nowMs = performance.now()
    const restMs = pull.restMs(nowMs)
    const timeout = Math.min(restMs, SLICE_MS)
    const reply = await exchange(
      site,
      httpCallOf(pull.name, fieldsOf(pull, nowMs, timeout)),
      signal,
    )
    const jobs = Array.isArray(reply.jobs) ? reply.jobs : null
    const over = restMs <= SLICE_MS || pull.state === 'settled'
    if (reply.ok !== true || jobs === null || jobs.length > 0 || over || pull.count === 0) {
      return pull.name === 'PULL' ? { ...reply, job: jobs?.[0] ?? null } : reply
    }
  }
}

/** The words of HTTP for the same: `timeout` for `wait`, and no connection whose end could release anything. */
function fieldsOf(pull: PullRequest, nowMs: number, timeout: number): string {
  const fields = JSON.parse(`{${pull.fieldsText(nowMs).slice(1)}}`) as Record<string, unknown>
  const { queue, wait: _, release_on_close: __, ...rest } = fields
  const text = JSON.stringify({ queue, count: 1, ...rest, timeout })
  return `,${text.slice(1, -1)}`
}
