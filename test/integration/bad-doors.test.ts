// The same bad input at every door that can receive it: the same code, in the dress of the door, and no harm done.
// The numbers are those of the catalogue of bad inputs (docs/bad-inputs.md).

import { join } from 'node:path'
import { Metadata } from '@grpc/grpc-js'
import { afterEach, describe, expect, it } from 'vitest'
import type { RefusalCode } from '../../src/engine/refusal.ts'
import { statusOfCode } from '../../src/transports/grpc/status.ts'
import { statusOf } from '../../src/transports/http/http-refusal.ts'
import { EventClient } from '../support/event-client.ts'
import { type Fields, GrpcClient } from '../support/grpc-client.ts'
import { HttpClient } from '../support/http-client.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { SharedServer } from '../support/shared-server.ts'
import { type Answer, type Frame, WireClient } from '../support/wire-client.ts'

const unix = join(scratchFolder(), 'q.sock')
const server = new SharedServer({
  ...{ HTTP: '1', HTTP_PORT: '0', GRPC: '1', GRPC_PORT: '0', WORKERS: '2', UNIX_SOCKET: unix },
})
const http = (): HttpClient => new HttpClient(server.process.httpPort)
const grpc = (): GrpcClient =>
  new GrpcClient(server.process.grpcPort, new Metadata()).closeAfterTest()

afterEach(async () => {
  expect(await (await server.client()).ask({ cmd: 'STATS' })).toMatchObject({ ok: true })
  expect((await http().get('/stats')).json.ok).toBe(true)
  expect(await grpc().call('Stats')).toHaveProperty('queued')
  expect(server.process.log.filter(({ level }) => level === 'error')).toEqual([])
})

interface Bad {
  readonly title: string
  readonly code: RefusalCode
  readonly line: Frame
  /** Absent: this door has no words for it. */
  readonly http?: readonly [path: string, body: unknown]
  readonly incoming?: readonly [path: string, body: string | Buffer]
  readonly grpc?: readonly [name: string, request: Fields]
}

/** A push of one job, as all doors say it. `inGrpc` null: a field of gRPC has a type that cannot hold it. */
function push(
  title: string,
  code: RefusalCode,
  { queue = 'doors', data = '1', more = '' }: { queue?: string; data?: string; more?: string },
  inGrpc: Fields | null = {},
): Bad {
  const rest = more === '' ? '' : `,${more}`
  return {
    title,
    code,
    line: `{"cmd":"PUSH","queue":${JSON.stringify(queue)},"data":${data}${rest}}\n`,
    http: [`/queues/${encodeURIComponent(queue)}/jobs`, `{"data":${data}${rest}}`],
    ...(more === ''
      ? { incoming: [`/webhooks/incoming/${encodeURIComponent(queue)}`, data] as const }
      : {}),
    ...(inGrpc === null
      ? {}
      : { grpc: ['Push', { queue, data: Buffer.from(data), ...inGrpc }] as const }),
  }
}

const DAY_MS = 24 * 60 * 60 * 1000
const bytes = (json: unknown): Buffer => Buffer.from(JSON.stringify(json))
const cron = (title: string, schedule: string): Bad => ({
  title,
  code: 'cron_invalid',
  line: { cmd: 'CRON', name: 'doors', queue: 'doors', schedule, data: 1 },
  http: ['/crons/doors', { queue: 'doors', schedule, data: 1 }],
  grpc: ['AddCron', { name: 'doors', queue: 'doors', schedule, data: bytes(1) }],
})
const many = (count: number): object[] => Array.from({ length: count }, () => ({ data: 1 }))
const manyOfGrpc = (count: number): object[] => many(count).map(() => ({ data: bytes(1) }))
const ids = (count: number): number[] => Array.from({ length: count }, (_, n) => n + 1)

