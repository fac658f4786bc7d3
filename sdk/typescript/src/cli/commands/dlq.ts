// The dead-letter queue of a queue.

import type { Job } from '../../job.ts'
import { countText } from '../amounts.ts'
import type { CliCommand, CliContext } from '../command.ts'
import { confirmed } from '../confirmation.ts'
import { EXIT } from '../exit-code.ts'
import type { Flag } from '../flag.ts'
import { attemptsText, shortData } from '../job-lines.ts'
import type { Column } from '../table.ts'
import { idOf } from '../words.ts'

const COLUMNS: readonly Column<Job>[] = [
  { head: 'ID', cell: (job) => String(job.id), right: true },
  { head: 'ATTEMPTS', cell: (job) => attemptsText(job), right: true },
  { head: 'ERROR', cell: (job) => job.progress_msg ?? '-', elastic: true },
  { head: 'DATA', cell: shortData, elastic: true },
]
const ID: Flag = { name: 'id', kind: 'text', value: 'ID', about: 'this job only' }

export const dlqList: CliCommand = {
  name: 'dlq list',
  words: ['<queue>'],
  about: 'the dead letters of a queue, oldest failure first',
  flags: [
    { name: 'count', short: 'n', kind: 'integer', value: 'N', about: 'at most 1,000; default 100' },
  ],
  json: 'an array of jobs; `progress_msg` is the error',
  async run({ words, flags, out, client }) {
    const jobs = await (await client()).getDlq(words[0] ?? '', flags.integer('count') ?? 100)
    if (out.json) out.document(jobs)
    else if (jobs.length === 0) out.note('There are no dead letters')
    else out.table(COLUMNS, jobs)
    return EXIT.ok
  },
}

export const dlqRetry: CliCommand = {
  name: 'dlq retry',
  words: ['<queue>'],
  about: 'put dead letters back into their queue: all, or one',
  flags: [ID],
  json: '`{"queue":Q,"retried":N}`',
  async run({ words, flags, out, client }) {
    const [queue = ''] = words
    const id = flags.text('id')
    const retried = await (await client()).retryDlq(queue, id === undefined ? id : idOf(id))
    if (out.json) out.document({ queue, retried })
    else out.line(`${countText(retried)} jobs are back in ${queue}`)
    return endOf(retried, id)
  },
}

export const dlqPurge: CliCommand = {
  name: 'dlq purge',
  words: ['<queue>'],
  about: 'remove dead letters for good: all, or one',
  flags: [ID, { name: 'yes', short: 'y', kind: 'switch', about: 'do not ask' }],
  json: '`{"queue":Q,"purged":N}`',
  async run(context: CliContext) {
    const { io, words, flags, out, client } = context
    const [queue = ''] = words
    const id = flags.text('id')
    const jobId = id === undefined ? id : idOf(id)
    const what = id === undefined ? `all dead letters of ${queue}` : `the dead letter ${id}`
    if (!flags.has('yes') && !(await confirmed(io, `Remove ${what}?`))) return EXIT.refused
    const purged = await (await client()).purgeDlq(queue, jobId)
    if (out.json) out.document({ queue, purged })
    else out.line(`${countText(purged)} dead letters of ${queue} are gone`)
    return endOf(purged, id)
  },
}

/** A job that was asked for by its id should have been there. */
function endOf(count: number, id: string | undefined): number {
  return count === 0 && id !== undefined ? EXIT.nothing : EXIT.ok
}
