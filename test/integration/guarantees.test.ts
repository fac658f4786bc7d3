// What the README promises, a test for each row of its table.

import { describe, expect, it } from 'vitest'
import { shardOfQueue } from '../../src/cluster/shard-of-queue.ts'
import { eventually } from '../support/eventually.ts'
import { queueInShard, queueOnWorker } from '../support/queue-names.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'
import { clientOf, SharedServer } from '../support/shared-server.ts'
import { type WireClient, within } from '../support/wire-client.ts'

const server = new SharedServer()

type Pair = readonly [WireClient, WireClient]

/** The connections of the two workers, each in each part: whatever holds, holds on the owner and beside it. */
async function bothOrders(): Promise<Pair[]> {
  const [a, b] = await server.clientPerWorker()
  if (a === undefined || b === undefined) throw new Error('two workers are needed')
  return [
    [a, b],
    [b, a],
  ]
}

const ends = {
  'closes its connection': (client: WireClient) => client.lines.socket.end(),
  'is killed': (client: WireClient) => client.lines.socket.resetAndDestroy(),
}

describe('a consumer that', () => {
  for (const [how, end] of Object.entries(ends)) {
    it(`${how} gives its jobs back at once, uncounted, if it pulled with release_on_close`, async () => {
      for (const other of await server.clientPerWorker()) {
        for (const consumer of await server.clientPerWorker()) {
          const queue = queueOnWorker(0, 'gives-back')
          const ids = [await other.push(queue, 1), await other.push(queue, 2)]
          await consumer.ok({ cmd: 'PULLB', queue, count: 2, release_on_close: true })
          other.send({ cmd: 'PULL', queue }, { cmd: 'PULL', queue })
          end(consumer)
          const jobs = (await other.answers(2)).map(({ job }) => job)
          expect(jobs).toMatchObject(ids.map((id) => ({ id, attempts: 0, progress_msg: null })))
          await other.ok({ cmd: 'ACKB', ids })
        }
      }
    })

    it(`${how} while its pull waits takes no job with it`, async () => {
      for (const other of await server.clientPerWorker()) {
        for (let n = 0; n < 25; n++) {
          const queue = queueOnWorker(n % 2, 'waits')
          for (const consumer of await server.clientPerWorker()) {
            consumer.send({ cmd: 'PULL', queue }, { cmd: 'PULLB', queue, count: 5, reqId: 1 })
            await consumer.ok({ cmd: 'STATS', reqId: 2 })
            end(consumer)
            // The server has ended it too; after a reset nothing is to be seen, and nothing can be delivered.
            await within(5000, 'the connection is closed', consumer.lines.closed)
          }
          const id = await other.push(queue, n)
          expect((await other.pull(queue)).id).toBe(id)
          await other.ok({ cmd: 'ACK', id })
        }
      }
    })
  }

  it('keeps its job without release_on_close and lease: anybody may acknowledge it', async () => {
    const client = await server.client()
    const consumer = await server.client()
    const id = await client.push('kept', 1)
    await consumer.pull('kept')
    consumer.destroy()
    await consumer.lines.closed
    expect(await client.stateOf(id)).toBe('active')
    expect(await client.ask({ cmd: 'ACK', id })).toEqual({ ok: true })
  })
})

