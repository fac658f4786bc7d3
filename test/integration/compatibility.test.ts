// What programs written for the original server rely on: its commands, sent as its client sends them (no `reqId`,
// answers in order), and its answers, byte for byte where somebody may read bytes.

import { describe, expect, it } from 'vitest'
import { SharedServer } from '../support/shared-server.ts'
import type { WireClient } from '../support/wire-client.ts'

const server = new SharedServer()

/** As the original client writes it: `priority` always, the rest only when given. */
const pushFrame = (queue: string, data: unknown, options: object = {}): string =>
  `${JSON.stringify({ cmd: 'PUSH', queue, data, priority: 0, ...options })}\n`

async function queueInfo(client: WireClient, name: string) {
  const { queues } = await client.ok({ cmd: 'LISTQUEUES' })
  return queues?.find((queue) => queue['name'] === name)
}

describe('core operations of the original client', () => {
  it('connects, and closes without harm', async () => {
    const client = await server.client()
    client.lines.socket.end()
    await client.lines.closed
    expect(await (await server.client()).ask({ cmd: 'STATS' })).toMatchObject({ ok: true })
  })

  it('gets an id above 0 for a push', async () => {
    const client = await server.client()
    const { id } = await client.ok(pushFrame('core-id', { message: 'hello' }))
    expect(id).toBeGreaterThan(0)
    expect(Number.isSafeInteger(id)).toBe(true)
  })

  it('pulls the data that was pushed', async () => {
    const client = await server.client()
    const id = await client.push('core-data', { message: 'hello', nested: [1, { a: null }] })
    expect(await client.pull('core-data')).toMatchObject({
      id,
      queue: 'core-data',
      data: { message: 'hello', nested: [1, { a: null }] },
      attempts: 0,
    })
  })

  it('acknowledges, and cannot do it twice', async () => {
    const client = await server.client()
    const id = await client.push('core-ack', 1)
    await client.pull('core-ack')
    expect(await client.ask({ cmd: 'ACK', id })).toEqual({ ok: true })
    expect(await client.ask({ cmd: 'ACK', id })).toMatchObject({ error: `Job ${id} not found` })
  })

  it('reads back the result of an ack', async () => {
    const client = await server.client()
    const id = await client.push('core-result', 1)
    await client.pull('core-result')
    await client.ok({ cmd: 'ACK', id, result: { computed: 42 } })
    const answer = await client.ask({ cmd: 'GETRESULT', id })
    expect(answer).toEqual({ ok: true, id, result: { computed: 42 } })
  })

  it('pushes five jobs in a batch, pulls exactly these five, and acknowledges them', async () => {
    const client = await server.client()
    const jobs = [1, 2, 3, 4, 5].map((n) => ({ data: { n }, priority: 0 }))
    const { ids } = await client.ok({ cmd: 'PUSHB', queue: 'core-batch', jobs })
    expect(ids).toHaveLength(5)
    const pulled = await client.ok({ cmd: 'PULLB', queue: 'core-batch', count: 5 })
    expect(pulled.jobs?.map((job) => job.id)).toEqual(ids)
    expect(await client.ask({ cmd: 'ACKB', ids })).toEqual({ ok: true, ids: [5] })
  })

  it('gets the higher priority first', async () => {
    const client = await server.client()
    for (const priority of [1, 10, 5, -3]) {
      await client.push('core-priority', { priority }, { priority })
    }
    const order: number[] = []
    for (let n = 0; n < 4; n++) order.push((await client.pull('core-priority')).priority)
    expect(order).toEqual([10, 5, 1, -3])
  })

  it('gets a delayed job not before its time', async () => {
    const client = await server.client()
    const sentMs = performance.now()
    await client.push('core-delay', 1, { delay: 1000 })
    const job = await client.pull('core-delay')
    // The two clocks may round the same moment differently.
    expect(performance.now() - sentMs).toBeGreaterThan(999)
    expect(job.run_at - job.created_at).toBe(1000)
    expect(job.started_at).toBeGreaterThanOrEqual(job.run_at)
  })

  it('cancels a job, whose state is unknown from then on', async () => {
    const client = await server.client()
    const id = await client.push('core-cancel', 1)
    expect(await client.ask({ cmd: 'CANCEL', id })).toEqual({ ok: true })
    expect(await client.ask({ cmd: 'GETSTATE', id })).toEqual({ ok: true, id, state: 'unknown' })
    expect(await client.pullNow('core-cancel')).toBeNull()
  })

  it('reads progress and its message back, in their nested form', async () => {
    const client = await server.client()
    const id = await client.push('core-progress', 1)
    await client.pull('core-progress')
    for (const progress of [25, 50, 100]) {
      await client.ok({ cmd: 'PROGRESS', id, progress, message: `at ${progress}` })
      const answer = await client.ask({ cmd: 'GETPROGRESS', id })
      expect(answer).toEqual({ ok: true, progress: { id, progress, message: `at ${progress}` } })
    }
    await client.ok({ cmd: 'PROGRESS', id, progress: 255 })
    expect((await client.ok({ cmd: 'GETPROGRESS', id })).progress?.progress).toBe(100)
  })

  it('sees a job go from waiting to active to completed', async () => {
    const client = await server.client()
    const id = await client.push('core-state', 1)
    expect(await client.stateOf(id)).toBe('waiting')
    await client.pull('core-state')
    expect(await client.stateOf(id)).toBe('active')
    await client.ok({ cmd: 'ACK', id })
    expect(await client.stateOf(id)).toBe('completed')
  })
})