const table: Bad[] = [
  push('19 65 levels of nesting', 'limit_exceeded', {
    data: '['.repeat(65) + ']'.repeat(65),
  }),
  push('25 NaN', 'invalid', { data: 'NaN' }),
  push('29 data of more than 1 MiB', 'data_too_large', { data: `"${'x'.repeat(1_048_576)}"` }),
  push('32 a trailing comma', 'invalid', { data: '[1,]' }),
  ...(
    [
      ['257 letters', 'q'.repeat(257)],
      ['257 bytes', `${'q'.repeat(255)}é`],
      ['../x', '../x'],
      ['a/b', 'a/b'],
      ['%2e%2e', '%2e%2e'],
      ['a blank', 'a b'],
      ['a newline', 'a\nb'],
      ['NUL', 'a\0b'],
      ['a right-to-left mark', 'a\u200fb'],
      ['a combining accent', 'e\u0301'],
      ['markup', '<img src=x onerror=alert(1)>'],
      ['quotes of SQL', "'; DROP TABLE jobs; --"],
      ['a glob', 'a*'],
    ] as const
  ).map(([what, queue]) => push(`34 a queue with ${what}`, 'queue_name_invalid', { queue })),
  push('35 priority 2^31', 'invalid', { more: '"priority":2147483648' }, null),
  push('35 priority 1.5', 'invalid', { more: '"priority":1.5' }, null),
  push('35 priority "1"', 'invalid', { more: '"priority":"1"' }, null),
  push('36 delay -1', 'invalid', { more: '"delay":-1' }, null),
  push(
    '36 delay 2^53',
    'invalid',
    { more: '"delay":9007199254740992' },
    { delay_ms: `${2 ** 53}` },
  ),
  push('36 delay 1e18', 'invalid', { more: '"delay":1e18' }, { delay_ms: `${10n ** 18n}` }),
  push(
    '36 a delay of more than a year',
    'invalid',
    { more: `"delay":${365 * DAY_MS + 1}` },
    { delay_ms: `${365 * DAY_MS + 1}` },
  ),
  push('38 max_attempts -1', 'invalid', { more: '"max_attempts":-1' }, null),
  push('38 max_attempts 2^32', 'invalid', { more: '"max_attempts":4294967296' }, null),
  push(
    '41 timeout 1e12',
    'invalid',
    { more: '"timeout":1000000000000' },
    { timeout_ms: `${1e12}` },
  ),
  push(
    '42 101 dependencies',
    'limit_exceeded',
    { more: `"depends_on":[${ids(101).join()}]` },
    { depends_on: ids(101) },
  ),
  push(
    '43 33 tags',
    'limit_exceeded',
    { more: `"tags":${JSON.stringify(Array(33).fill('t'))}` },
    { tags: Array(33).fill('t') },
  ),
  push(
    '43 a tag of 65 bytes',
    'limit_exceeded',
    { more: `"tags":["${'t'.repeat(65)}"]` },
    { tags: ['t'.repeat(65)] },
  ),
  push(
    '44 a unique key of 257 bytes',
    'limit_exceeded',
    { more: `"unique_key":"${'k'.repeat(257)}"` },
    { unique_key: 'k'.repeat(257) },
  ),
  {
    title: '39 a batch of 1,001',
    code: 'limit_exceeded',
    line: { cmd: 'PUSHB', queue: 'doors', jobs: many(1001) },
    http: ['/queues/doors/jobs/batch', { jobs: many(1001) }],
    grpc: ['PushBatch', { queue: 'doors', jobs: manyOfGrpc(1001) }],
  },
  {
    title: '39 one bad job among 999',
    code: 'limit_exceeded',
    line: {
      cmd: 'PUSHB',
      queue: 'doors',
      jobs: [...many(998), { data: 1, tags: ['t'.repeat(65)] }],
    },
    http: [
      '/queues/doors/jobs/batch',
      { jobs: [...many(998), { data: 1, tags: ['t'.repeat(65)] }] },
    ],
    grpc: [
      'PushBatch',
      {
        queue: 'doors',
        jobs: [...manyOfGrpc(998), { data: bytes(1), tags: ['t'.repeat(65)] }],
      },
    ],
  },
  {
    title: '39 1,001 ids',
    code: 'limit_exceeded',
    line: { cmd: 'ACKB', ids: ids(1001) },
    http: ['/jobs/ack', { ids: ids(1001) }],
    grpc: ['AckBatch', { ids: ids(1001) }],
  },
  {
    title: '41 a pull that waits for 1e12 ms',
    code: 'invalid',
    line: { cmd: 'PULL', queue: 'doors', wait: 1e12 },
    http: ['/queues/doors/pull', { timeout: 1e12 }],
    grpc: ['Pull', { queue: 'doors', wait_ms: `${1e12}` }],
  },
  {
    title: '45 progress -1',
    code: 'invalid',
    line: { cmd: 'PROGRESS', id: 1, progress: -1 },
    http: ['/jobs/1/progress', { progress: -1 }],
  },
  {
    title: '45 progress 256',
    code: 'invalid',
    line: { cmd: 'PROGRESS', id: 1, progress: 256 },
    http: ['/jobs/1/progress', { progress: 256 }],
    grpc: ['Progress', { id: 1, progress: 256 }],
  },
  cron('88 a day that never comes', '0 0 31 2 *'),
  cron('88 every 0 minutes', '*/0 * * * *'),
  cron('88 the 31st of April', '* * * 31 4 *'),
  cron('88 a range without end', '1-99999999 * * * *'),
  cron('88 10,000 commas', ','.repeat(10_000)),
  cron('88 257 characters', '*'.repeat(257)),
  cron('88 a time zone that is none', 'TZ=Mars/Olympus 0 0 * * *'),
]

