// Jobs as people read them.

import { exactText } from '../exact-json.ts'
import type { Job } from '../job.ts'
import { durationText, momentText } from './amounts.ts'
import { cut } from './plain-text.ts'
import type { Column } from './table.ts'

/** Data beyond it is cut in a table: `flashq job ID` has all of it. */
const DATA_COLUMNS_MAX = 200

export const JOB_COLUMNS: readonly Column<Job>[] = [
  { head: 'ID', cell: (job) => String(job.id), right: true },
  { head: 'QUEUE', cell: (job) => job.queue, elastic: true },
  { head: 'PRIORITY', cell: (job) => String(job.priority), right: true },
  { head: 'ATTEMPTS', cell: (job) => attemptsText(job), right: true },
  { head: 'CREATED', cell: (job) => momentText(job.created_at) },
  { head: 'DATA', cell: (job) => shortData(job), elastic: true },
]

export function shortData(job: Job): string {
  return cut(exactText(job.data), DATA_COLUMNS_MAX)
}

export function attemptsText(job: Job): string {
  return job.max_attempts === 0 ? `${job.attempts}` : `${job.attempts}/${job.max_attempts}`
}

/** Every field that says something. */
export function jobFields(job: Job): [string, string][] {
  const fields: [string, string | null][] = [
    ['Id', String(job.id)],
    ['Queue', job.queue],
    ['Priority', String(job.priority)],
    ['Created', momentText(job.created_at)],
    ['Runs at', job.run_at > job.created_at ? momentText(job.run_at) : null],
    ['Started', momentText(job.started_at)],
    ['Attempts', attemptsText(job)],
    ['Backoff', spanOf(job.backoff)],
    ['Lives for', spanOf(job.ttl)],
    ['Time limit', spanOf(job.timeout)],
    ['Unique key', job.unique_key],
    ['Depends on', job.depends_on.length === 0 ? null : job.depends_on.join(', ')],
    ['Tags', job.tags.length === 0 ? null : job.tags.join(', ')],
    ['Progress', job.progress === 0 ? null : `${job.progress}%`],
    ['Message', job.progress_msg],
    ['Delivery', job.token === undefined ? null : String(job.token)],
  ]
  return fields.filter((field): field is [string, string] => field[1] !== null)
}

function spanOf(ms: number): string | null {
  return ms === 0 ? null : durationText(ms)
}
