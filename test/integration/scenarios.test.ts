// The scenarios of the original client's stress test, in sizes that fit a test run, with every job accounted for.

import { describe, expect, it } from 'vitest'
import { SharedServer } from '../support/shared-server.ts'
import { type Answer, idOf, type WireClient } from '../support/wire-client.ts'

const server = new SharedServer()

const range = (count: number): number[] => Array.from({ length: count }, (_, n) => n)
const sorted = (ids: Iterable<number>): number[] => [...ids].sort((a, b) => a - b)

async function pushAll(client: WireClient, queue: string, count: number, options: object = {}) {
  const ids: number[] = []
  for (let from = 0; from < count; from += 1000) {
    const jobs = range(Math.min(1000, count - from)).map((n) => ({ data: from + n, ...options }))
    ids.push(...((await client.ok({ cmd: 'PUSHB', queue, jobs })).ids ?? []))
  }
  return ids
}

/** Pulls and acknowledges until nothing is left; the ids in their order. */
async function takeAll(client: WireClient, queue: string, batch = 1000): Promise<number[]> {
  const taken: number[] = []
  for (;;) {
    const { jobs = [] } = await client.ok({ cmd: 'PULLB', queue, count: batch, wait: 0 })
    if (jobs.length === 0) return taken
    const ids = jobs.map(({ id }) => id)
    expect(await client.ok({ cmd: 'ACKB', ids })).toEqual({ ok: true, ids: [ids.length] })
    taken.push(...ids)
  }
}

describe('load', () => {
  it('10 connections push 1,000 jobs each, one after another, and every job is there once', async () => {
    const queue = 'concurrent-push'
    const clients = await server.clients(10)
    const pushing = clients.map(async (client, place) => {
      const ids: number[] = []
      for (let n = 0; n < 1000; n++) ids.push(await client.push(queue, { place, n }))
      return ids
    })
    const ids = (await Promise.all(pushing)).flat()
    const client = await server.client()
    expect((await client.ok({ cmd: 'STATS' })).queued).toBeGreaterThanOrEqual(10_000)
    expect(new Set(ids).size).toBe(10_000)
    // Pulled in the order in which they were accepted, whoever pushed them.
    expect(await takeAll(client, queue)).toEqual(sorted(ids))
  })

  it('100 batches of 100 go in, and all 10,000 jobs come out by hundreds, in their order', async () => {
    const client = await server.client()
    const jobs = range(100).map((n) => ({ data: { n }, priority: 0 }))
    const pushed: number[] = []
    for (let n = 0; n < 100; n++) {
      const { ids = [] } = await client.ok({ cmd: 'PUSHB', queue: 'batches', jobs })
      pushed.push(...ids)
    }
    expect(pushed).toHaveLength(10_000)
    expect(await takeAll(client, 'batches', 100)).toEqual(pushed)
  })

  it('batches pushed and pulled by many at once lose nothing and double nothing', async () => {
    const queue = 'batches-at-once'
    const producers = await server.clients(4)
    const consumers = await server.clients(4)
    const total = 4 * 5000
    const taken: number[] = []
    const consuming = consumers.map(async (client) => {
      while (taken.length < total) {
        const { jobs = [] } = await client.ok({ cmd: 'PULLB', queue, count: 100, wait: 100 })
        const ids = jobs.map(({ id }) => id)
        taken.push(...ids)
        if (ids.length > 0)
          expect((await client.ok({ cmd: 'ACKB', ids })).ids).toEqual([ids.length])
      }
    })
    const pushed = (await Promise.all(producers.map((each) => pushAll(each, queue, 5000)))).flat()
    await Promise.all(consuming)
    expect(sorted(taken)).toEqual(sorted(pushed))
  })

  it('50 queues of 100 jobs each are filled and emptied over one connection', async () => {
    const client = await server.client()
    const queues = range(50).map((n) => `stress-queue-${n}`)
    // As 50 loops over one connection interleave: the n-th job of each queue, then the next.
    for (let n = 0; n < 100; n++) {
      client.send(...queues.map((queue) => ({ cmd: 'PUSH', queue, data: n })))
    }
    const pushed = await client.answers(5000)
    expect(pushed.every(({ ok }) => ok)).toBe(true)
    const listed = (await client.ok({ cmd: 'LISTQUEUES' })).queues ?? []
    const names = listed.map(({ name }) => name as string)
    expect(names.filter((name) => name.startsWith('stress-queue-'))).toHaveLength(50)
    for (let n = 0; n < 100; n++) {
      client.send(...queues.map((queue) => ({ cmd: 'PULL', queue })))
      const pulled = await client.answers(50)
      expect(pulled.map(({ job }) => [job?.queue, job?.data])).toEqual(queues.map((q) => [q, n]))
      client.send(...pulled.map(({ job }) => ({ cmd: 'ACK', id: job?.id })))
      expect(await client.answers(50)).toEqual(range(50).map(() => ({ ok: true })))
    }
  })

  it('50 connections come, push, pull and go without an ack, and nobody is disturbed', async () => {
    const steady = await server.client()
    const ids: number[] = []
    for (let n = 0; n < 50; n++) {
      const client = await server.client()
      ids.push(await client.push('churn', n))
      expect((await client.pull('churn')).id).toBe(ids.at(-1))
      client.lines.socket.end()
      await client.lines.closed
      expect(await steady.ask({ cmd: 'STATS' })).toMatchObject({ ok: true })
    }
    // Without `release_on_close` a job may be acknowledged from anywhere.
    expect(await steady.ok({ cmd: 'ACKB', ids })).toEqual({ ok: true, ids: [50] })
  })
})

