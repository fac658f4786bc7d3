// gRPC as users meet it: the built server with two workers, a client made from the proto file.

import { Metadata, status } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type Fields, GrpcClient } from '../support/grpc-client.ts'
import { SharedServer } from '../support/shared-server.ts'

const GRPC = { GRPC: '1', GRPC_PORT: '0', WORKERS: '2' }
const WITHIN_MS = 5000
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
let queues = 0
const newQueue = (): string => `grpc-${++queues}`

describe('gRPC', () => {
  const server = new SharedServer(GRPC)
  const open = (): GrpcClient => {
    return new GrpcClient(server.process.grpcPort, new Metadata()).closeAfterTest()
  }
  const stateOf = async (client: GrpcClient, id: string): Promise<unknown> =>
    (await client.call('GetState', { id }))['state']

  it('takes a job all the way: pushed, pulled, acknowledged', async () => {
    const client = open()
    const queue = newQueue()
    const pushed = await client.call('Push', {
      queue,
      data: Buffer.from('{"n":1.0, "big":12345678901234567890}'),
      priority: -5,
      ttl_ms: 60_000,
      timeout_ms: '30000',
      max_attempts: 4,
      backoff_ms: 250,
      unique_key: 'one',
      tags: ['a', 'bé'],
    })
    expect(pushed).toMatchObject({ ok: true })
    const id = String(pushed['id'])
    expect(await stateOf(client, id)).toBe('JOB_STATE_WAITING')
    const job = await client.job('Pull', { queue })
    expect(job).toMatchObject({
      id,
      queue,
      priority: -5,
      attempts: 0,
      max_attempts: 4,
      backoff: '250',
      ttl: '60000',
      timeout: '30000',
      unique_key: 'one',
      depends_on: [],
      progress: 0,
      tags: ['a', 'bé'],
    })
    expect(job.data.toString()).toBe('{"n":1.0, "big":12345678901234567890}')
    expect(job).not.toHaveProperty('progress_msg')
    expect(job).not.toHaveProperty('token')
    expect(await stateOf(client, id)).toBe('JOB_STATE_ACTIVE')
    expect(await client.call('Ack', { id, result: Buffer.from('[1.50]') })).toEqual({ ok: true })
    expect(await stateOf(client, id)).toBe('JOB_STATE_COMPLETED')
    const { result } = await client.call('GetResult', { id })
    expect(String(result)).toBe('[1.50]')
  })

  it('gives every call of the line protocol, with its reply', async () => {
    const client = open()
    const queue = newQueue()
    const batch = await client.call('PushBatch', {
      queue,
      jobs: [{ data: json(1) }, { data: json(2), tags: ['t'] }, { data: json(3), priority: 2 }],
    })
    expect(batch).toMatchObject({ ok: true, errors: [] })
    const ids = batch['ids'] as string[]
    expect(ids).toHaveLength(3)
    const { jobs } = (await client.call('PullBatch', { queue, count: 2, token: true })) as {
      jobs: { id: string; data: Buffer; token: string }[]
    }
    expect(jobs.map(({ data }) => data.toString())).toEqual(['3', '1'])
    const [third, first] = jobs as [(typeof jobs)[0], (typeof jobs)[0]]
    expect(
      await client.call('Progress', { id: third.id, progress: 40, message: 'so far' }),
    ).toEqual({ ok: true })
    expect(await client.call('GetProgress', { id: third.id })).toMatchObject({
      id: third.id,
      progress: 40,
      message: 'so far',
    })
    const held = await client.call('Heartbeat', {
      ids: [third.id, ids[1]],
      tokens: [third.token, 0],
      lease_ms: 60_000,
    })
    expect(held).toMatchObject({ count: 1, errors: [{ index: 1, code: 'job_not_active' }] })
    expect(await client.call('Release', { ids: [first.id] })).toMatchObject({
      count: 1,
      errors: [],
    })
    const acked = await client.call('AckBatch', {
      ids: [third.id, '999999'],
      tokens: [third.token, 0],
      results: [json('done'), Buffer.alloc(0)],
    })
    expect(acked).toMatchObject({
      ok: true,
      acked: 1,
      errors: [{ index: 1, code: 'job_not_found' }],
    })
    const full = (await client.call('GetJob', { id: third.id })) as { job: Fields; state: string }
    expect(full).toMatchObject({ state: 'JOB_STATE_COMPLETED', job: { id: third.id, queue } })
    expect(await client.call('GetJob', { id: '31' })).toMatchObject({
      job: null,
      state: 'JOB_STATE_UNKNOWN',
    })
    const again = await client.job('Pull', { queue })
    expect(again.id).toBe(first.id)
    expect(await client.call('Fail', { id: again.id, error: 'no "way"' })).toEqual({ ok: true })
    expect(await client.call('Cancel', { id: ids[1] })).toEqual({ ok: true })
    expect(await stateOf(client, ids[1] as string)).toBe('JOB_STATE_UNKNOWN')
  })

  it('lists jobs in pages, and tells all of one', async () => {
    const client = open()
    const queue = newQueue()
    const done = await client.push(queue, { n: 'find me' }, { tags: ['red'] })
    await client.call('Pull', { queue })
    await client.call('Ack', { id: done, result: Buffer.from('[1.0]') })
    const later = await client.push(queue, 2, { delay_ms: 3_600_000 })
    const first = await client.push(queue, 3)
    const list = async (request: Fields): Promise<{ jobs: Fields[]; cursor?: string }> =>
      (await client.call('ListJobs', { queue, ...request })) as never
    const page = await list({ limit: 2 })
    expect(page.jobs.map(({ id }) => id).sort()).toEqual([first, later].sort())
    const rest = await list({ limit: 2, cursor: page.cursor })
    expect(rest.jobs).toMatchObject([{ id: done, state: 'JOB_STATE_COMPLETED', tags: ['red'] }])
    expect(String(rest.jobs[0]?.['result'])).toBe('[1.0]')
    expect((await list({ state: 'JOB_STATE_DELAYED' })).jobs.map(({ id }) => id)).toEqual([later])
    for (const filter of [{ tag: 'red' }, { text: 'find me' }, { state: 'JOB_STATE_COMPLETED' }]) {
      expect((await list(filter)).jobs.map(({ id }) => id)).toEqual([done])
    }
    expect(await client.call('Promote', { id: later })).toEqual({ ok: true })
    expect(await stateOf(client, later)).toBe('JOB_STATE_WAITING')
    expect(await client.failure('Promote', { id: later })).toMatchObject({
      status: status.FAILED_PRECONDITION,
      code: 'job_not_delayed',
    })
    const full = await client.call('GetJob', { id: done, full: true })
    expect(full).toMatchObject({ state: 'JOB_STATE_COMPLETED', job: { id: done } })
    expect(String(full['result'])).toBe('[1.0]')
    expect(Number(full['finished_at'])).toBeGreaterThan(0)
  })

  it('gives the calls of operators', async () => {
    const client = open()
    const queue = newQueue()
    const id = await client.push(queue, 1, { max_attempts: 1 })
    await client.call('Pull', { queue })
    await client.call('Fail', { id, error: 'broken' })
    const { jobs } = (await client.call('Dlq', { queue })) as { jobs: Fields[] }
    expect(jobs).toMatchObject([{ id, progress_msg: 'broken' }])
    expect(await client.call('RetryDlq', { queue, id })).toEqual({ count: '1' })
    await client.call('Pull', { queue })
    await client.call('Fail', { id })
    expect(await client.call('PurgeDlq', { queue })).toEqual({ count: '1' })
    for (const [name, request] of [
      ['Pause', {}],
      ['SetRateLimit', { limit: 7 }],
      ['SetConcurrency', { limit: 0 }],
    ] as const) {
      expect(await client.call(name, { queue, ...request }), name).toEqual({ ok: true })
    }
    const infoOf = async (): Promise<Fields | undefined> => {
      const { queues: all } = (await client.call('ListQueues')) as { queues: Fields[] }
      return all.find(({ name }) => name === queue)
    }
    expect(await infoOf()).toMatchObject({ paused: true, rate_limit: 7, concurrency_limit: 0 })
    for (const name of ['Resume', 'ClearRateLimit', 'ClearConcurrency']) {
      expect(await client.call(name, { queue }), name).toEqual({ ok: true })
    }
    expect(await client.push(queue, 1)).not.toBe('')
    expect(await infoOf()).toMatchObject({ paused: false, pending: '1' })
    expect(await infoOf()).not.toHaveProperty('rate_limit')
    expect(await client.call('Drain', { queue })).toEqual({ count: '1' })
    await client.push(queue, 2)
    await client.call('Pull', { queue })
    await client.push(queue, 3)
    expect(await client.failure('DeleteQueue', { queue })).toMatchObject({
      status: status.FAILED_PRECONDITION,
      code: 'queue_busy',
    })
    expect(await client.call('DeleteQueue', { queue, force: true })).toEqual({ count: '2' })
    await client.push(queue, 4)
    const cron = { name: queue, queue, schedule: '0 0 1 1 *', data: json({ a: [1] }), priority: -3 }
    expect(await client.call('AddCron', cron)).toEqual({ ok: true })
    const { crons } = (await client.call('ListCrons')) as { crons: Fields[] }
    expect(crons.find(({ name }) => name === queue)).toMatchObject(cron)
    expect(await client.call('DeleteCron', { name: queue })).toEqual({ ok: true })
    const stats = await client.call('Stats')
    expect(Number(stats['queued'])).toBeGreaterThan(0)
    const metrics = await client.call('Metrics')
    expect(Number(metrics['total_pushed'])).toBeGreaterThan(0)
    expect(metrics['queues']).toContainEqual(expect.objectContaining({ name: queue, pending: '1' }))
  })

  it('answers what is refused with its status, its text and its code', async () => {
    const client = open()
    const queue = newQueue()
    const id = await client.push(queue, 1, { unique_key: '' })
    const rows: [string, Fields, status, string, string | RegExp][] = [
      [
        'Push',
        { queue, data: Buffer.from('{"a":}') },
        status.INVALID_ARGUMENT,
        'invalid',
        /^Invalid JSON data: /,
      ],
      ['Push', { queue }, status.INVALID_ARGUMENT, 'invalid', /^Invalid JSON data: /],
      [
        'Push',
        { queue, data: Buffer.from('1,"priority":9') },
        status.INVALID_ARGUMENT,
        'invalid',
        /^Invalid JSON data: /,
      ],
      [
        'Push',
        { queue, data: Buffer.from('1}\n{"cmd":"STATS"') },
        status.INVALID_ARGUMENT,
        'invalid',
        /^Invalid JSON data: /,
      ],
      [
        'Push',
        { queue, data: Buffer.from([0x22, 0xff, 0x22]) },
        status.INVALID_ARGUMENT,
        'invalid',
        /^Invalid JSON data: /,
      ],
      [
        'Push',
        { queue: '', data: json(1) },
        status.INVALID_ARGUMENT,
        'queue_name_invalid',
        'Queue name cannot be empty',
      ],
      [
        'Push',
        { queue: 'a/b', data: json(1) },
        status.INVALID_ARGUMENT,
        'queue_name_invalid',
        /^Queue name must contain only/,
      ],
      [
        'Push',
        { queue, data: json('x'.repeat(1_048_576)) },
        status.INVALID_ARGUMENT,
        'data_too_large',
        /^Job data too large \(1048578 bytes/,
      ],
      [
        'Push',
        { queue, data: json(1), unique_key: '' },
        status.ALREADY_EXISTS,
        'duplicate_key',
        'Duplicate job with key: ',
      ],
      [
        'Push',
        { queue, data: json(1), delay_ms: '18446744073709551615' },
        status.INVALID_ARGUMENT,
        'invalid',
        /delay/,
      ],
      [
        'Push',
        { queue, data: Buffer.from('['.repeat(65) + ']'.repeat(65)) },
        status.INVALID_ARGUMENT,
        'limit_exceeded',
        /nesting/,
      ],
      [
        'PushBatch',
        { queue, jobs: [{ data: json(1) }, { data: Buffer.from('x') }] },
        status.INVALID_ARGUMENT,
        'invalid',
        /^Invalid JSON: /,
      ],
      [
        'PushBatch',
        { queue, jobs: Array(1001).fill({ data: json(1) }) },
        status.INVALID_ARGUMENT,
        'limit_exceeded',
        /max 1000/,
      ],
      [
        'Ack',
        { id, result: Buffer.from('nope') },
        status.INVALID_ARGUMENT,
        'invalid',
        /^Invalid result JSON: /,
      ],
      ['Ack', { id: '4096' }, status.NOT_FOUND, 'job_not_found', 'Job 4096 not found'],
      ['Ack', { id: '18446744073709551615' }, status.INVALID_ARGUMENT, 'invalid', /^Invalid: /],
      ['Fail', { id: '4096' }, status.NOT_FOUND, 'job_not_found', 'Job 4096 not found'],
      [
        'Progress',
        { id, progress: 1 },
        status.FAILED_PRECONDITION,
        'job_not_active',
        `Job ${id} not found in processing`,
      ],
      ['Progress', { id, progress: 256 }, status.INVALID_ARGUMENT, 'invalid', /progress/],
      ['DeleteCron', { name: 'none' }, status.NOT_FOUND, 'cron_not_found', 'Cron job not found'],
      [
        'AddCron',
        { name: 'c', queue, schedule: 'x', data: json(1) },
        status.INVALID_ARGUMENT,
        'cron_invalid',
        /^Invalid cron expression 'x'/,
      ],
      ['Pull', { queue: 'ü/' }, status.INVALID_ARGUMENT, 'queue_name_invalid', /^Queue name/],
    ]
    for (const [name, request, code, text, details] of rows) {
      const failure = await client.failure(name, request)
      expect(failure, `${name} ${String(details)}`).toEqual({
        status: code,
        code: text,
        details: typeof details === 'string' ? details : expect.stringMatching(details),
      })
    }
    // Nothing of a refused batch was pushed.
    expect((await client.call('PullBatch', { queue, count: 10 }))['jobs']).toHaveLength(1)
  })

  it('answers a batch as the line protocol does: some accepted, some not', async () => {
    const client = open()
    const queue = newQueue()
    const big = json('x'.repeat(1_048_576))
    const reply = await client.call('PushBatch', {
      queue,
      jobs: [
        { data: json(1), unique_key: 'k' },
        { data: json(2), unique_key: 'k' },
        { data: big },
        { data: Buffer.from('{\n "a": 1\r\n}') },
      ],
    })
    expect(reply['ids']).toHaveLength(2)
    expect(reply['errors']).toMatchObject([
      { index: 1, code: 'duplicate_key', error: 'Duplicate job with key: k' },
      { index: 2, code: 'data_too_large' },
    ])
    const { jobs } = (await client.call('PullBatch', { queue, count: 5 })) as {
      jobs: { data: Buffer }[]
    }
    expect(jobs.map(({ data }) => data.toString())).toEqual(['1', '{\t "a": 1\r\t}'])
  })

  describe('pulls', () => {
    it('get nothing at once, or after their wait, as asked', async () => {
      const client = open()
      const queue = newQueue()
      expect((await client.job('Pull', { queue, wait_ms: 0 })).id).toBe('0')
      expect((await client.job('Pull', { queue, wait_ms: 1 })).id).toBe('0')
      expect(await client.call('PullBatch', { queue, count: 3, wait_ms: 1 })).toEqual({ jobs: [] })
      expect(await client.call('PullBatch', { queue, count: 0 })).toEqual({ jobs: [] })
    })

    it('that are cancelled wait no longer: the next job goes to somebody else', async () => {
      const [client, other] = [open(), open()]
      const queue = newQueue()
      const { call, reply } = client.begin('Pull', { queue })
      await waitingFor(client, queue)
      call.cancel()
      await expect(reply).rejects.toMatchObject({ code: status.CANCELLED })
      const id = await other.push(queue, 1)
      expect((await other.job('Pull', { queue, wait_ms: WITHIN_MS })).id).toBe(id)
    })

    it('whose deadline is shorter than their wait end with it, and lose no job', async () => {
      const client = open()
      const queue = newQueue()
      const deadline = Date.now() + 50
      const failure = await client.failure('Pull', { queue, wait_ms: 60_000 }, { deadline })
      expect(failure.status).toBe(status.DEADLINE_EXCEEDED)
      const id = await client.push(queue, 1)
      expect((await client.job('Pull', { queue, wait_ms: WITHIN_MS })).id).toBe(id)
    })

    it('that are cancelled while jobs come lose none of them', async () => {
      const [client, other] = [open(), open()]
      const queue = newQueue()
      const count = 200
      const calls = Array.from({ length: count }, () => client.begin('Pull', { queue }))
      const outcomes = Promise.allSettled(calls.map(({ reply }) => reply))
      await waitingFor(client, queue)
      const pushes = Array.from({ length: count }, (_, i) => other.push(queue, i))
      for (const { call } of calls.slice(0, count / 2)) call.cancel()
      await Promise.all(pushes)
      for (const { call } of calls.slice(count / 2)) call.cancel()
      const got = (await outcomes).filter(({ status: how }) => how === 'fulfilled').length
      // What a cancelled call took goes back at the latest when its connection is gone.
      client.close()
      let rest = 0
      await eventually('every job was got once', WITHIN_MS, async () => {
        const { jobs } = (await other.call('PullBatch', { queue, count, wait_ms: 0 })) as {
          jobs: unknown[]
        }
        rest += jobs.length
        return got + rest >= count
      })
      expect(got + rest).toBe(count)
    })

    it('give back what does not fit into a message', async () => {
      const client = open()
      const queue = newQueue()
      const data = json('x'.repeat(900_000))
      for (let i = 0; i < 6; i++) await client.call('Push', { queue, data })
      const first = (await client.call('PullBatch', { queue, count: 10 })) as { jobs: unknown[] }
      expect(first.jobs).toHaveLength(4)
      const rest = (await client.call('PullBatch', { queue, count: 10 })) as { jobs: unknown[] }
      expect(rest.jobs).toHaveLength(2)
      expect(rest.jobs[0]).toMatchObject({ attempts: 0 })
    })

    async function waitingFor(client: GrpcClient, queue: string): Promise<void> {
      // The pull was sent before this, over the same connection; its queue may live on another worker.
      await client.call('Pause', { queue })
      await client.call('Resume', { queue })
    }
  })
})
