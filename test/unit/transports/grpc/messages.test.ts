// The tables of the code against the proto file, and both translations against another maker's protobuf.

import { readFileSync } from 'node:fs'
import { loadSync } from '@grpc/proto-loader'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as messages from '../../../../src/transports/grpc/messages.ts'
import {
  methods,
  processJobs,
  streamJobs,
  subscribe,
} from '../../../../src/transports/grpc/methods.ts'
import {
  isRefusalLine,
  listed,
  listMessages,
  refusalOf,
  replyMessage,
} from '../../../../src/transports/grpc/reply-message.ts'
import {
  askedFor,
  readRequest,
  requestFrame,
} from '../../../../src/transports/grpc/request-frame.ts'
import { jobStates, type Message } from '../../../../src/transports/grpc/schema.ts'
import * as webhookMessages from '../../../../src/transports/grpc/webhook-messages.ts'

interface ProtoField {
  readonly name: string
  readonly number: number
  readonly label: string
  readonly type: string
  readonly typeName: string
}
interface Loaded {
  readonly requestSerialize: (value: object) => Buffer
  readonly responseDeserialize: (bytes: Buffer) => Record<string, unknown>
  readonly requestType: { readonly type: { readonly name: string } }
  readonly responseType: { readonly type: { readonly name: string } }
  readonly requestStream: boolean
  readonly responseStream: boolean
}

const definition = loadSync('proto/flashq.proto', {
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
})
const service = definition['flashq.QueueService'] as unknown as Record<string, Loaded>
const proto = readFileSync('proto/flashq.proto', 'utf8')
const text = (frame: unknown): string => String(frame)
const bytesOf = (call: string, value: object): Buffer =>
  (service[call] as Loaded).requestSerialize(value)
const reply = (call: string, schema: Message, line: string): Record<string, unknown> =>
  (service[call] as Loaded).responseDeserialize(replyMessage(schema, Buffer.from(line)))

describe('the messages of gRPC', () => {
  it('are those of the proto file', () => {
    const all = { ...messages, ...webhookMessages }
    for (const message of Object.values(all)) expectSame(message)
  })

  it('are all of the calls, each with its messages and its kind', () => {
    const ours = [...methods, streamJobs, processJobs, subscribe]
    expect(ours.map(({ name }) => name).sort()).toEqual(Object.keys(service).sort())
    for (const { name, request, response, kind } of ours) {
      const theirs = service[name] as Loaded
      expect(theirs.requestType.type.name, name).toBe(request.name)
      expect(theirs.responseType.type.name, name).toBe(response.name)
      expect(theirs.requestStream, name).toBe(kind === 'bidi')
      expect(theirs.responseStream, name).toBe(kind === 'bidi' || kind === 'serverStream')
    }
  })

  it('have the states of the enum', () => {
    for (const [number, state] of jobStates.entries()) {
      const name = `JOB_STATE_${state.toUpperCase().replace('-', '_')}`
      expect(proto).toContain(`  ${name} = ${number};`)
    }
  })

  function expectSame(message: Message): void {
    const loaded = definition[`flashq.${message.name}`]
    if (loaded === undefined) throw new Error(`no message ${message.name} in the proto file`)
    const { field } = loaded.type as { field: ProtoField[] }
    const theirs = field.map(({ name, number, label, type, typeName }) => ({
      name,
      number,
      isList: label === 'LABEL_REPEATED',
      type: type.replace('TYPE_', '').toLowerCase(),
      typeName,
    }))
    expect(theirs, message.name).toEqual(
      message.fields.map(({ name, no, label, type }) => ({
        name,
        number: no,
        isList: label === 'repeated',
        type: protoType(type),
        typeName: typeof type === 'object' ? type.name : type === 'state' ? 'JobState' : '',
      })),
    )
    // The loader does not tell which fields have presence: the text does.
    const body = new RegExp(`message ${message.name} \\{([^}]*)\\}`).exec(proto)?.[1] ?? ''
    const optional = [...body.matchAll(/optional \w+ (\w+) =/g)].map(([, name]) => name)
    expect(optional, message.name).toEqual(
      message.fields.filter(({ label }) => label === 'optional').map(({ name }) => name),
    )
    for (const { type } of message.fields) if (typeof type === 'object') expectSame(type)
  }

  function protoType(type: Message['fields'][number]['type']): string {
    if (typeof type === 'object') return 'message'
    if (type === 'json') return 'bytes'
    return type === 'state' ? 'enum' : type
  }
})