describe('large payloads', () => {
  it('of 500 KB come back whole', async () => {
    const client = await server.client()
    const data = { text: 'x'.repeat(500_000) }
    await client.push('large', data)
    expect((await client.pull('large')).data).toEqual(data)
  })

  it('of 1 MiB exactly are accepted, and of a byte more refused as too large', async () => {
    const client = await server.client()
    const atLimit = 'x'.repeat(1024 * 1024 - 2)
    await client.push('large-limit', atLimit)
    expect((await client.pull('large-limit')).data).toBe(atLimit)
    expect(await client.ask({ cmd: 'PUSH', queue: 'large-limit', data: `${atLimit}x` })).toEqual({
      ok: false,
      error: 'Job data too large (1048577 bytes, max 1048576 bytes)',
      code: 'data_too_large',
    })
  })

  it('of 1.1 MB are refused as too large, and the connection goes on', async () => {
    const client = await server.client()
    const answer = await client.ask({ cmd: 'PUSH', queue: 'large', data: 'x'.repeat(1_100_000) })
    expect(answer).toMatchObject({ ok: false, code: 'data_too_large' })
    expect(answer.error).toContain('too large')
    expect(await client.push('large', 1)).toBeGreaterThan(0)
  })

  it('of 50 KB go ten in a batch; one that is too large is refused alone, by its index', async () => {
    const client = await server.client()
    const jobs = range(10).map((n) => ({ data: `${n}`.repeat(50_000) }))
    expect((await client.ok({ cmd: 'PUSHB', queue: 'large-batch', jobs })).ids).toHaveLength(10)
    jobs[3] = { data: 'x'.repeat(1_100_000) }
    const answer = await client.ok({ cmd: 'PUSHB', queue: 'large-batch', jobs })
    expect(answer.ids).toHaveLength(9)
    expect(answer.errors).toMatchObject([{ index: 3, code: 'data_too_large' }])
    expect(await takeAll(client, 'large-batch')).toHaveLength(19)
  })

  it('may be 50 deep, or have 1,000 keys, or 10,000 elements', async () => {
    const client = await server.client()
    const deep = JSON.parse(`${'{"a":'.repeat(50)}1${'}'.repeat(50)}`) as unknown
    const wide = Object.fromEntries(range(1000).map((n) => [`key-${n}`, { n }]))
    for (const data of [deep, wide, range(10_000)]) {
      await client.push('shapes', data)
      expect((await client.pull('shapes')).data).toEqual(data)
    }
  })
})