describe('at every door that has words for it', () => {
  it.each(table.map((bad) => [bad.title, bad] as const))('%s', async (_, bad) => {
    const { code, line, http: byHttp, incoming: byIncoming, grpc: byGrpc } = bad
    const bystander = await server.client()
    bystander.send({ cmd: 'PULL', queue: 'bystander' })
    const refused = async (client: WireClient): Promise<Answer> => {
      const answer = await client.ask(line)
      expect(answer).toMatchObject({ ok: false, code })
      // The connection goes on.
      expect(await client.ask({ cmd: 'STATS' })).toMatchObject({ ok: true })
      return answer
    }
    const overTcp = await refused(await server.client())
    expect(await refused(await WireClient.open({ path: unix }))).toEqual(overTcp)
    for (const each of [byHttp, byIncoming]) {
      if (each === undefined) continue
      const client = http()
      const answer = await client.post(each[0], each[1])
      expect(answer.json, each[0]).toMatchObject({ ok: false, code })
      expect(answer.status, each[0]).toBe(statusOf[code])
      expect((await client.get('/stats')).json.ok).toBe(true)
    }
    if (byGrpc !== undefined) {
      const client = grpc()
      expect(await client.failure(byGrpc[0], byGrpc[1])).toMatchObject({
        status: statusOfCode[code],
        code,
      })
      expect(await client.call('Stats')).toHaveProperty('queued')
    }
    // Nobody else has noticed, and nothing was pushed.
    const [{ id }] = [
      await (await server.client()).ok({ cmd: 'PUSH', queue: 'bystander', data: 1 }),
    ]
    expect((await bystander.answer()).job?.id).toBe(id)
    expect(await (await server.client()).pullNow('doors')).toBeNull()
  })
})

