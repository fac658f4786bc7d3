// What goes into a field, at every door: payloads come back byte for byte, and what is wrong, too large or too much is
// refused with the same code. The numbers are those of the catalogue of bad inputs.
//
// What a door's own types can't carry is in no row of it; each row says why.

import { describe, expect, it } from 'vitest'
import { limits } from '../../src/engine/limits.ts'
import {
  answerOf,
  type Command,
  type DoorClient,
  type DoorName,
  done,
  doorNames,
  pull,
  push,
  refused,
} from '../support/doors/door-client.ts'
import { exact } from '../support/doors/exact-json.ts'
import { openDoor, openDoors } from '../support/doors/open-doors.ts'
import { queueInShard } from '../support/queue-names.ts'
import { SharedServer } from '../support/shared-server.ts'

const settings = openDoors()
const server = new SharedServer({ ...settings, WORKERS: '2' })
let queues = 0
const newQueue = (): string => `fields-${++queues}`
const MIB = limits.dataBytesMax
const NEVER_GIVEN = 32 * 999_999
/** Of shard 0. */
const LAST_ID = 2 ** 53 - limits.shards

const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)
const textOf = (bytes: number): string => `"${'x'.repeat(bytes - 2)}"`

const payloads: readonly [title: string, text: string][] = [
  ['blanks and the order of keys', '{ "b" : 1 ,\t"a":  [ ] }'],
  ['numbers beyond doubles', '[12345678901234567890,1e400,-0,1.10,9007199254740993,1E-400]'],
  ['unicode as it was written', '["é","\\u00e9","\u{1f600}","\\ud83d\\ude00","\u2028","\\ud800"]'],
  ['names of prototypes', '{"__proto__":{"a":1},"constructor":{"prototype":{}},"toString":1}'],
  ['a key twice', '{"a":1,"a":2}'],
  ['names of the wire', '{"ok":false,"code":"x","state":"done","cmd":"PURGEDLQ","id":7}'],
  ['braces in strings', '["}","{\\"","\\\\","]"]'],
  ['the empty string', '""'],
  ['64 levels', deep(64)],
  ['exactly 1 MiB', textOf(MIB)],
]

/** Why a door has no such row. */
const PATH = 'it is in the path, which is text'
const PROTO = 'the type of its field in the proto file can carry nothing of the kind'

interface Row {
  readonly title: string
  readonly code: string | null
  command(queue: string): Command
  /** Doors that can't carry it, and why. */
  readonly except?: Partial<Record<DoorName, string>>
}

const byProto = { gRPC: PROTO }
const pushing =
  (fields: object) =>
  (queue: string): Command => ({
    cmd: 'PUSH',
    queue,
    data: 1,
    ...fields,
  })
const row = (
  title: string,
  code: string | null,
  command: Row['command'],
  except: Row['except'] = {},
): Row => ({ title, code, command, except })

/** Each of these, as the value of one field. */
function wrong(
  name: string,
  values: readonly string[],
  command: (value: object) => Row['command'],
  except: Row['except'] = byProto,
): Row[] {
  return values.map((text) => row(`${name} ${text}`, 'invalid', command(exact(text)), except))
}

