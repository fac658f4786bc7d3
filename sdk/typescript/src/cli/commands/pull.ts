import type { Job } from '../../job.ts'
import { parseDuration } from '../amounts.ts'
import type { CliCommand, CliContext } from '../command.ts'
import { EXIT, UsageError } from '../exit-code.ts'
import { JOB_COLUMNS } from '../job-lines.ts'
import { tableLines } from '../table.ts'

const PULL_MAX = 1000

export const pull: CliCommand = {
  name: 'pull',
  words: ['<queue>'],
  about: 'take jobs from a queue',
  detail:
    'Without --ack the jobs stay active: `flashq ack ID` or `flashq fail ID` settles them; with --lease they come back ' +
    'by themselves. Exit code 4 when there is none.',
  flags: [
    { name: 'count', short: 'n', kind: 'integer', value: 'N', about: 'at most so many; default 1' },
    {
      name: 'wait',
      short: 'w',
      kind: 'text',
      value: 'TIME',
      about: 'for the first one, or `forever`; default 0s',
    },
    { name: 'lease', kind: 'duration', value: 'TIME', about: 'within which they must be settled' },
    { name: 'ack', short: 'a', kind: 'switch', about: 'acknowledge them once they are printed' },
  ],
  json: 'one job a line, as the protocol has it',
  async run(context) {
    const count = context.flags.integer('count') ?? 1
    if (count < 1) throw new UsageError('--count takes at least 1', 'pull')
    const wait = waitOf(context)
    const client = await context.client()
    let left = count
    while (left > 0) {
      const jobs = await client.pullBatch(context.words[0] ?? '', Math.min(left, PULL_MAX), {
        wait: left === count ? wait : 0,
        lease: context.flags.duration('lease'),
        token: true,
        signal: context.io.signal,
      })
      if (jobs.length === 0) break
      await print(context, jobs, left === count)
      left -= jobs.length
      if (context.flags.has('ack')) await ackAll(context, jobs)
    }
    return left === count ? EXIT.nothing : EXIT.ok
  },
}

/** Undefined is without limit. */
function waitOf({ flags }: CliContext): number | undefined {
  const text = flags.text('wait') ?? '0'
  const ms = text === 'forever' ? undefined : parseDuration(text)
  if (ms === null) throw new UsageError('--wait takes a time such as 30s, or forever', 'pull')
  return ms
}

async function print({ out }: CliContext, jobs: readonly Job[], first: boolean): Promise<void> {
  if (out.json) for (const job of jobs) out.record(job)
  else if (first) out.table(JOB_COLUMNS, jobs)
  else for (const line of rowsOnly(jobs)) out.line(line)
  await out.drained()
}

function rowsOnly(jobs: readonly Job[]): string[] {
  return tableLines(JOB_COLUMNS, jobs, 0).slice(1)
}

async function ackAll(context: CliContext, jobs: readonly Job[]): Promise<void> {
  const client = await context.client()
  const acked = await client.ackBatch(
    jobs.map((job) => job.id),
    { tokens: jobs.map((job) => job.token) },
  )
  if (acked < jobs.length) context.out.note(`${jobs.length - acked} jobs were not active any more`)
}
