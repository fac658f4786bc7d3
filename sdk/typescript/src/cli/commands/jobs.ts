import type { Job, JobFilter, JobPage, JobState, ListedJob } from '../../job.ts'
import type { CliCommand, CliContext } from '../command.ts'
import { EXIT, UsageError } from '../exit-code.ts'
import type { Flags } from '../flag.ts'
import { JOB_COLUMNS } from '../job-lines.ts'
import { type Column, tableLines } from '../table.ts'

const STATES: readonly Exclude<JobState, 'unknown'>[] = [
  'waiting',
  'delayed',
  'active',
  'completed',
  'failed',
  'waiting-children',
]
const PAGE_JOBS = 1000
const [ID, QUEUE, ...REST] = JOB_COLUMNS
const COLUMNS: readonly Column<ListedJob>[] = [
  ...[ID, QUEUE].filter((column): column is Column<Job> => column !== undefined),
  { head: 'STATE', cell: (job) => job.state },
  ...REST,
]

export const jobs: CliCommand = {
  name: 'jobs',
  words: [],
  about: 'jobs, the newest first, of those that every filter fits',
  detail:
    'One page; where it ends is said, and --cursor goes on there. --all gives every page. Exit code 4 when there is none.',
  flags: [
    { name: 'queue', short: 'q', kind: 'text', value: 'QUEUE', about: 'of this queue' },
    {
      name: 'state',
      short: 's',
      kind: 'text',
      value: 'STATE',
      about: STATES.join(', '),
      choices: STATES,
    },
    { name: 'tag', short: 't', kind: 'text', value: 'TAG', about: 'with this tag' },
    {
      name: 'since',
      kind: 'moment',
      value: 'TIME',
      about: 'created then or later; 15m is 15 minutes ago',
    },
    { name: 'until', kind: 'moment', value: 'TIME', about: 'created then or earlier' },
    { name: 'text', kind: 'text', value: 'TEXT', about: 'that the JSON of the data holds' },
    {
      name: 'limit',
      short: 'n',
      kind: 'integer',
      value: 'N',
      about: 'a page, up to 1,000; with --all in sum',
    },
    { name: 'cursor', kind: 'text', value: 'CURSOR', about: 'go on behind an earlier page' },
    { name: 'all', short: 'a', kind: 'switch', about: 'every page' },
  ],
  json: '`{"jobs":[JOB…],"cursor":CURSOR or null}`; with --all one job a line',
  async run(context) {
    const limit = context.flags.integer('limit')
    if (limit !== undefined && limit < 1) throw new UsageError('--limit takes at least 1', 'jobs')
    return context.flags.has('all') ? everyPage(context, limit) : onePage(context, limit ?? 100)
  },
}

async function onePage({ flags, out, client }: CliContext, limit: number): Promise<number> {
  const filter = filterOf(flags)
  const connected = await client()
  let page: JobPage = { jobs: [], cursor: flags.text('cursor') ?? null }
  // A page may be empty and yet have a next one.
  do {
    page = await connected.listJobs({ ...filter, limit, cursor: page.cursor ?? undefined })
  } while (page.jobs.length === 0 && page.cursor !== null)
  if (out.json) out.document(page)
  else if (page.jobs.length === 0) out.note('There are no such jobs')
  else out.table(COLUMNS, page.jobs)
  if (page.cursor !== null) out.note(`More: --cursor ${page.cursor}`)
  return page.jobs.length === 0 ? EXIT.nothing : EXIT.ok
}

async function everyPage(context: CliContext, limit: number | undefined): Promise<number> {
  const { io, flags, out } = context
  const filter = filterOf(flags)
  const client = await context.client()
  let left = limit ?? Number.POSITIVE_INFINITY
  let shown = 0
  let cursor = flags.text('cursor')
  do {
    const page = await client.listJobs({ ...filter, limit: Math.min(left, PAGE_JOBS), cursor })
    print(context, page.jobs, shown === 0)
    await out.drained()
    shown += page.jobs.length
    left -= page.jobs.length
    cursor = page.cursor ?? undefined
  } while (cursor !== undefined && left > 0 && !io.signal.aborted)
  if (shown === 0) out.note('There are no such jobs')
  if (io.signal.aborted) return EXIT.interrupted
  return shown === 0 ? EXIT.nothing : EXIT.ok
}

function print({ out }: CliContext, page: readonly ListedJob[], first: boolean): void {
  if (page.length === 0) return
  if (out.json) for (const job of page) out.record(job)
  else if (first) out.table(COLUMNS, page)
  else for (const line of tableLines(COLUMNS, page, out.columns).slice(1)) out.line(line)
}

function filterOf(flags: Flags): JobFilter {
  return {
    queue: flags.text('queue'),
    state: STATES.find((state) => state === flags.text('state')),
    tag: flags.text('tag'),
    since: flags.moment('since'),
    until: flags.moment('until'),
    text: flags.text('text'),
  }
}