describe('failures and keys of the original client', () => {
  it('finds a job that failed its last attempt in the DLQ, retries it, and acknowledges it', async () => {
    const client = await server.client()
    const id = await client.push('dead', 1, { max_attempts: 1 })
    await client.pull('dead')
    await client.ok({ cmd: 'FAIL', id, error: 'no luck' })
    expect(await client.stateOf(id)).toBe('failed')
    const { jobs } = await client.ok({ cmd: 'DLQ', queue: 'dead', count: 10 })
    expect(jobs).toMatchObject([{ id, progress_msg: 'no luck', attempts: 1 }])
    expect(await client.ask({ cmd: 'RETRYDLQ', queue: 'dead' })).toEqual({ ok: true, ids: [1] })
    expect(await client.pull('dead')).toMatchObject({ id, attempts: 0 })
    await client.ok({ cmd: 'ACK', id })
    expect(await client.stateOf(id)).toBe('completed')
  })

  it('may use a unique key once while its job lives, and again after the ack', async () => {
    const client = await server.client()
    const frame = pushFrame('unique', 1, { unique_key: 'one' })
    const { id } = await client.ok(frame)
    expect(await client.ask(frame)).toEqual({
      ok: false,
      error: 'Duplicate job with key: one',
      code: 'duplicate_key',
    })
    expect(await client.ok(pushFrame('unique-other', 1, { unique_key: 'one' }))).toBeTruthy()
    await client.pull('unique')
    await client.ok({ cmd: 'ACK', id })
    expect((await client.ok(frame)).id).toBeGreaterThan(id ?? 0)
  })
})

describe('queue control of the original client', () => {
  it('sees a queue paused, and resumed', async () => {
    const client = await server.client()
    await client.push('paused', 1)
    await client.ok({ cmd: 'PAUSE', queue: 'paused' })
    expect(await queueInfo(client, 'paused')).toMatchObject({ paused: true, pending: 1 })
    expect(await client.pullNow('paused')).toBeNull()
    await client.ok({ cmd: 'RESUME', queue: 'paused' })
    expect(await queueInfo(client, 'paused')).toMatchObject({ paused: false })
    expect(await client.pullNow('paused')).not.toBeNull()
  })

  it('sets and clears a rate limit and a concurrency limit', async () => {
    const client = await server.client()
    const queue = 'limited'
    await client.ok({ cmd: 'RATELIMIT', queue, limit: 100 })
    await client.ok({ cmd: 'SETCONCURRENCY', queue, limit: 5 })
    const set = await queueInfo(client, queue)
    expect(set).toMatchObject({ rate_limit: 100, concurrency_limit: 5 })
    const id = await client.push(queue, 1)
    expect((await client.pull(queue)).id).toBe(id)
    await client.ok({ cmd: 'ACK', id })
    await client.ok({ cmd: 'RATELIMITCLEAR', queue })
    await client.ok({ cmd: 'CLEARCONCURRENCY', queue })
    await client.push(queue, 1)
    const cleared = await queueInfo(client, queue)
    expect(cleared).toMatchObject({ rate_limit: null, concurrency_limit: null })
  })

  it('adds, lists and deletes a cron', async () => {
    const client = await server.client()
    const cron = { name: 'tick', queue: 'cron', schedule: '*/60', data: { a: 1 }, priority: 0 }
    const named = async () =>
      (await client.ok({ cmd: 'CRONLIST' })).crons?.filter(({ name }) => name === 'tick')
    const beforeMs = Date.now()
    expect(await client.ask({ cmd: 'CRON', ...cron })).toEqual({ ok: true })
    expect(await named()).toEqual([{ ...cron, next_run: expect.any(Number) }])
    const [listed] = (await named()) ?? []
    expect(listed?.['next_run']).toBeGreaterThan(beforeMs + 50_000)
    expect(await client.ask({ cmd: 'CRONDELETE', name: 'tick' })).toEqual({ ok: true })
    expect(await named()).toEqual([])
    const again = await client.ask({ cmd: 'CRONDELETE', name: 'tick' })
    expect(again).toMatchObject({ ok: false, error: 'Cron job not found' })
  })

  it('reads numbers from STATS and METRICS, and the queues by name', async () => {
    const client = await server.client()
    const id = await client.push('counted', 1)
    await client.pull('counted')
    await client.ok({ cmd: 'ACK', id })
    const { ok, ...stats } = await client.ok({ cmd: 'STATS' })
    expect(Object.keys(stats)).toEqual(['queued', 'processing', 'delayed', 'dlq'])
    for (const count of Object.values(stats)) expect(count).toBeTypeOf('number')
    const { metrics } = await client.ok({ cmd: 'METRICS' })
    expect(metrics?.['total_pushed']).toBeGreaterThanOrEqual(1)
    expect(metrics?.['total_completed']).toBeGreaterThanOrEqual(1)
    for (const name of ['total_failed', 'jobs_per_second', 'avg_latency_ms']) {
      expect(metrics?.[name]).toBeTypeOf('number')
    }
    expect(metrics?.['queues']).toBeInstanceOf(Array)
    const { queues } = await client.ok({ cmd: 'LISTQUEUES' })
    const names = queues?.map(({ name }) => name as string) ?? []
    expect(names).toContain('counted')
    expect(names).toEqual([...names].sort())
  })
})

