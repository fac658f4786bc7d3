import type { FeedEvent, QueueEvent } from '../../event.ts'
import { exactText } from '../../exact-json.ts'
import type { EventName } from '../../job.ts'
import { momentText } from '../amounts.ts'
import type { CliCommand, CliContext } from '../command.ts'
import { EXIT, UsageError } from '../exit-code.ts'
import { cut, plain } from '../plain-text.ts'
import { pad } from '../table.ts'

const EVENT_NAMES: readonly EventName[] = [
  'pushed',
  'completed',
  'failed',
  'progress',
  'timeout',
  'retrying',
  'cancelled',
  'expired',
]
const STYLES = { completed: 'green', failed: 'red', timeout: 'red', retrying: 'yellow' } as const
const LINE_COLUMNS = 500

export const tail: CliCommand = {
  name: 'tail',
  words: [],
  about: 'events as they happen, until Ctrl-C',
  detail:
    'A connection that is lost is made again. When events were missed, a line says so. Ctrl-C is the way to leave: exit code 0.',
  flags: [
    { name: 'queue', short: 'q', kind: 'list', value: 'QUEUE,…', about: 'of these queues only' },
    {
      name: 'types',
      kind: 'list',
      value: 'TYPE,…',
      about: 'of these types only',
      choices: EVENT_NAMES,
    },
    { name: 'count', short: 'n', kind: 'integer', value: 'N', about: 'leave after so many' },
  ],
  json: 'one event a line: `{"event","queue","job_id","timestamp","data"?,"error"?,"progress"?}`, or `{"event":"dropped","count":N}`',
  async run(context) {
    const { io, flags, out } = context
    let left = flags.integer('count') ?? Number.POSITIVE_INFINITY
    if (left < 1) throw new UsageError('--count takes at least 1', 'tail')
    const client = await context.client()
    client.on('reconnecting', () => out.note('The connection is lost; trying again'))
    const stream = client.events({
      queues: flags.list('queue'),
      types: flags.list('types') as EventName[] | undefined,
      buffer: 10_000,
    })
    io.signal.addEventListener('abort', () => void stream.return(), { once: true })
    await stream.opened.catch((error: unknown) => {
      if (!io.signal.aborted) throw error
    })
    if (io.signal.aborted) return EXIT.ok
    out.note('Listening; Ctrl-C to leave')
    for await (const event of stream) {
      print(context, event)
      await out.drained()
      if (event.event !== 'dropped') left -= 1
      if (left <= 0 || io.signal.aborted) break
    }
    return EXIT.ok
  },
}

function print({ out }: CliContext, event: FeedEvent): void {
  if (out.json) {
    out.record(withoutJob(event))
  } else if (event.event === 'dropped') {
    const many = event.count === 0 ? 'some' : event.count
    out.line(out.style('yellow', `… ${many} events are missing here`))
  } else {
    out.line(lineOf(out, event))
  }
}

function lineOf(out: CliContext['out'], event: QueueEvent): string {
  const style = STYLES[event.event as keyof typeof STYLES]
  const name = pad(event.event, 9, false)
  const head = `${momentText(event.timestamp)}  ${style === undefined ? name : out.style(style, name)}`
  const said = [plain(event.queue), String(event.job_id)]
  if (event.progress !== undefined) said.push(`${event.progress}%`)
  if (event.error !== undefined) said.push(plain(event.error))
  if (event.data !== undefined) said.push(plain(cut(exactText(event.data), LINE_COLUMNS)))
  const rest = said.join('  ')
  return `${head}  ${out.columns > 0 ? cut(rest, Math.max(20, out.columns - 37)) : rest}`
}

/** The same over TCP and HTTP. */
function withoutJob(event: FeedEvent): object {
  if (event.event === 'dropped') return event
  const { job: _, ...rest } = event
  return rest
}