describe('limits', () => {
  it('a rate of 10 a second lets 10 jobs pass at once, and 20 more not before 1,450 ms', async () => {
    const client = await server.client()
    const queue = 'rate'
    await pushAll(client, queue, 100)
    await client.ok({ cmd: 'RATELIMIT', queue, limit: 10 })
    const started: number[] = []
    for (let n = 0; n < 30; n++) started.push((await client.pull(queue)).started_at)
    const [first = 0] = started
    expect((started[9] ?? 0) - first).toBeLessThan(1000)
    expect((started[29] ?? 0) - first).toBeGreaterThanOrEqual(1450)
    await client.ok({ cmd: 'RATELIMITCLEAR', queue })
    expect(await takeAll(client, queue)).toHaveLength(70)
  })

  it('a rate holds for batches too', async () => {
    const client = await server.client()
    await pushAll(client, 'rate-batch', 100)
    await client.ok({ cmd: 'RATELIMIT', queue: 'rate-batch', limit: 10 })
    const pull = { cmd: 'PULLB', queue: 'rate-batch', count: 100 }
    expect((await client.ok(pull)).jobs).toHaveLength(10)
    // The next one waits for a token, and takes no more than there are.
    const { jobs = [] } = await client.ok(pull)
    expect(jobs.length).toBeGreaterThan(0)
    expect(jobs.length).toBeLessThan(90)
  })

  it('a limit of 0 delivers nothing until it is cleared', async () => {
    const client = await server.client()
    const other = await server.client()
    for (const [set, clear] of [
      ['RATELIMIT', 'RATELIMITCLEAR'],
      ['SETCONCURRENCY', 'CLEARCONCURRENCY'],
    ]) {
      await client.ok({ cmd: set, queue: 'none', limit: 0 })
      const id = await client.push('none', 1)
      expect(await client.pullNow('none')).toBeNull()
      client.send({ cmd: 'PULL', queue: 'none' })
      expect(await other.stateOf(id)).toBe('waiting')
      await other.ok({ cmd: clear, queue: 'none' })
      expect((await client.answer()).job?.id).toBe(id)
      await client.ok({ cmd: 'ACK', id })
    }
  })

  it('a concurrency of 5 holds while jobs are acknowledged, failed, released and cancelled', async () => {
    const client = await server.client()
    const queue = 'five'
    await pushAll(client, queue, 100)
    await client.ok({ cmd: 'SETCONCURRENCY', queue, limit: 5 })
    const active = async () =>
      (await client.ok({ cmd: 'LISTQUEUES' })).queues?.find(({ name }) => name === queue)?.[
        'processing'
      ]
    const endings = ['ACK', 'FAIL', 'RELEASE', 'CANCEL']
    for (let n = 0; n < 20; n++) {
      const { jobs = [] } = await client.ok({ cmd: 'PULLB', queue, count: 50, wait: 0 })
      expect(jobs).toHaveLength(n === 0 ? 5 : 1)
      expect(await active()).toBe(5)
      await client.ok({ cmd: endings[n % 4], id: jobs[0]?.id })
      // Setting it again does not forget who is active.
      await client.ok({ cmd: 'SETCONCURRENCY', queue, limit: 5 })
    }
  })
})