describe('a lease', () => {
  it('that is over gives the job to the next consumer, and counts the run as failed', async () => {
    for (const [consumer, other] of await bothOrders()) {
      const id = await other.push('leased', 1)
      await consumer.pull('leased', { lease: 50 })
      expect(await other.pull('leased')).toMatchObject({
        id,
        attempts: 1,
        progress_msg: 'Lease expired',
      })
      await other.ok({ cmd: 'ACK', id })
    }
  })

  it('that is over for the last attempt puts the job into the DLQ', async () => {
    const client = await server.client()
    const id = await client.push('leased-once', 1, { max_attempts: 1 })
    await client.pull('leased-once', { lease: 20 })
    await eventually('it is in the DLQ', 5000, async () => (await client.stateOf(id)) === 'failed')
    const { jobs } = await client.ok({ cmd: 'DLQ', queue: 'leased-once' })
    expect(jobs).toMatchObject([{ id, attempts: 1, progress_msg: 'Lease expired' }])
  })

  it('goes on as long as heartbeats come', async () => {
    for (const [consumer, other] of await bothOrders()) {
      const queue = 'beaten'
      const id = await other.push(queue, 1)
      const lease = 400
      const { token } = await consumer.pull(queue, { lease })
      const untilMs = performance.now() + 3 * lease
      while (performance.now() < untilMs) {
        expect(await other.pullNow(queue, { wait: lease / 8 })).toBeNull()
        expect(await consumer.ok({ cmd: 'HEARTBEAT', id, token })).toEqual({ ok: true, ids: [1] })
      }
      expect(await other.pull(queue)).toMatchObject({ id, attempts: 1 })
      await other.ok({ cmd: 'ACK', id })
    }
  })

  it('that was lost leaves its token stale: nothing can be done with it', async () => {
    for (const [consumer, other] of await bothOrders()) {
      const id = await other.push('stale', 1)
      const { token } = await consumer.pull('stale', { lease: 20 })
      const { token: current } = await other.pull('stale', { lease: 60_000 })
      expect(current).not.toBe(token)
      for (const frame of [
        { cmd: 'ACK', id, token, result: 'late' },
        { cmd: 'FAIL', id, token },
        { cmd: 'PROGRESS', id, token, progress: 1 },
      ]) {
        const answer = await consumer.ask(frame)
        expect(answer, frame.cmd).toMatchObject({ ok: false, code: 'stale_token' })
      }
      for (const cmd of ['HEARTBEAT', 'RELEASE', 'ACKB']) {
        const answer = await consumer.ok({ cmd, ids: [id], tokens: [token] })
        expect(answer, cmd).toMatchObject({ ids: [0], errors: [{ index: 0, code: 'stale_token' }] })
      }
      expect(await other.stateOf(id)).toBe('active')
      await other.ok({ cmd: 'ACK', id, token: current, result: 'in time' })
      expect(await consumer.ok({ cmd: 'GETRESULT', id })).toMatchObject({ result: 'in time' })
      const after = await other.ask({ cmd: 'ACK', id, token: current })
      expect(after).toMatchObject({
        ok: false,
        code: expect.stringMatching(/stale_token|not_found/),
      })
    }
  })
})

describe('a job', () => {
  it('that runs longer than its timeout is redelivered, and the run counted', async () => {
    const client = await server.client()
    const id = await client.push('slow', 1, { timeout: 30 })
    await client.pull('slow')
    expect(await client.pull('slow')).toMatchObject({
      id,
      attempts: 1,
      progress_msg: 'Job timed out',
    })
  })

  it('whose ttl is over is never delivered', async () => {
    const client = await server.client()
    const id = await client.push('expires', 1, { ttl: 20, unique_key: 'k' })
    await eventually('it is gone', 5000, async () => (await client.stateOf(id)) === 'unknown')
    expect(await client.pullNow('expires')).toBeNull()
    expect(await client.push('expires', 1, { unique_key: 'k' })).toBeGreaterThan(id)
  })

  it('that fails waits for its backoff, which doubles', async () => {
    const client = await server.client()
    await client.push('backs-off', 1, { backoff: 60 })
    for (const backoff of [60, 120, 240]) {
      const { id } = await client.pull('backs-off')
      const failedAtMs = Date.now()
      await client.ok({ cmd: 'FAIL', id })
      const { job } = await client.ok({ cmd: 'GETJOB', id })
      // The clocks of two processes may round the same moment differently.
      expect(job?.run_at).toBeGreaterThanOrEqual(failedAtMs + backoff - 2)
      expect(job?.run_at).toBeLessThan(failedAtMs + backoff + 5000)
    }
  })

  it('that is done stays readable, its result as it was sent', async () => {
    for (const [a, b] of await bothOrders()) {
      const id = await a.push('readable', { in: 1 })
      await b.pull('readable')
      await b.ok(`{"cmd":"ACK","id":${id},"result":{"b":[ 1.0 ],"a":"é"}}\n`)
      a.send({ cmd: 'GETRESULT', id })
      expect(await a.line()).toBe(`{"ok":true,"id":${id},"result":{"b":[ 1.0 ],"a":"é"}}`)
      expect(await a.ok({ cmd: 'GETJOB', id })).toMatchObject({
        state: 'completed',
        job: { id, data: { in: 1 } },
      })
    }
  })

  it('with the unique key of a live job of its queue is refused, on every worker', async () => {
    for (const [a, b] of await bothOrders()) {
      const queue = queueOnWorker(0, 'unique')
      const id = await a.push(queue, 1, { unique_key: 'é"' })
      const again = { cmd: 'PUSH', queue, data: 2, unique_key: 'é"' }
      for (const client of [a, b]) {
        expect(await client.ask(again)).toMatchObject({ ok: false, code: 'duplicate_key' })
      }
      await b.ok({ cmd: 'CANCEL', id })
      const next = await b.ok(again)
      await a.ok({ cmd: 'CANCEL', id: next.id })
    }
  })
})

