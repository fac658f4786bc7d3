// What steers a queue: pause, resume, limits, drain.

import type { FlashQ } from '../../node-flashq.ts'
import { countText } from '../amounts.ts'
import type { CliCommand, CliContext } from '../command.ts'
import { confirmed } from '../confirmation.ts'
import { EXIT, UsageError } from '../exit-code.ts'
import { limitText } from './queues.ts'

export const pause: CliCommand = {
  name: 'pause',
  words: ['<queue>'],
  about: 'give out no jobs of a queue',
  flags: [],
  json: '`{"queue":Q,"paused":true}`',
  run: (context) => setPaused(context, true, (client, queue) => client.pause(queue)),
}

export const resume: CliCommand = {
  name: 'resume',
  words: ['<queue>'],
  about: 'give them out again',
  flags: [],
  json: '`{"queue":Q,"paused":false}`',
  run: (context) => setPaused(context, false, (client, queue) => client.resume(queue)),
}

export const limit: CliCommand = {
  name: 'limit',
  words: ['<queue>'],
  about: 'set, clear or show the limits of a queue',
  flags: [
    { name: 'rate', short: 'r', kind: 'text', value: 'N|off', about: 'jobs given out per second' },
    {
      name: 'concurrency',
      short: 'c',
      kind: 'text',
      value: 'N|off',
      about: 'active jobs at a time',
    },
  ],
  json: '`{"queue":Q,"rate_limit":N or null,"concurrency_limit":N or null}`',
  async run({ words, flags, out, client }) {
    const [queue = ''] = words
    const rate = limitOf(flags.text('rate'), 'rate')
    const concurrency = limitOf(flags.text('concurrency'), 'concurrency')
    const connected = await client()
    if (rate === null) await connected.clearRateLimit(queue)
    else if (rate !== undefined) await connected.setRateLimit(queue, rate)
    if (concurrency === null) await connected.clearConcurrency(queue)
    else if (concurrency !== undefined) await connected.setConcurrency(queue, concurrency)
    const found = (await connected.listQueues()).find(({ name }) => name === queue)
    const now = {
      queue,
      rate_limit: found?.rate_limit ?? null,
      concurrency_limit: found?.concurrency_limit ?? null,
    }
    if (out.json) out.document(now)
    else {
      out.fields([
        ['Queue', queue],
        ['Rate', limitText(now.rate_limit, '/s')],
        ['Concurrency', limitText(now.concurrency_limit, '')],
      ])
    }
    return EXIT.ok
  },
}

export const drain: CliCommand = {
  name: 'drain',
  words: ['<queue>'],
  about: 'remove for good every job that waits in a queue',
  detail: 'Asks first. Active jobs and dead letters stay. Exit code 1 when the answer is no.',
  flags: [{ name: 'yes', short: 'y', kind: 'switch', about: 'do not ask' }],
  json: '`{"queue":Q,"drained":N}`',
  async run({ io, words, flags, out, client }) {
    const [queue = ''] = words
    const question = `Remove every job that waits in ${queue}?`
    if (!flags.has('yes') && !(await confirmed(io, question))) return EXIT.refused
    const drained = await (await client()).drain(queue)
    if (out.json) out.document({ queue, drained })
    else out.line(`${countText(drained)} jobs of ${queue} are gone`)
    return EXIT.ok
  },
}

async function setPaused(
  { words, out, client }: CliContext,
  paused: boolean,
  act: (client: FlashQ, queue: string) => Promise<void>,
): Promise<number> {
  const [queue = ''] = words
  await act(await client(), queue)
  if (out.json) out.document({ queue, paused })
  else out.line(`${queue} is ${paused ? 'paused' : 'running'}`)
  return EXIT.ok
}

/** Null is none; undefined was not said. */
function limitOf(text: string | undefined, name: string): number | null | undefined {
  if (text === undefined) return undefined
  if (text === 'off' || text === 'none') return null
  if (/^\d{1,10}$/.test(text)) return Number(text)
  throw new UsageError(`--${name} takes a whole number, or off`, 'limit')
}