describe('many failures, cancels and updates', () => {
  it('100 jobs that fail fill the DLQ, oldest first, and all of them can be retried', async () => {
    const client = await server.client()
    const queue = 'dlq-flood'
    const ids = await pushAll(client, queue, 100, { max_attempts: 1 })
    const { jobs = [] } = await client.ok({ cmd: 'PULLB', queue, count: 100 })
    client.send(...jobs.map(({ id }) => ({ cmd: 'FAIL', id, error: `failed ${id}` })))
    expect((await client.answers(100)).every(({ ok }) => ok)).toBe(true)
    const dead = (await client.ok({ cmd: 'DLQ', queue, count: 110 })).jobs ?? []
    expect(dead.map(({ id }) => id)).toEqual(ids)
    expect(dead.map(({ progress_msg }) => progress_msg)).toEqual(ids.map((id) => `failed ${id}`))
    expect((await client.ok({ cmd: 'DLQ', queue, count: 7 })).jobs).toHaveLength(7)
    expect(await client.ok({ cmd: 'RETRYDLQ', queue })).toEqual({ ok: true, ids: [100] })
    expect(sorted(await takeAll(client, queue))).toEqual(ids)
  })

  it('100 of 200 delayed jobs are cancelled in one go, and the others are still there', async () => {
    const client = await server.client()
    const queue = 'cancels'
    const ids = await pushAll(client, queue, 200, { delay: 60_000 })
    const cancelled = ids.filter((_, n) => n % 2 === 0)
    client.send(...cancelled.map((id) => ({ cmd: 'CANCEL', id })))
    expect((await client.answers(100)).every(({ ok }) => ok)).toBe(true)
    client.send(...ids.map((id) => ({ cmd: 'GETSTATE', id })))
    const states = (await client.answers(200)).map(({ state }) => state)
    expect(states).toEqual(ids.map((_, n) => (n % 2 === 0 ? 'unknown' : 'delayed')))
  })

  it('101 progress updates in one go leave the last one', async () => {
    const client = await server.client()
    const id = await client.push('progress-flood', 1)
    await client.pull('progress-flood')
    const updates = range(101).map((n) => ({ cmd: 'PROGRESS', id, progress: n, message: `${n}` }))
    client.send(...updates)
    expect((await client.answers(101)).every(({ ok }) => ok)).toBe(true)
    const { progress } = await client.ok({ cmd: 'GETPROGRESS', id })
    expect(progress).toEqual({ id, progress: 100, message: '100' })
  })

  it('of 50 pushes with one unique key exactly one is accepted, whoever sends them', async () => {
    const clients = await server.clients(5)
    for (const senders of [clients.slice(0, 1), clients]) {
      const push = { cmd: 'PUSH', queue: 'one-key', data: 1, unique_key: 'the one' }
      for (const client of senders) client.send(...range(50 / senders.length).map(() => push))
      const answers = await Promise.all(senders.map((each) => each.answers(50 / senders.length)))
      const accepted = answers.flat().filter(({ ok }) => ok)
      expect(accepted).toHaveLength(1)
      const refused = answers.flat().filter(({ ok }) => !ok)
      expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(['duplicate_key']))
      const [client] = clients as [WireClient]
      const id = idOf(accepted[0] as Answer)
      expect((await client.pull('one-key')).id).toBe(id)
      await client.ok({ cmd: 'ACK', id })
    }
  })

  it('of two jobs with one unique key in a batch the first is accepted', async () => {
    const client = await server.client()
    const jobs = ['a', 'b', 'a'].map((unique_key, data) => ({ data, unique_key }))
    const answer = await client.ok({ cmd: 'PUSHB', queue: 'batch-key', jobs })
    expect(answer.ids).toHaveLength(2)
    expect(answer.errors).toMatchObject([{ index: 2, code: 'duplicate_key' }])
  })

  it('1,000 jobs delayed by 1 to 500 ms come in the order of their times, none before it', async () => {
    const client = await server.client()
    const queue = 'delays'
    const delays = range(1000).map((n) => 1 + ((n * 379) % 500))
    const jobs = delays.map((delay) => ({ data: null, delay }))
    const pushed = (await client.ok({ cmd: 'PUSHB', queue, jobs })).ids ?? []
    const due = new Map(pushed.map((id, n) => [id, delays[n] as number]))
    const order: number[] = []
    while (order.length < 1000) {
      const { jobs: pulled = [] } = await client.ok({ cmd: 'PULLB', queue, count: 1000 })
      for (const job of pulled) {
        expect(job.started_at).toBeGreaterThanOrEqual(job.run_at)
        expect(job.run_at - job.created_at).toBe(due.get(job.id))
        order.push(due.get(job.id) as number)
      }
    }
    expect(order).toEqual(sorted(order))
  })
})

describe('names of queues', () => {
  const names = {
    nothing: '',
    '300 letters': 'a'.repeat(300),
    '257 bytes': `${'a'.repeat(255)}é`,
    'a blank': 'a queue',
    slashes: '../../etc/passwd',
    markup: '<script>alert(1)</script>',
    'a NUL': 'a\u0000b',
    'a newline': 'a\nb',
    'a right-to-left mark': 'a\u200fb',
    'a combining accent': 'e\u0301',
    'a percent escape': '%2e%2e',
  }
  for (const [what, queue] of Object.entries(names)) {
    it(`with ${what} are refused by every command that takes one`, async () => {
      const client = await server.client()
      const refusal = {
        ok: false,
        code: 'queue_name_invalid',
        error: expect.stringMatching(/^Queue name /),
      }
      const push = { cmd: 'PUSH', queue, data: 1 }
      for (const frame of [push, { cmd: 'PUSHB', queue, jobs: [{ data: 1 }] }]) {
        expect(await client.ask(frame)).toEqual(refusal)
      }
      for (const cmd of [
        'PULL',
        'PAUSE',
        'RESUME',
        'DLQ',
        'RETRYDLQ',
        'PURGEDLQ',
        'RATELIMITCLEAR',
        'CLEARCONCURRENCY',
      ]) {
        expect(await client.ask({ cmd, queue }), cmd).toEqual(refusal)
      }
      for (const rest of [
        { cmd: 'PULLB', count: 1 },
        { cmd: 'RATELIMIT', limit: 1 },
        { cmd: 'SETCONCURRENCY', limit: 1 },
        { cmd: 'CRON', name: 'x', schedule: '*/60', data: 1 },
        { cmd: 'SUBSCRIBE', events: ['*'] },
      ]) {
        expect(await client.ask({ ...rest, queue }), rest.cmd).toEqual(refusal)
      }
      expect(
        (await client.ok({ cmd: 'LISTQUEUES' })).queues?.some(({ name }) => name === queue),
      ).toBe(false)
    })
  }
})
