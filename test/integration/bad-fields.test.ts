// Fields of a wrong type, out of range, too long or unknown have their exact answer, and nothing else happens.
// The numbers are those of the catalogue of bad inputs: 33–47 types and ranges; bad-input.test.ts has those before.

import { describe, expect, it } from 'vitest'
import {
  badField,
  expectCalm,
  invalid,
  PUSHED,
  pushFrame,
  type Row,
  testRows,
  tooLong,
} from '../support/bad-input-rows.ts'
import { queueInShard } from '../support/queue-names.ts'
import { SharedServer } from '../support/shared-server.ts'
import { idOf } from '../support/wire-client.ts'

const UINT = 'an integer from 0 to 2^53 - 1'
const INT32 = 'an integer from -2^31 to 2^31 - 1'

const server = new SharedServer()
expectCalm(server)

describe('types and ranges', () => {
  const uints = (name: string, frame: (value: string) => string, max: number): Row[] => [
    ...['-1', '1.5', '5.0', '1e3', '"1"', 'true', '[]', '{}', '9007199254740992', '1e18'].map(
      (value): Row => [`${name} ${value}`, frame(value), badField(name, UINT)],
    ),
    ...(max < Number.MAX_SAFE_INTEGER
      ? [
          [
            `${name} over its maximum`,
            frame(`${max + 1}`),
            invalid(`field "${name}" is ${max + 1}, the maximum is ${max}`),
          ] as Row,
        ]
      : []),
  ]
  const option = (name: string) => (value: string) => pushFrame(`,"${name}":${value}`)
  const DAY_MS = 24 * 60 * 60 * 1000
  const strings = ['1', 'null', '["a"]', '{"toString":1}', 'true']

  testRows(
    server,
    ...strings.map(
      (value): Row => [`33 queue ${value}`, pushFrame('', value), badField('queue', 'a string')],
    ),
    ...['2147483648', '-2147483649', '1.5', '1e2', '"1"', 'null', 'true'].map(
      (value): Row => [
        `35 priority ${value}`,
        pushFrame(`,"priority":${value}`),
        badField('priority', INT32),
      ],
    ),
    ['35 the least priority', pushFrame(',"priority":-2147483648'), PUSHED],
    ['35 the greatest priority', pushFrame(',"priority":2147483647'), PUSHED],
    ...['delay', 'ttl', 'timeout', 'backoff'].flatMap((name) =>
      uints(name, option(name), 365 * DAY_MS),
    ),
    ['36 a delay of 2^31, which no timer of Node holds', pushFrame(',"delay":2147483648'), PUSHED],
    ...uints('max_attempts', option('max_attempts'), 2 ** 32 - 1),
    ['38 max_attempts 2^32 - 1', pushFrame(',"max_attempts":4294967295'), PUSHED],
    [
      '36 options that are null are as if absent',
      pushFrame(
        ',"delay":null,"ttl":null,"timeout":null,"max_attempts":null,"backoff":null,"unique_key":null,"depends_on":null,"tags":null',
      ),
      PUSHED,
    ],
    ['data is required', '{"cmd":"PUSH","queue":"q"}\n', invalid('missing field "data"')],
    ['queue is required', '{"cmd":"PUSH","data":1}\n', invalid('missing field "queue"')],
    ['39 a batch of none', '{"cmd":"PUSHB","queue":"q","jobs":[]}\n', { ok: true, ids: [] }],
    ['39 a batch of 1,001', batchOf(1001), tooLong('jobs in a batch', 1000)],
    [
      '39 a batch that is no array',
      '{"cmd":"PUSHB","queue":"q","jobs":{}}\n',
      badField('jobs', 'an array of objects'),
    ],
    [
      '39 a batch of something else',
      '{"cmd":"PUSHB","queue":"q","jobs":[1]}\n',
      badField('jobs', 'an array of objects'),
    ],
    ['40 a pull of none', '{"cmd":"PULLB","queue":"q","count":0}\n', { ok: true, jobs: [] }],
    [
      '40 a pull of 10^9',
      '{"cmd":"PULLB","queue":"none","wait":0,"count":1000000000}\n',
      { ok: true, jobs: [] },
    ],
    ...uints('count', (value) => `{"cmd":"PULLB","queue":"q","count":${value}}\n`, Infinity),
    ...['1', '"1"', '["1"]', '[1.5]', '[-1]', '[null]', '[[1]]'].map(
      (value): Row => [
        `42 depends_on ${value}`,
        pushFrame(`,"depends_on":${value}`),
        badField('depends_on', 'an array of job ids'),
      ],
    ),
    [
      '42 101 dependencies',
      pushFrame(`,"depends_on":[${'1,'.repeat(100)}1]`),
      tooLong('elements of depends_on', 100),
    ],
    ['43 33 tags', pushFrame(`,"tags":[${'"t",'.repeat(32)}"t"]`), tooLong('elements of tags', 32)],
    [
      '43 a tag of 65 bytes',
      pushFrame(`,"tags":["${'x'.repeat(65)}"]`),
      tooLong('bytes of a tag', 64),
    ],
    ['43 the same tag twice', pushFrame(',"tags":["a","a"]'), PUSHED],
    [
      '43 a tag that is no string',
      pushFrame(',"tags":[1]'),
      badField('tags', 'an array of strings'),
    ],
    [
      '44 a unique key of 257 bytes',
      pushFrame(`,"unique_key":"${'k'.repeat(257)}"`),
      tooLong('bytes of unique_key', 256),
    ],
    [
      '44 a unique key that is no string',
      pushFrame(',"unique_key":5'),
      badField('unique_key', 'a string'),
    ],
    ...uints('progress', (value) => `{"cmd":"PROGRESS","id":1,"progress":${value}}\n`, 255),
    ...uints('id', (value) => `{"cmd":"GETSTATE","id":${value}}\n`, Infinity),
    ['an id that is null', '{"cmd":"ACK","id":null}\n', badField('id', UINT)],
    [
      '1,001 ids',
      `{"cmd":"ACKB","ids":[${'1,'.repeat(1000)}1]}\n`,
      tooLong('ids in a batch', 1000),
    ],
    ['ids in strings', '{"cmd":"ACKB","ids":["1"]}\n', badField('ids', 'an array of job ids')],
    ['47 an unknown command', '{"cmd":"OBLITERATE"}\n', invalid('unknown command "OBLITERATE"')],
    ['47 a command in lower case', '{"cmd":"stats"}\n', invalid('unknown command "stats"')],
    ['47 a blank behind the command', '{"cmd":"STATS "}\n', invalid('unknown command "STATS "')],
    ...['constructor', '__proto__', 'toString', ''].map(
      (name): Row => [
        `47 '${name}' as a command`,
        `{"cmd":"${name}"}\n`,
        invalid(`unknown command "${name}"`),
      ],
    ),
    ['47 a command that is no string', '{"cmd":["STATS"]}\n', badField('cmd', 'a string')],
    [
      'a limit over its maximum',
      '{"cmd":"RATELIMIT","queue":"q","limit":4294967296}\n',
      invalid('field "limit" is 4294967296, the maximum is 4294967295'),
    ],
    [
      'an event that does not exist',
      '{"cmd":"SUBSCRIBE","queue":"q","events":["completed","nope"]}\n',
      badField('events', 'an array of event names'),
    ],
    [
      'a reqId of 65 bytes',
      `{"cmd":"STATS","reqId":"${'r'.repeat(63)}"}\n`,
      badField('reqId', 'a string or an integer of at most 64 bytes'),
    ],
    [
      'a cron that never comes',
      '{"cmd":"CRON","name":"n","queue":"q","schedule":"0 0 30 2 *","data":1}\n',
      ['cron_invalid', "Invalid cron expression '0 0 30 2 *': it never matches"],
    ],
    [
      'a cron every 0 seconds',
      '{"cmd":"CRON","name":"n","queue":"q","schedule":"*/0","data":1}\n',
      ['cron_invalid', 'Invalid interval format: */0'],
    ],
    [
      'a cron of 257 characters',
      `{"cmd":"CRON","name":"n","queue":"q","schedule":"${'*'.repeat(257)}","data":1}\n`,
      ['cron_invalid', 'Cron schedule too long (257 chars, max 256 chars)'],
    ],
  )

  it('34 a queue called __proto__ or constructor is a queue like any other', async () => {
    const client = await server.client()
    for (const queue of ['__proto__', 'constructor', 'toString', '..', '-']) {
      const id = await client.push(queue, 1)
      expect((await client.pull(queue)).id).toBe(id)
      await client.ok({ cmd: 'PAUSE', queue })
      await client.ok({ cmd: 'RESUME', queue })
    }
    expect(await client.pullNow('valueOf')).toBeNull()
  })

  it('39 one job of a wrong type refuses its whole batch, and nothing is pushed', async () => {
    const client = await server.client()
    const jobs = Array.from({ length: 999 }, (_, n) => ({ data: n, priority: n === 700 ? '1' : 1 }))
    const answer = await client.ask({ cmd: 'PUSHB', queue: 'one-bad', jobs })
    expect(answer).toEqual({
      ok: false,
      error: `Invalid: field "priority" of jobs[700] must be ${INT32}`,
      code: 'invalid',
    })
    expect(await client.pullNow('one-bad')).toBeNull()
  })

  it('42 an id that was never given out is refused, the own one included', async () => {
    const client = await server.client()
    const queue = queueInShard(9)
    const id = await client.push(queue, 1)
    for (const parent of [id + 32, id + 3200]) {
      expect(await client.ask({ cmd: 'PUSH', queue, data: 1, depends_on: [parent] })).toEqual({
        ok: false,
        error: `Dependency ${parent} does not exist`,
        code: 'dependency_invalid',
      })
    }
    // Of another shard this one cannot know: the job fails as soon as it does.
    const child = idOf(await client.ok({ cmd: 'PUSH', queue, data: 1, depends_on: [id + 32_001] }))
    await expect.poll(() => client.stateOf(child), { timeout: 10_000 }).toBe('failed')
  })

  it('42 jobs of a batch that would wait for each other are refused, whatever ids they guess', async () => {
    const client = await server.client()
    const queue = queueInShard(11)
    const id = await client.push(queue, 0)
    // The ids that the next three would have, each waiting for the one behind it.
    const [a, b, c] = [1, 2, 3].map((n) => id + 32 * n) as [number, number, number]
    const jobs = [b, c, a].map((parent) => ({ data: 1, depends_on: [parent] }))
    const answer = await client.ask({ cmd: 'PUSHB', queue, jobs })
    expect(answer.errors?.map(({ code }) => code)).toEqual(Array(3).fill('dependency_invalid'))
    expect((await client.pull(queue)).id).toBe(id)
    expect(await client.pullNow(queue)).toBeNull()
  })

  it('44 the empty unique key is a key', async () => {
    const client = await server.client()
    await client.push('empty-key', 1, { unique_key: '' })
    const again = await client.ask({ cmd: 'PUSH', queue: 'empty-key', data: 1, unique_key: '' })
    expect(again).toMatchObject({ ok: false, code: 'duplicate_key' })
  })

  it('46 nothing but the fields of the command can be set', async () => {
    const client = await server.client()
    const fields = {
      id: 5,
      attempts: 99,
      state: 'completed',
      progress: 50,
      created_at: 1,
      run_at: 1,
    }
    const id = await client.push('mass', 1, { ...fields, isAdmin: true, queue_name: 'x' })
    const job = await client.pull('mass')
    expect(job).toMatchObject({ id, attempts: 0, progress: 0 })
    expect(job.created_at).toBeGreaterThan(1)
    expect(job).not.toHaveProperty('isAdmin')
  })
})

function batchOf(count: number): string {
  const jobs = Array.from({ length: count }, () => ({ data: 1 }))
  return `${JSON.stringify({ cmd: 'PUSHB', queue: 'q', jobs })}\n`
}