describe('the order of a queue', () => {
  it('is that in which its pushes were accepted, whichever workers they came through', async () => {
    for (const [a, b] of await bothOrders()) {
      const queue = queueOnWorker(1, 'fifo')
      const ids: number[] = []
      for (let n = 0; n < 100; n++) ids.push(await (n % 3 === 0 ? a : b).push(queue, n))
      expect(ids).toEqual([...ids].sort((one, other) => one - other))
      for (let n = 0; n < 100; n++) {
        const { id } = await (n % 2 === 0 ? a : b).pull(queue)
        expect(id).toBe(ids[n])
        await b.ok({ cmd: 'ACK', id })
      }
    }
  })

  it('is that of the frames of a connection that pipelines them', async () => {
    for (const [a, b] of await bothOrders()) {
      const queue = queueOnWorker(0, 'fifo-piped')
      const count = 2000
      a.send(...Array.from({ length: count }, (_, n) => ({ cmd: 'PUSH', queue, data: n })))
      for (let n = 0; n < count; ) {
        const { jobs = [] } = await b.ok({ cmd: 'PULLB', queue, count: 100 })
        for (const job of jobs) expect(job.data).toBe(n++)
        await b.ok({ cmd: 'ACKB', ids: jobs.map(({ id }) => id) })
      }
      await a.answers(count)
    }
  })
})

describe('an id', () => {
  it('is never given out again after a worker was killed', async () => {
    const restarted = await startServer()
    const last = await pushEverywhere(restarted, new Map())
    await killEachWorker(restarted, () => pushEverywhere(restarted, last))
  })

  it('is never given out again after a restart', async () => {
    const last = new Map<string, number>()
    for (let start = 0; start < 3; start++) {
      const restarted = await startServer()
      await pushEverywhere(restarted, last)
      await restarted.stop()
    }
  })

  it('is never given out again after a worker was killed and the server restarted because of that', async () => {
    const last = new Map<string, number>()
    for (let start = 0; start < 2; start++) {
      const restarted = await startServer()
      await pushEverywhere(restarted, last)
      await killEachWorker(restarted, () => pushEverywhere(restarted, last))
      await restarted.stop()
    }
  })
})

/** A queue keeps its shard, and in a shard ids only rise: above the last of each queue, which is noted in `last`. */
async function pushEverywhere(restarted: ServerProcess, last: Map<string, number>) {
  await eventually('all shards serve', 20_000, () => serves(restarted))
  const client = await clientOf(restarted)
  for (const worker of [0, 1]) {
    const queue = queueOnWorker(worker, 'ids')
    const id = await client.push(queue, 1)
    expect(id).toBeGreaterThan(last.get(queue) ?? 0)
    last.set(queue, id)
  }
  client.destroy()
  return last
}