const rows: readonly Row[] = [
  ...wrong(
    '33 queue',
    ['1', '["a"]', '{"toString":1}', 'true'],
    (queue) => () => ({
      cmd: 'PUSH',
      queue,
      data: 1,
    }),
    { HTTP: PATH, gRPC: PROTO },
  ),
  ...['../x', 'a/b', '%2e%2e', ' ', 'a b', 'a\nb', '\u200f', 'e\u0301'].map((queue) =>
    row(`34 queue ${JSON.stringify(queue)}`, 'queue_name_invalid', () => pushing({})(queue)),
  ),
  row('34 queue é', null, () => pushing({})('é')),
  row('34 no queue', 'queue_name_invalid', () => pushing({})(''), {
    HTTP: 'a path without it is another path',
  }),
  row('34 queue of 257 bytes', 'queue_name_invalid', () => pushing({})('q'.repeat(257))),
  row('34 queue __proto__', null, () => pushing({})('__proto__')),
  row('34 queue of 256 bytes', null, () => pushing({})('q'.repeat(256))),
  ...wrong('35 priority', ['2147483648', '-2147483649', '1.5', '"1"', 'null'], (priority) =>
    pushing({ priority }),
  ),
  row('35 the least priority', null, pushing({ priority: -(2 ** 31) })),
  row('35 the greatest priority', null, pushing({ priority: 2 ** 31 - 1 })),
  ...['delay', 'ttl', 'timeout', 'backoff'].flatMap((name) => [
    ...wrong(`36 ${name}`, ['-1', '1.5', '"1"', 'true', '[]'], (value) =>
      pushing({ [name]: value }),
    ),
    row(`36 ${name} 2^53`, 'invalid', pushing({ [name]: 2 ** 53 })),
    row(`41 ${name} above a year`, 'invalid', pushing({ [name]: limits.ttlMsMax + 1 })),
    row(`41 ${name} of a year`, null, pushing({ [name]: limits.ttlMsMax })),
  ]),
  ...wrong('38 max_attempts', ['-1', '4294967296', '"1"'], (value) =>
    pushing({ max_attempts: value }),
  ),
  row('38 max_attempts 0', null, pushing({ max_attempts: 0 })),
  row('38 max_attempts 2^32 - 1', null, pushing({ max_attempts: 2 ** 32 - 1 })),
  row('39 a batch of none', null, (queue) => ({ cmd: 'PUSHB', queue, jobs: [] })),
  row('39 a batch of 1,000', null, (queue) => batch(queue, 1000)),
  row('39 a batch of 1,001', 'limit_exceeded', (queue) => batch(queue, 1001)),
  row('39 acks of 1,001', 'limit_exceeded', () => ({
    cmd: 'ACKB',
    ids: Array.from({ length: 1001 }, () => 1),
  })),
  row('39 results of another number', 'invalid', () => ({
    cmd: 'ACKB',
    ids: [1],
    results: [1, 2],
  })),
  ...wrong('40 count', ['-1', '1.5', '"1"'], (count) => (queue) => ({
    cmd: 'PULLB',
    queue,
    count,
    wait: 0,
  })),
  row('40 count 1e9', null, (queue) => ({ cmd: 'PULLB', queue, count: 1e9, wait: 0 })),
  row('41 a lease of more than a day', 'invalid', (queue) => ({
    cmd: 'PULL',
    queue,
    wait: 0,
    lease: limits.leaseMsMax + 1,
  })),
  row('42 depends_on an id never given', 'dependency_invalid', () =>
    pushing({ depends_on: [LAST_ID] })(queueInShard(0)),
  ),
  row('42 depends_on 101 ids', 'limit_exceeded', pushing({ depends_on: Array(101).fill(1) })),
  ...wrong('42 depends_on', ['1', '["1"]', '[1.5]', '{}'], (value) =>
    pushing({ depends_on: value }),
  ),
  row('43 33 tags', 'limit_exceeded', pushing({ tags: Array(33).fill('t') })),
  row('43 a tag of 65 bytes', 'limit_exceeded', pushing({ tags: ['t'.repeat(65)] })),
  row('43 a tag twice', null, pushing({ tags: ['t', 't'] })),
  ...wrong('43 tags', ['"t"', '[1]', '[null]'], (tags) => pushing({ tags })),
  row('44 unique_key of 257 bytes', 'limit_exceeded', pushing({ unique_key: 'k'.repeat(257) })),
  row("44 unique_key ''", null, pushing({ unique_key: '' })),
  ...wrong('44 unique_key', ['1', '[]'], (unique_key) => pushing({ unique_key })),
  row('45 progress 256', 'invalid', () => ({ cmd: 'PROGRESS', id: 1, progress: 256 })),
  ...wrong('45 progress', ['-1', '"1"', '1.5', 'null'], (progress) => () => ({
    cmd: 'PROGRESS',
    id: 1,
    progress,
  })),
  row(
    '46 fields that nobody knows',
    null,
    pushing({ isAdmin: true, attempts: 99, state: 'completed', started_at: 1 }),
    { gRPC: 'its client has no names for them; unknown numbers are a test of messages.test.ts' },
  ),
  row('limit 2^32', 'invalid', (queue) => ({ cmd: 'RATELIMIT', queue, limit: 2 ** 32 }), byProto),
  row('no limit', 'invalid', (queue) => ({ cmd: 'SETCONCURRENCY', queue }), {
    gRPC: 'a limit that is not there is 0',
  }),
  row('no line', 'invalid', () => ({ cmd: 'LOG', id: NEVER_GIVEN }), {
    gRPC: 'a line that is not there is empty',
  }),
  row('an id of 2^53', 'invalid', () => ({ cmd: 'ACK', id: 2 ** 53 })),
  row('a list of 1,001 jobs', 'invalid', (queue) => ({ cmd: 'LISTJOBS', queue, limit: 1001 })),
  row('a list from 100,001 on', 'invalid', (queue) => ({
    cmd: 'LISTJOBS',
    queue,
    offset: 100_001,
  })),
  row('a cursor that is none', 'invalid', (queue) => ({ cmd: 'LISTJOBS', queue, cursor: 'x' })),
  row('a queue of a list of 257 bytes', 'queue_name_invalid', () => ({
    cmd: 'LISTJOBS',
    queue: 'q'.repeat(257),
  })),
  row('a tag of a list of 65 bytes', 'limit_exceeded', (queue) => ({
    cmd: 'LISTJOBS',
    queue,
    tag: 't'.repeat(65),
  })),
  row('a text of a list of 1 KiB and one', 'limit_exceeded', (queue) => ({
    cmd: 'LISTJOBS',
    queue,
    text: 't'.repeat(1025),
  })),
]