it.each([
  ['1, 2 nothing, or nothing but line ends', Buffer.from('\r\n\n')],
  ['3 a NUL byte', Buffer.from('1\0')],
  ['4 invalid UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22])],
  ['5 overlong UTF-8', Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
  ['6 a byte order mark', Buffer.from([0xef, 0xbb, 0xbf, 0x31])],
  ['16 two values', Buffer.from('1 2')],
  ['21 a value that brings fields along', Buffer.from('1,"priority":9')],
])(
  '%s where one JSON value is to be is refused by HTTP and gRPC as it is on a line',
  async (_, data) => {
    const client = http()
    const body = Buffer.concat([Buffer.from('{"data":'), data, Buffer.from(',"data":1}')])
    for (const [path, bytes] of [
      ['/queues/bytes/jobs', body],
      ['/queues/bytes/jobs', data],
      ['/webhooks/incoming/bytes', data],
    ] as const) {
      const answer = await client.post(path, bytes)
      expect([answer.status, answer.json.code], path).toEqual([400, 'invalid'])
    }
    expect(await grpc().failure('Push', { queue: 'bytes', data })).toMatchObject({
      ...{ status: statusOfCode.invalid, code: 'invalid' },
    })
    expect(await (await server.client()).pullNow('bytes')).toBeNull()
  },
)

describe('what is taken as it is, at every door', () => {
  it.each([
    [
      '22 `__proto__` and `constructor` in data',
      '{"__proto__":{"a":1},"constructor":{"prototype":{}}}',
    ],
    [
      '23 `toString`, `hasOwnProperty` and `then` in data',
      '{"toString":1,"hasOwnProperty":2,"then":3}',
    ],
    ['24 numbers that no double holds', '[1e400,-0,1e-400,9007199254740993]'],
    ['26, 27 an escaped NUL and a lone surrogate', '"\\u0000\\ud800"'],
    ['18 U+2028, which ends a line for nobody', '"a\u2028b\u2029"'],
    ['20, 30 100,001 nodes, 60,000 keys', `[${'1,'.repeat(100_000)}1,{${keys(60_000)}}]`],
  ])('%s', async (_, data) => {
    const wire = await server.client()
    await wire.ok(`{"cmd":"PUSH","queue":"as-it-is","data":${data}}\n`)
    expect((await http().post('/queues/as-it-is/jobs', `{"data":${data}}`)).status).toBe(200)
    expect((await http().post('/webhooks/incoming/as-it-is', data)).status).toBe(200)
    const client = grpc()
    await client.call('Push', { queue: 'as-it-is', data: Buffer.from(data) })
    const job = await client.job('Pull', { queue: 'as-it-is', wait_ms: 0 })
    expect(job.data.toString()).toBe(data)
    const pulled = await http().get('/queues/as-it-is/jobs?timeout=0')
    expect(pulled.text).toContain(`"data":${data},`)
    for (let n = 0; n < 2; n++) {
      wire.send({ cmd: 'PULL', queue: 'as-it-is' })
      expect(await wire.line()).toContain(`"data":${data},`)
    }
  })

  it('34 names that are equal to the eye are two queues, and `__proto__` is one', async () => {
    const wire = await server.client()
    for (const queue of ['caf\u00e9', 'cafe', '__proto__', 'constructor']) {
      const pushed = await http().post(`/queues/${encodeURIComponent(queue)}/jobs`, { data: queue })
      expect(pushed.status, queue).toBe(200)
      await grpc().push(queue, queue)
      for (let n = 0; n < 2; n++) expect((await wire.pull(queue)).data).toBe(queue)
      expect(await wire.pullNow(queue)).toBeNull()
    }
  })

  it('37 a time to run is nobody’s to set: the field is not looked at', async () => {
    const wire = await server.client()
    for (const runAt of [0, 8.64e15, -1]) {
      await wire.push('run-at', 1, { run_at: runAt })
      await http().post('/queues/run-at/jobs', { data: 1, run_at: runAt })
      for (let n = 0; n < 2; n++) {
        const job = await wire.pull('run-at')
        expect(job.run_at).toBe(job.created_at)
      }
    }
  })

  it('38 max_attempts 0 is that of the server, and 101 is allowed', async () => {
    const wire = await server.client()
    for (const [asked, kept] of [
      [0, expect.any(Number)],
      [101, 101],
    ]) {
      await wire.push('attempts', 1, { max_attempts: asked })
      await http().post('/queues/attempts/jobs', { data: 1, max_attempts: asked })
      await grpc().push('attempts', 1, { max_attempts: asked })
      for (let n = 0; n < 3; n++)
        expect(await wire.pull('attempts')).toMatchObject({ max_attempts: kept })
    }
  })

  it('40 a pull of none, and of 10^9, is a pull of none, and of 1,000', async () => {
    const wire = await server.client()
    await wire.ok({ cmd: 'PUSHB', queue: 'counts', jobs: many(1000) })
    await wire.ok({ cmd: 'PUSHB', queue: 'counts', jobs: many(1000) })
    expect((await wire.ok({ cmd: 'PULLB', queue: 'counts', count: 0 })).jobs).toEqual([])
    const none = await http().get('/queues/counts/jobs?count=0&timeout=0')
    expect(none.json).toEqual({ ok: true, data: [] })
    const asked = { queue: 'counts', count: 1e9, wait_ms: 0 }
    expect((await grpc().call('PullBatch', asked))['jobs']).toHaveLength(1000)
    const rest = await http().get('/queues/counts/jobs?count=1000000000&timeout=0')
    expect(rest.json.data).toHaveLength(1000)
  })

  it('45 progress 101 is 100, up to what a byte holds', async () => {
    const wire = await server.client()
    const id = await wire.push('progress', 1)
    await wire.pull('progress')
    expect((await http().post(`/jobs/${id}/progress`, { progress: 101 })).status).toBe(200)
    const { progress } = await wire.ok({ cmd: 'GETPROGRESS', id })
    expect(progress).toMatchObject({ progress: 100 })
  })

  it('46 fields that no client may set change nothing', async () => {
    const wire = await server.client()
    const fields = { data: 1, id: 5, attempts: 99, state: 'completed', isAdmin: true, token: 1 }
    const { json } = await http().post('/queues/mass/jobs', fields)
    expect(json.data).toMatchObject({ attempts: 0, progress: 0 })
    expect(json.data).not.toHaveProperty('isAdmin')
    const job = await wire.pull('mass')
    expect(job).toMatchObject({ attempts: 0, progress: 0 })
    expect(job.id).not.toBe(5)
  })
})

function keys(count: number): string {
  return Array.from({ length: count }, (_, n) => `"k${n}":0`).join()
}

describe('streams of events', () => {
  it.each(['../x', 'a b', 'a\nb', 'e\u0301', '<svg onload=alert(1)>', 'q'.repeat(257)])(
    '34 of the queue %j are refused, as by TCP and gRPC',
    async (queue) => {
      for (const path of [
        `/events/${encodeURIComponent(queue)}`,
        `/ws/${encodeURIComponent(queue)}`,
        `/events?queues=${encodeURIComponent(queue)}`,
      ]) {
        const answer = await http().get(path, {
          headers: path.startsWith('/ws')
            ? {
                ...{ connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' },
                'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
              }
            : {},
        })
        expect(answer.status, path).toBe(400)
        expect(answer.json.code, path).toBe('queue_name_invalid')
      }
      const wire = await server.client()
      expect(await wire.ask({ cmd: 'SUBSCRIBE', queue, events: ['*'] })).toMatchObject({
        code: 'queue_name_invalid',
      })
      expect(await grpc().out('Subscribe', { queue }).ended).toMatchObject({
        code: 'queue_name_invalid',
      })
      const stream = await EventClient.open({ port: server.process.httpPort })
      await wire.push('after-a-bad-stream', 1)
      await stream.until('a good one is served', ({ jobs }) => jobs.length === 1)
    },
  )
})

it('13 a character of several bytes may be cut anywhere between packets', async () => {
  const text = 'é€😀'
  for (const path of [null, unix]) {
    const client = path === null ? await server.client() : await WireClient.open({ path })
    const bystander = await server.client()
    for (const each of Buffer.from(`{"cmd":"PUSH","queue":"cut","data":"${text}"}\n`)) {
      client.lines.socket.write(Buffer.from([each]))
      // An answer on another connection: the packet before has gone.
      await bystander.ok({ cmd: 'STATS' })
    }
    expect(await client.answer()).toMatchObject({ ok: true })
    expect((await bystander.pull('cut')).data).toBe(text)
  }
})