describe('a request becomes a frame', () => {
  it('with its fields in their order, nothing that is not given, the payload as it came', () => {
    const bytes = bytesOf('Push', {
      queue: 'mäil',
      data: Buffer.from(' {"a" : 1.0} '),
      priority: -2_147_483_648,
      delay_ms: '9007199254740991',
      max_attempts: 4_294_967_295,
      unique_key: 'a"\n\u0001é',
      depends_on: ['32', '18446744073709551615', '300'],
      tags: ['', 'x'],
    })
    expect(text(requestFrame('PUSH', messages.PushRequest, bytes))).toBe(
      '{"cmd":"PUSH","queue":"mäil","data": {"a" : 1.0} ,"priority":-2147483648,' +
        '"delay":9007199254740991,"max_attempts":4294967295,"unique_key":"a\\"\\n\\u0001é",' +
        '"depends_on":[32,18446744073709551615,300],"tags":["","x"]}\n',
    )
    expect(
      text(
        requestFrame(
          'PUSH',
          messages.PushRequest,
          bytesOf('Push', { queue: 'q', data: Buffer.from('0') }),
        ),
      ),
    ).toBe('{"cmd":"PUSH","queue":"q","data":0}\n')
  })

  it('where zero means something, zero is there', () => {
    const pull = bytesOf('PullBatch', { queue: 'q', wait_ms: 0 })
    expect(text(requestFrame('PULLB', messages.PullBatchRequest, pull))).toBe(
      '{"cmd":"PULLB","queue":"q","count":0,"wait":0}\n',
    )
    expect(
      text(requestFrame('RATELIMIT', messages.LimitRequest, bytesOf('SetRateLimit', {}))),
    ).toBe('{"cmd":"RATELIMIT","queue":"","limit":0}\n')
    expect(text(requestFrame('ACK', messages.AckRequest, Buffer.alloc(0)))).toBe(
      '{"cmd":"ACK","id":0}\n',
    )
  })

  it('lists of what may be none have null for it', () => {
    const bytes = bytesOf('AckBatch', {
      ids: [32, 64],
      tokens: [0, 7],
      results: [Buffer.alloc(0), Buffer.from('null')],
    })
    expect(text(requestFrame('ACKB', messages.AckBatchRequest, bytes))).toBe(
      '{"cmd":"ACKB","ids":[32,64],"tokens":[null,7],"results":[null,null]}\n',
    )
  })

  it('of a webhook has what is set, and null where what is set is empty', () => {
    const schema = webhookMessages.ChangeWebhookRequest
    const change = (fields: object): string =>
      text(requestFrame('WEBHOOK', schema, bytesOf('ChangeWebhook', { id: 'wh_1', ...fields })))
    expect(change({})).toBe('{"cmd":"WEBHOOK","id":"wh_1"}\n')
    expect(change({ queue: '', secret: '', enabled: false, headers: Buffer.from('{ }') })).toBe(
      '{"cmd":"WEBHOOK","id":"wh_1","queue":null,"secret":null,"headers":{ },"enabled":false}\n',
    )
    const bytes = bytesOf('AddWebhook', { url: 'u', events: ['*'], queue: '', secret: '' })
    expect(text(requestFrame('WEBHOOK', webhookMessages.AddWebhookRequest, bytes))).toBe(
      '{"cmd":"WEBHOOK","url":"u","events":["*"]}\n',
    )
    // Empty bytes that are sent all the same are no headers either.
    const sent = Buffer.concat([bytes, Buffer.from([0x2a, 0])])
    expect(text(requestFrame('WEBHOOK', webhookMessages.AddWebhookRequest, sent))).toBe(
      '{"cmd":"WEBHOOK","url":"u","events":["*"]}\n',
    )
    const headers = Buffer.from('{},"url":"other"')
    const smuggled = bytesOf('AddWebhook', { url: 'u', events: ['*'], headers })
    expect(requestFrame('WEBHOOK', webhookMessages.AddWebhookRequest, smuggled)).toMatchObject({
      code: 'invalid',
    })
  })

  it('whatever the order of its bytes; of two of a kind the last one counts', () => {
    const jobs = bytesOf('PushBatch', { jobs: [{ data: Buffer.from('1') }] })
    const more = bytesOf('PushBatch', { jobs: [{ data: Buffer.from('2'), tags: ['t'] }] })
    const [a, b] = [bytesOf('PushBatch', { queue: 'a' }), bytesOf('PushBatch', { queue: 'b' })]
    const frame = requestFrame(
      'PUSHB',
      messages.PushBatchRequest,
      Buffer.concat([jobs, a, more, b]),
    )
    expect(text(frame)).toBe(
      '{"cmd":"PUSHB","queue":"b","jobs":[{"data":1},{"data":2,"tags":["t"]}]}\n',
    )
  })

  it('lists of numbers may come packed, one by one, or both', () => {
    // Field 1, wire type 0: 5; then packed 6, 7.
    const bytes = Buffer.from([0x08, 5, 0x0a, 2, 6, 7, 0x08, 8])
    expect(text(requestFrame('RELEASE', messages.ReleaseRequest, bytes))).toBe(
      '{"cmd":"RELEASE","ids":[5,6,7,8]}\n',
    )
    expect(askedFor(messages.ReleaseRequest, bytes)).toEqual({ ids: [5, 6, 7, 8] })
  })

  it('without what nobody knows: other fields, other wire types, groups', () => {
    const unknown = Buffer.from([
      ...[0xfa, 0x3e, 2, 1, 2], // field 1007, bytes
      ...[0x79, 1, 2, 3, 4, 5, 6, 7, 8], // field 15, fixed64
      ...[0x7d, 1, 2, 3, 4], // field 15, fixed32
      ...[0x78, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], // field 15, varint
      ...[0x7b, 0x83, 1, 0x08, 1, 0x84, 1, 0x7c], // field 15, a group with a group
      ...[0x08, 9], // field 1 as a number, which is a text
    ])
    const bytes = Buffer.concat([unknown, bytesOf('Pull', { queue: 'q' }), unknown])
    expect(text(requestFrame('PULL', messages.PullRequest, bytes))).toBe(
      '{"cmd":"PULL","queue":"q"}\n',
    )
  })

  it('unless the payload is not one JSON value', () => {
    const rows: [string, string][] = [
      ['', 'Invalid JSON data: it ends too early'],
      ['{"a":', 'Invalid JSON data: it ends too early'],
      ['1,"x":2', 'Invalid JSON data: unexpected byte at position 1'],
      ['1}', 'Invalid JSON data: unexpected byte at position 1'],
      ['1\n{"cmd":"STATS"}', 'Invalid JSON data: unexpected byte at position 2'],
      ['nul', 'Invalid JSON data: unexpected byte at position 0'],
      ['"\u0001"', 'Invalid JSON data: unexpected byte at position 1'],
    ]
    for (const [data, error] of rows) {
      const bytes = bytesOf('Push', { queue: 'q', data: Buffer.from(data) })
      expect(requestFrame('PUSH', messages.PushRequest, bytes), data).toMatchObject({
        code: 'invalid',
      })
      const refusal = requestFrame('PUSH', messages.PushRequest, bytes)
      // Where a literal breaks off, the scanner may say so at its start or at its end.
      if (data !== 'nul') expect(refusal, data).toMatchObject({ text: error })
    }
    const deep = Buffer.from('['.repeat(65) + ']'.repeat(65))
    expect(
      requestFrame('PUSH', messages.PushRequest, bytesOf('Push', { queue: 'q', data: deep })),
    ).toMatchObject({
      code: 'limit_exceeded',
    })
  })

  it('unless a text is no UTF-8, or a list is too long', () => {
    const bad = Buffer.from([0x0a, 2, 0xc3, 0x28])
    expect(requestFrame('PULL', messages.PullRequest, bad)).toEqual({
      code: 'invalid',
      text: 'Invalid: field "queue" is not valid UTF-8',
    })
    const ids = Array.from({ length: 1001 }, (_, i) => i)
    expect(
      requestFrame('ACKB', messages.AckBatchRequest, bytesOf('AckBatch', { ids })),
    ).toMatchObject({
      code: 'limit_exceeded',
    })
  })

  it('unless an enum has a number that it has not', () => {
    const frameOf = (state: number): unknown =>
      requestFrame('LISTJOBS', messages.ListJobsRequest, bytesOf('ListJobs', { state, tag: 't' }))
    expect(text(frameOf(6))).toBe('{"cmd":"LISTJOBS","state":"waiting-children","tag":"t"}\n')
    expect(text(frameOf(0))).toBe('{"cmd":"LISTJOBS","tag":"t"}\n')
    for (const state of [7, -1]) {
      expect(frameOf(state)).toEqual({
        code: 'invalid',
        text: 'Invalid: field "state" is no JobState',
      })
    }
  })

  it('or a refusal, whatever the bytes are: never an error, never more than one line', () => {
    const schemas = Object.values(messages)
    const pieces = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.constantFrom(...samples().map((sample) => new Uint8Array(sample))),
    )
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 4 }), fc.nat(schemas.length - 1), (parts, n) => {
        const bytes = Buffer.concat(parts)
        const schema = schemas[n] as Message
        const frame = requestFrame('PUSH', schema, bytes)
        if (!Buffer.isBuffer(frame)) {
          expect(frame.code).toMatch(/^(?:invalid|limit_exceeded)$/)
          return
        }
        expect(frame.indexOf(10)).toBe(frame.length - 1)
        expect(() => JSON.parse(frame.toString())).not.toThrow()
        readRequest(schema, bytes)
        askedFor(schema, bytes)
      }),
      { numRuns: 3000 },
    )
  })

  it('that says the same as the message of another maker', () => {
    const job = fc.record({
      data: fc.json({ maxDepth: 3 }).map((data) => Buffer.from(data)),
      priority: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      delay_ms: fc.maxSafeNat(),
      max_attempts: fc.nat(0xffff_ffff),
      unique_key: fc.option(fc.string({ unit: 'grapheme' }), { nil: undefined }),
      depends_on: fc.array(fc.maxSafeNat(), { maxLength: 5 }),
      tags: fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 3 }),
    })
    fc.assert(
      fc.property(fc.array(job, { maxLength: 8 }), (jobs) => {
        const bytes = bytesOf('PushBatch', { queue: 'q', jobs })
        const frame = requestFrame('PUSHB', messages.PushBatchRequest, bytes)
        expect(JSON.parse(text(frame))).toEqual({
          cmd: 'PUSHB',
          queue: 'q',
          jobs: jobs.map((each) => ({
            data: JSON.parse(each.data.toString()),
            ...(each.priority === 0 ? {} : { priority: each.priority }),
            ...(each.delay_ms === 0 ? {} : { delay: each.delay_ms }),
            ...(each.max_attempts === 0 ? {} : { max_attempts: each.max_attempts }),
            ...(each.unique_key === undefined ? {} : { unique_key: each.unique_key }),
            ...(each.depends_on.length === 0 ? {} : { depends_on: each.depends_on }),
            ...(each.tags.length === 0 ? {} : { tags: each.tags }),
          })),
        })
      }),
      { numRuns: 300 },
    )
  })

  function samples(): Buffer[] {
    return [
      bytesOf('Push', { queue: 'q', data: Buffer.from('{"a":[1,2]}'), tags: ['x'] }),
      bytesOf('PushBatch', {
        queue: 'q',
        jobs: [{ data: Buffer.from('1') }, { data: Buffer.from('[') }],
      }),
      bytesOf('AckBatch', { ids: [1, 2], tokens: [1, 2], results: [Buffer.from('\n1\n')] }),
      Buffer.from([0x7b, 0x7b]),
      Buffer.from([0x12, 0xff, 0xff, 0xff, 0xff, 0x0f]),
      Buffer.from([0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
    ]
  }
})