function batch(queue: string, count: number): Command {
  return { cmd: 'PUSHB', queue, jobs: Array.from({ length: count }, (_, n) => ({ data: n })) }
}

describe.each(doorNames)('over %s', (name) => {
  const open = (): Promise<DoorClient> => openDoor(name, server.process, settings.UNIX_SOCKET)

  describe('payloads are bytes', () => {
    it.each(payloads)('%s', async (_, text) => {
      const door = await open()
      const queue = newQueue()
      const data = exact(text)
      const id = await push(door, queue, { data })
      // A string of its own says where it differs; of a mebibyte it says only that it does.
      const same = (got: unknown): boolean => got === text
      expect((await pull(door, queue))?.data).toSatisfy(same)
      expect(await door.run({ cmd: 'ACK', id, result: data })).toEqual(done())
      expect((await answerOf(door, { cmd: 'GETRESULT', id }))['result']).toSatisfy(same)
      const { job, result } = await answerOf(door, { cmd: 'GETJOB', id, full: true })
      expect((job as { data: unknown }).data).toSatisfy(same)
      expect(result).toSatisfy(same)
    })

    it('null, and no result', async () => {
      const door = await open()
      const queue = newQueue()
      const id = await push(door, queue, { data: null })
      expect(await pull(door, queue)).toMatchObject({ id, data: null })
      expect(await door.run({ cmd: 'ACK', id })).toEqual(done())
      expect(await door.run({ cmd: 'GETRESULT', id })).toEqual(done({ id, result: null }))
    })
  })

  describe('payloads that are none', () => {
    const texts = ['', '{', '{"a":1,}', '[1] [2]', 'NaN', '// 1', '"\\x"', '\u00a01']
    it.each(texts)('%j', async (text) => {
      const door = await open()
      const data = exact(text)
      expect(await door.run({ cmd: 'PUSH', queue: newQueue(), data })).toEqual(refused('invalid'))
    })

    it.each([
      ['data_too_large', 'a byte more than 1 MiB', textOf(MIB + 1)],
      ['limit_exceeded', '65 levels', deep(65)],
    ])('%s: %s', async (code, _, text) => {
      const door = await open()
      const queue = newQueue()
      const data = exact(text)
      expect(await door.run({ cmd: 'PUSH', queue, data })).toEqual(refused(code))
      const id = await push(door, queue)
      await pull(door, queue)
      expect(await door.run({ cmd: 'ACK', id, result: data })).toEqual(refused(code))
      expect(await door.run({ cmd: 'GETSTATE', id })).toEqual(done({ id, state: 'active' }))
    })
  })

  describe('types and ranges', () => {
    it.each(rows.filter(({ except }) => except?.[name] === undefined))(
      '$title: $code',
      async ({ code, command }) => {
        const door = await open()
        const outcome = await door.run(command(newQueue()))
        expect(outcome.ok ? null : outcome.code).toBe(code)
        expect(await door.run({ cmd: 'GETSTATE', id: NEVER_GIVEN })).toEqual(
          done({ id: NEVER_GIVEN, state: 'unknown' }),
        )
      },
    )
  })

  it('a line of a log has at most 4 KiB', async () => {
    const door = await open()
    const queue = newQueue()
    const id = await push(door, queue)
    await pull(door, queue)
    const log = (bytes: number): Command => ({ cmd: 'LOG', id, line: 'x'.repeat(bytes) })
    expect(await door.run(log(4096))).toEqual(done())
    expect(await door.run(log(4097))).toEqual(refused('limit_exceeded'))
  })

  it('fields that nobody knows change nothing', async () => {
    const door = await open()
    const queue = newQueue()
    const id = await push(door, queue, name === 'gRPC' ? {} : { attempts: 9, progress: 50, id: 1 })
    expect(await pull(door, queue)).toMatchObject({ id, attempts: 0, progress: 0 })
  })
})