async function killEachWorker(restarted: ServerProcess, then: () => Promise<unknown>) {
  for (const pid of restarted.workerPids()) {
    const { length } = restarted.log
    process.kill(pid, 'SIGKILL')
    await eventually('another one is started', 20_000, () =>
      restarted.log.slice(length).some(({ msg }) => msg === 'worker started'),
    )
    await then()
  }
}

/** Every worker answers for its shards. */
async function serves(restarted: ServerProcess): Promise<boolean> {
  try {
    const client = await clientOf(restarted)
    const answers = await Promise.all([
      client.ask({ cmd: 'LISTQUEUES' }),
      clientOf(restarted).then((other) => other.ask({ cmd: 'STATS' })),
    ])
    return answers.every(({ ok }) => ok)
  } catch {
    return false
  }
}

describe('a dependency', () => {
  const parentQueue = queueInShard(2, 'parent')
  const otherQueue = queueInShard(5, 'parent')
  const childQueue = queueInShard(11, 'child')

  it('is met when all parents are completed, in whatever shards they are', async () => {
    expect(new Set([parentQueue, otherQueue, childQueue].map(shardOfQueue)).size).toBe(3)
    for (const [a, b] of await bothOrders()) {
      const parents = [await a.push(parentQueue, 1), await b.push(otherQueue, 2)]
      const child = await a.push(childQueue, 3, { depends_on: parents })
      b.send({ cmd: 'PULL', queue: childQueue })
      for (const queue of [parentQueue, otherQueue]) {
        expect(await a.stateOf(child)).toBe('waiting-children')
        const { id } = await a.pull(queue)
        await a.ok({ cmd: 'ACK', id })
      }
      expect((await b.answer()).job).toMatchObject({ id: child, depends_on: parents })
      await b.ok({ cmd: 'ACK', id: child })
    }
  })

  it('is met at once by a parent that was completed before', async () => {
    const [a, b] = (await server.clientPerWorker()) as [WireClient, WireClient]
    const parent = await a.push(parentQueue, 1)
    await a.pull(parentQueue)
    await a.ok({ cmd: 'ACK', id: parent })
    const child = await b.push(childQueue, 2, { depends_on: [parent] })
    expect((await b.pull(childQueue)).id).toBe(child)
  })

  it('that can never be met fails the child, and the child of the child', async () => {
    for (const [a, b] of await bothOrders()) {
      const endings = { failed: 'FAIL', 'was cancelled': 'CANCEL' }
      for (const [how, cmd] of Object.entries(endings)) {
        const parent = await a.push(parentQueue, 1, { max_attempts: 1 })
        const child = await b.push(childQueue, 2, { depends_on: [parent] })
        const grandchild = await a.push(otherQueue, 3, { depends_on: [child] })
        await a.pull(parentQueue)
        await a.ok({ cmd, id: parent })
        for (const id of [child, grandchild]) {
          await eventually('it fails', 5000, async () => (await b.stateOf(id)) === 'failed')
        }
        const { job } = await b.ok({ cmd: 'GETJOB', id: child })
        expect(job?.progress_msg).toBe(`Dependency ${parent} ${how}`)
      }
    }
  })
})