describe('a reply becomes a message', () => {
  const job =
    '{"id":96,"queue":"q\\u00e9","data":{"n":1.0,"s":"}]\\""},"priority":-7,"created_at":1700000000000,' +
    '"run_at":1700000000001,"started_at":0,"attempts":2,"max_attempts":3,"backoff":5,"ttl":6,"timeout":7,' +
    '"unique_key":"","depends_on":[32,9007199254740991],"progress":50,"progress_msg":"\\ud800 x","tags":["","b"]'
  const fields = {
    id: '96',
    queue: 'qé',
    data: Buffer.from('{"n":1.0,"s":"}]\\""}'),
    priority: -7,
    created_at: '1700000000000',
    run_at: '1700000000001',
    started_at: '0',
    attempts: 2,
    max_attempts: 3,
    backoff: '5',
    ttl: '6',
    timeout: '7',
    unique_key: '',
    depends_on: ['32', '9007199254740991'],
    progress: 50,
    progress_msg: '\ufffd x',
    tags: ['', 'b'],
  }

  it('with everything that a job has', () => {
    const one = reply(
      'Pull',
      messages.PulledJob,
      `{"ok":true,"job":${job},"token":4503599627370497}}`,
    )
    expect(one).toMatchObject({ ...fields, token: '4503599627370497' })
    const many = reply(
      'PullBatch',
      messages.PullBatchResponse,
      `{"ok":true,"jobs":[${job}},${job}}]}`,
    )
    expect(many['jobs']).toHaveLength(2)
    expect((many['jobs'] as object[])[1]).toMatchObject(fields)
    expect((many['jobs'] as object[])[1]).not.toHaveProperty('token')
    expect(listed()).toBe(2)
  })

  it('an empty one where there is no job', () => {
    expect(replyMessage(messages.PulledJob, Buffer.from('{"ok":true,"job":null}'))).toHaveLength(0)
    expect(reply('PullBatch', messages.PullBatchResponse, '{"ok":true,"jobs":[]}')).toEqual({
      jobs: [],
    })
    expect(listed()).toBe(0)
    const known = '{"ok":true,"job":null,"state":"waiting-children"}'
    expect(reply('GetJob', messages.GetJobResponse, known)).toMatchObject({
      job: null,
      state: 'JOB_STATE_WAITING_CHILDREN',
    })
  })

  it('of every other shape', () => {
    const ids = Array.from({ length: 1000 }, (_, i) => i * 32 + 7)
    const batch = `{"ok":true,"ids":${JSON.stringify(ids)},"errors":[{"index":3,"error":"a \\"b\\"","code":"invalid"}]}`
    expect(reply('PushBatch', messages.PushBatchResponse, batch)).toEqual({
      ok: true,
      ids: ids.map(String),
      errors: [{ index: 3, error: 'a "b"', code: 'invalid' }],
    })
    expect(reply('AckBatch', messages.AckBatchResponse, '{"ok":true,"ids":[17]}')).toEqual({
      ok: true,
      acked: 17,
      errors: [],
    })
    expect(reply('RetryDlq', messages.CountResponse, '{"ok":true,"ids":[0]}')).toEqual({
      count: '0',
    })
    const progress = '{"ok":true,"progress":{"id":5,"progress":9,"message":null}}'
    expect(reply('GetProgress', messages.GetProgressResponse, progress)).toEqual({
      id: '5',
      progress: 9,
    })
    const result = reply(
      'GetResult',
      messages.GetResultResponse,
      '{"ok":true,"id":5,"result":[{}, 1]}',
    )
    expect(String(result['result'])).toBe('[{}, 1]')
    const none = reply('GetResult', messages.GetResultResponse, '{"ok":true,"id":5,"result":null}')
    expect(none).not.toHaveProperty('result')
    const metrics =
      '{"ok":true,"metrics":{"total_pushed":3,"total_completed":0,"total_failed":0,"jobs_per_second":0.5,' +
      '"avg_latency_ms":1e-7,"queues":[{"name":"a","pending":1,"processing":0,"dlq":0,"rate_limit":0}],"worker":1}}'
    expect(reply('Metrics', messages.MetricsResponse, metrics)).toMatchObject({
      total_pushed: '3',
      jobs_per_second: 0.5,
      avg_latency_ms: 1e-7,
      queues: [{ name: 'a', pending: '1', rate_limit: 0, paused: false }],
      worker: 1,
    })
  })

  it('a list of messages of its own, where each is sent alone', () => {
    const line = Buffer.from(`{"ok":true,"jobs":[${job}},${job},"token":8}]}`)
    const [first, second] = listMessages(messages.Job, line, 'jobs')
    const { responseDeserialize } = service['StreamJobs'] as Loaded
    expect(responseDeserialize(first as Buffer)).toMatchObject(fields)
    expect(responseDeserialize(second as Buffer)).toMatchObject({ ...fields, token: '8' })
    expect(listMessages(messages.Job, Buffer.from('{"ok":true,"jobs":[]}'), 'jobs')).toEqual([])
  })

  it('no longer than it may be, but with one job at least', () => {
    const line = Buffer.from(`{"ok":true,"jobs":[${Array(10).fill(`${job}}`).join(',')}]}`)
    const one = replyMessage(messages.PullBatchResponse, line, 1)
    expect(listed()).toBe(1)
    const three = replyMessage(messages.PullBatchResponse, line, 3 * one.length)
    expect(listed()).toBe(3)
    expect(three).toHaveLength(3 * one.length)
    expect(replyMessage(messages.PullBatchResponse, line)).toHaveLength(10 * one.length)
  })

  it('or the refusal that it is', () => {
    const line = Buffer.from('{"ok":false,"error":"Job 4 not found","code":"job_not_found"}')
    expect(isRefusalLine(line)).toBe(true)
    expect(refusalOf(line)).toEqual({ code: 'job_not_found', text: 'Job 4 not found' })
    expect(isRefusalLine(Buffer.from('{"ok":true}'))).toBe(false)
  })
})
