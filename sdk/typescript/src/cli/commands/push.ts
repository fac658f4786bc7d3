import type { PushOptions } from '../../job.ts'
import { JsonText } from '../../json-text.ts'
import { countText } from '../amounts.ts'
import type { CliCommand, CliContext } from '../command.ts'
import { EXIT, UsageError } from '../exit-code.ts'
import type { Flags } from '../flag.ts'
import { lineSource, wholeText } from '../line-source.ts'
import { ProgressBar } from '../progress-bar.ts'
import { type FileOutcome, PushStopped, pushLines } from '../push-file.ts'
import { idOf, jsonOf } from '../words.ts'

const REFUSALS_SHOWN = 10

export const push: CliCommand = {
  name: 'push',
  words: ['<queue>', '[data]'],
  about: 'put a job, or a file of jobs, into a queue',
  detail:
    'The data is JSON, sent byte for byte; `-` reads it from stdin. A file has the data of one job a line; it is sent in ' +
    'batches of 1,000, and read no faster than the server takes them.',
  flags: [
    { name: 'string', short: 's', kind: 'switch', about: 'the data is a plain text, not JSON' },
    { name: 'file', short: 'f', kind: 'text', value: 'FILE', about: 'NDJSON; `-` is stdin' },
    {
      name: 'jobs',
      kind: 'switch',
      about: 'lines of the file are whole jobs: {"data":…,"priority":…}',
    },
    { name: 'priority', short: 'p', kind: 'integer', value: 'N', about: 'higher comes first' },
    { name: 'delay', kind: 'duration', value: 'TIME', about: 'before the first delivery' },
    { name: 'ttl', kind: 'duration', value: 'TIME', about: 'until it expires if nobody took it' },
    { name: 'run-timeout', kind: 'duration', value: 'TIME', about: 'that one run may take' },
    {
      name: 'max-attempts',
      kind: 'integer',
      value: 'N',
      about: 'runs before the dead-letter queue; 0 is without end',
    },
    { name: 'backoff', kind: 'duration', value: 'TIME', about: 'before the first retry; doubles' },
    { name: 'unique-key', kind: 'text', value: 'KEY', about: 'one live job of the queue has it' },
    {
      name: 'depends-on',
      kind: 'list',
      value: 'ID,…',
      about: 'jobs that must be completed first',
    },
    { name: 'tag', short: 't', kind: 'list', value: 'TAG,…', about: 'may be given several times' },
  ],
  json: '`{"id":N,"queue":Q}`; with --file `{"queue":Q,"pushed":N,"refused":[{"line","code","error"}],"unlisted":N}`',
  async run(context) {
    const { words, flags } = context
    const file = flags.text('file')
    if (file === undefined && words[1] === undefined) {
      throw new UsageError('push needs the data, `-`, or --file', 'push')
    }
    if (file !== undefined && words[1] !== undefined) {
      throw new UsageError('push takes data or --file, not both', 'push')
    }
    return file === undefined ? pushOne(context) : pushFile(context, file)
  },
}

async function pushOne({ io, words, flags, out, client }: CliContext): Promise<number> {
  const [queue = '', word = ''] = words
  const text = word === '-' ? await wholeText(io.stdin) : word
  const data = flags.has('string') ? new JsonText(JSON.stringify(text)) : jsonOf(text, 'the data')
  const job = await (await client()).push(queue, data, optionsOf(flags))
  if (out.json) out.document({ id: job.id, queue })
  else out.line(`Job ${job.id} is in ${queue}`)
  return EXIT.ok
}

async function pushFile(context: CliContext, file: string): Promise<number> {
  const { io, words, flags, out } = context
  const [queue = ''] = words
  const { lines, bytes } = await lineSource(file, io)
  const client = await context.client()
  const bar = new ProgressBar(io, performance.now(), !out.json)
  try {
    const outcome = await pushLines(lines, {
      client,
      queue,
      options: optionsOf(flags),
      wholeJobs: flags.has('jobs'),
      signal: io.signal,
      progress(pushed, bytesRead) {
        bar.show(bytes === null ? null : bytesRead / bytes, pushed, performance.now())
      },
    })
    bar.clear()
    tell(context, outcome)
    if (io.signal.aborted) return EXIT.interrupted
    return outcome.refused.length > 0 ? EXIT.refused : EXIT.ok
  } catch (error) {
    bar.clear()
    if (!(error instanceof PushStopped)) throw error
    tell(context, error.outcome)
    throw error.cause
  }
}

function tell({ words, out }: CliContext, outcome: FileOutcome): void {
  const [queue = ''] = words
  const { pushed, refused, unlisted } = outcome
  if (out.json) {
    out.document({ queue, pushed, refused, unlisted })
    return
  }
  out.line(`${countText(pushed)} jobs are in ${queue}`)
  for (const { line, code, error } of refused.slice(0, REFUSALS_SHOWN)) {
    out.note(`line ${line}: ${error} (${code})`)
  }
  const more = refused.length + unlisted - REFUSALS_SHOWN
  if (more > 0) out.note(`and ${countText(more)} more were refused`)
}

function optionsOf(flags: Flags): PushOptions {
  return {
    priority: flags.integer('priority'),
    delay: flags.duration('delay'),
    ttl: flags.duration('ttl'),
    timeout: flags.duration('run-timeout'),
    max_attempts: flags.integer('max-attempts'),
    backoff: flags.duration('backoff'),
    unique_key: flags.text('unique-key'),
    depends_on: flags.list('depends-on')?.map(idOf),
    tags: flags.list('tag'),
  }
}
