// What ends a run, or a job: ack, fail, cancel, promote.

import type { FlashQ } from '../../node-flashq.ts'
import type { CliCommand, CliContext } from '../command.ts'
import { EXIT } from '../exit-code.ts'
import type { Flag } from '../flag.ts'
import { idOf, jsonOf } from '../words.ts'

const DELIVERY: Flag = {
  name: 'delivery',
  kind: 'integer',
  value: 'TOKEN',
  about: 'of the pull that is meant: a later one is left alone',
}

export const ack: CliCommand = {
  name: 'ack',
  words: ['<id>'],
  about: 'an active job is done',
  flags: [
    { name: 'result', short: 'r', kind: 'json', value: 'JSON', about: 'what it came to' },
    DELIVERY,
  ],
  json: '`{"id":N,"state":"completed"}`',
  run: (context) =>
    settle(context, 'completed', (client, id) => {
      const result = context.flags.text('result')
      const given = result === undefined ? undefined : jsonOf(result, 'the result')
      return client.ack(id, given, { token: context.flags.integer('delivery') })
    }),
}

export const fail: CliCommand = {
  name: 'fail',
  words: ['<id>', '[error]'],
  about: 'a run failed: the job is tried again, or goes to the dead-letter queue',
  flags: [DELIVERY],
  json: '`{"id":N,"state":STATE}`, the state it is in then',
  run: (context) =>
    settle(context, null, (client, id) =>
      client.fail(id, context.words[1], { token: context.flags.integer('delivery') }),
    ),
}

export const cancel: CliCommand = {
  name: 'cancel',
  words: ['<id>'],
  about: 'a job that is not finished is given up',
  flags: [],
  json: '`{"id":N,"state":"cancelled"}`',
  run: (context) => settle(context, 'cancelled', (client, id) => client.cancel(id)),
}

export const promote: CliCommand = {
  name: 'promote',
  words: ['<id>'],
  about: 'a delayed job is ready now',
  flags: [],
  json: '`{"id":N,"state":"waiting"}`',
  run: (context) => settle(context, 'waiting', (client, id) => client.promote(id)),
}

/** `state` null: the server is asked. */
async function settle(
  { words, out, client }: CliContext,
  state: string | null,
  act: (client: FlashQ, id: number) => Promise<void>,
): Promise<number> {
  const id = idOf(words[0] ?? '')
  const connected = await client()
  await act(connected, id)
  const now = state ?? (await connected.getState(id))
  if (out.json) out.document({ id, state: now })
  else out.line(`Job ${id} is ${now}`)
  return EXIT.ok
}