describe('a cron', () => {
  it('fires each second once, whatever workers there are', async () => {
    const client = await server.client()
    const crons = [0, 1].flatMap((worker) =>
      ['* * * * * *', '*/1'].map((schedule) => ({
        name: `${schedule} on ${worker}`,
        queue: queueOnWorker(worker, `cron-${schedule.length}`),
        schedule,
      })),
    )
    for (const cron of crons) await client.ok({ cmd: 'CRON', data: cron.name, ...cron })
    for (const { queue, schedule } of crons) {
      const times: number[] = []
      while (times.length < 5) times.push((await client.pull(queue)).created_at)
      const seconds = times.map((ms) => Math.floor(ms / 1000))
      if (schedule.length > 3) expect(new Set(seconds).size).toBe(5)
      expect((times[4] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(3500)
    }
    for (const { name } of crons) await client.ok({ cmd: 'CRONDELETE', name })
    for (const { queue } of crons) await client.ok({ cmd: 'PULLB', queue, count: 1000, wait: 0 })
    expect(await client.pullNow(crons[0]?.queue ?? '', { wait: 1500 })).toBeNull()
  })
})

describe('a subscriber', () => {
  it('misses nothing from the moment that its subscription was answered', async () => {
    for (const [subscriber, client] of await bothOrders()) {
      for (let n = 0; n < 50; n++) {
        const queue = `subscribed-${n}`
        await subscriber.ok({ cmd: 'SUBSCRIBE', queue, events: ['pushed'] })
        const id = await client.push(queue, n)
        const event = within(5000, `event ${n}`, subscriber.lines.object())
        expect(await event).toMatchObject({ event: 'pushed', job: { id } })
        await subscriber.ok({ cmd: 'UNSUBSCRIBE', queue })
      }
    }
  })

  it('hears what happens to the jobs of its queue, whichever workers it and they are at', async () => {
    for (const subscriber of await server.clientPerWorker()) {
      const [client] = (await server.clientPerWorker()) as [WireClient]
      const queue = queueOnWorker(0, 'heard')
      await subscriber.ok({ cmd: 'SUBSCRIBE', queue, events: ['*'] })
      const next = (what: string) => within(5000, what, subscriber.lines.object())
      const hears = async (event: string, id: number, more: object = {}) =>
        expect(await next(`event ${event} of ${id}`)).toMatchObject({
          event,
          queue,
          job: { id },
          ...more,
        })
      const id = await client.push(queue, 1, { max_attempts: 2 })
      await hears('pushed', id)
      await client.pull(queue)
      await client.ok({ cmd: 'PROGRESS', id, progress: 5 })
      await hears('progress', id)
      await client.ok({ cmd: 'FAIL', id, error: 'once' })
      await hears('retrying', id, { error: 'once' })
      await client.pull(queue)
      await client.ok({ cmd: 'FAIL', id, error: 'twice' })
      await hears('failed', id, { error: 'twice' })
      const done = await client.push(queue, 2, { timeout: 20 })
      await hears('pushed', done)
      await client.pull(queue)
      await hears('timeout', done, { error: 'Job timed out' })
      await hears('retrying', done, { error: 'Job timed out' })
      await client.pull(queue)
      await client.ok({ cmd: 'ACK', id: done, result: { sum: 1 } })
      await hears('completed', done, { result: { sum: 1 } })
      const gone = await client.push(queue, 3)
      await client.ok({ cmd: 'CANCEL', id: gone })
      await hears('pushed', gone)
      await hears('cancelled', gone)
      const expired = await client.push(queue, 4, { ttl: 1 })
      await hears('pushed', expired)
      await hears('expired', expired)
      await subscriber.ok({ cmd: 'UNSUBSCRIBE', queue })
      await client.push(queue, 5)
      await client.ok({ cmd: 'PULL', queue })
      // The next line is an answer: no event has come between.
      expect(await subscriber.ok({ cmd: 'STATS' })).toMatchObject({ ok: true })
    }
  })
})

describe('memory', () => {
  it('has its limit: pushes are refused there, and accepted again when jobs are done', async () => {
    const small = await startServer({ MEMORY_MAX_MB: '16', RETENTION_COUNT: '0' })
    const client = await clientOf(small)
    const push = { cmd: 'PUSH', queue: 'full', data: 'x'.repeat(100_000) }
    let pushed = 0
    let refusal = await client.ask(push)
    for (; refusal.ok && pushed < 1000; pushed++) refusal = await client.ask(push)
    expect(refusal).toMatchObject({ ok: false, code: 'memory_full' })
    expect(pushed).toBeGreaterThan(10)
    for (let n = 0; n < pushed; n++) {
      const { id } = await client.pull('full')
      await client.ok({ cmd: 'ACK', id })
    }
    await eventually('there is room again', 10_000, async () => (await client.ask(push)).ok)
  })
})