describe('the bytes of an answer', () => {
  it('are compact, `ok` first, and of a push `id` last', async () => {
    const client = await server.client()
    client.send(pushFrame('bytes', 1))
    expect(await client.line()).toMatch(/^\{"ok":true,"id":[1-9]\d*\}$/)
    client.send('{"cmd":"PUSH"}\n')
    expect(await client.line()).toMatch(/^\{"ok":false,"error":"Invalid: .*","code":"invalid"\}$/)
  })

  it('have all keys of a job in their order, `id` first', async () => {
    const client = await server.client()
    const parent = await client.push('parents', 0)
    await client.pull('parents')
    await client.ok({ cmd: 'ACK', id: parent })
    await client.ok(
      `{"cmd":"PUSH","tags":["a","b"],"unique_key":"k","depends_on":[${parent}],"timeout":4,` +
        '"ttl":60000,"backoff":2,"max_attempts":7,"priority":-9,"data":{"b":1,"a":2},"queue":"keys"}\n',
    )
    client.send('{"cmd":"PULL","queue":"keys"}\n')
    const line = await client.line()
    expect(line.replace(/("(?:created_at|run_at|started_at)"):\d{13}/g, '$1:T')).toMatch(
      /^\{"ok":true,"job":\{"id":\d+,"queue":"keys","data":\{"b":1,"a":2\},"priority":-9,"created_at":T,"run_at":T,"started_at":T,"attempts":0,"max_attempts":7,"backoff":2,"ttl":60000,"timeout":4,"unique_key":"k","depends_on":\[\d+\],"progress":0,"progress_msg":null,"tags":\["a","b"\]\}\}$/,
    )
  })

  it('give what is absent as 0, null or empty, never leave it out', async () => {
    const client = await server.client()
    await client.push('absent', null)
    client.send({ cmd: 'PULL', queue: 'absent' })
    expect(await client.line()).toContain(
      '"attempts":0,"max_attempts":0,"backoff":0,"ttl":0,"timeout":0,"unique_key":null,"depends_on":[],"progress":0,"progress_msg":null,"tags":[]}}',
    )
  })

  it('hold payloads and results as they were sent: blanks, key order, big numbers, escapes', async () => {
    const client = await server.client()
    const payloads = [
      '1234567890123456789',
      '-9223372036854775808',
      '18446744073709551615',
      '[ 1 ,\t2.50, -0, 1e-400, 1E+3, 12345678901234567890123456789012345678901234567890 ]',
      '{"z":1,"a":{"y":[],"b":{}},"z":2}',
      '"\\u00e9\\ud83d\\ude00\\/\\n\\u0000"',
      '"é😀\u2028\u2029ÿ\u007f"',
      'null',
      'true',
      '""',
    ]
    for (const payload of payloads) {
      await client.ok(`{"cmd":"PUSH","queue":"exact","data":${payload}}\n`)
      client.send({ cmd: 'PULL', queue: 'exact' })
      const line = await client.line()
      expect(line).toContain(`,"data":${payload},"priority":0,`)
      const id = Number(/"id":(\d+)/.exec(line)?.[1])
      await client.ok(`{"cmd":"ACK","id":${id},"result":${payload}}\n`)
      client.send({ cmd: 'GETRESULT', id })
      expect(await client.line()).toBe(`{"ok":true,"id":${id},"result":${payload}}`)
    }
  })

  it('survive a character that comes in two packets', async () => {
    const client = await server.client()
    const frame = Buffer.from(pushFrame('split', '😀é'))
    const inEmoji = frame.indexOf(0xf0) + 2
    client.lines.socket.write(frame.subarray(0, inEmoji))
    // An answer on another connection: the first half has had time to arrive on its own.
    await (await server.client()).ok({ cmd: 'STATS' })
    client.lines.socket.write(frame.subarray(inEmoji))
    await client.answer()
    expect(await client.pull('split')).toMatchObject({ data: '😀é' })
  })

  it('name queues in any script', async () => {
    const client = await server.client()
    for (const queue of ['队列名称', 'Ωμέγα-1', 'очередь.x', 'キュー_٣', 'a'.repeat(256)]) {
      const id = await client.push(queue, 1)
      expect(await client.pull(queue)).toMatchObject({ id, queue })
    }
  })
})
