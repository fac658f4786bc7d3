// The built server over a real PostgreSQL: what it acknowledged is there after every kind of end.

import { describe, expect, it, onTestFinished } from 'vitest'
import { openTestDatabase } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'
import { queueOnWorker } from '../support/queue-names.ts'
import { ServerProcess } from '../support/server-process.ts'
import { type Answer, idOf, WireClient, type WireJob } from '../support/wire-client.ts'

async function settingsOf(): Promise<Record<string, string>> {
  const database = await openTestDatabase()
  onTestFinished(() => database.drop())
  return { DATABASE_URL: database.url, DATABASE_SCHEMA: database.schema }
}

async function start(settings: Record<string, string>): Promise<ServerProcess> {
  const server = new ServerProcess(settings)
  onTestFinished(async () => {
    await server.stop()
  })
  return await server.ready()
}

const clientOf = (server: ServerProcess): Promise<WireClient> =>
  WireClient.open({ host: '127.0.0.1', port: server.port })

/** Ends it without a word: the primary first, whose workers follow. */
async function kill(server: ServerProcess): Promise<void> {
  server.signal('SIGKILL')
  await server.exited
}

describe('a server that was killed', () => {
  it('has everything that it acknowledged when it starts again', async () => {
    const settings = await settingsOf()
    const first = await start(settings)
    const client = await clientOf(first)
    const data = { text: 'é\u0000\ud800', n: 1 }
    const plain = await client.push('q', data, { priority: 3, tags: ['a'] })
    const unique = await client.push('q', 1, { unique_key: 'k' })
    const delayed = await client.push('q', 2, { delay: 3_600_000 })
    const child = await client.push('other', 3, { depends_on: [unique] })
    const held = await client.push('held', 4, { max_attempts: 2 })
    const lease = { lease: 600_000, token: true }
    const job = await client.pull('held', lease)
    const dead = await client.push('dead', 5, { max_attempts: 1 })
    await client.pull('dead')
    await client.ok({ cmd: 'FAIL', id: dead, error: 'bad \ud800' })
    const done = await client.push('done', 6)
    await client.pull('done')
    await client.ok({ cmd: 'ACK', id: done, result: { r: 1.5 } })
    await client.ok({ cmd: 'PAUSE', queue: 'paused' })
    await client.ok({ cmd: 'SETCONCURRENCY', queue: 'limited', limit: 7 })
    await client.ok({ cmd: 'CRON', name: 'c', queue: 'crons', data: {}, schedule: '0 0 1 1 *' })
    const before = await client.ok({ cmd: 'LISTQUEUES' })
    await kill(first)

    const second = await start(settings)
    const again = await clientOf(second)
    expect(await again.ok({ cmd: 'GETJOB', id: plain })).toMatchObject({
      job: { id: plain, data, priority: 3, tags: ['a'], attempts: 0 },
      state: 'waiting',
    })
    expect(await again.ask({ cmd: 'PUSH', queue: 'q', data: 1, unique_key: 'k' })).toMatchObject({
      code: 'duplicate_key',
    })
    expect(await again.stateOf(delayed)).toBe('delayed')
    expect(await again.stateOf(child)).toBe('waiting-children')
    expect(await again.stateOf(dead)).toBe('failed')
    expect(await again.ok({ cmd: 'GETRESULT', id: done })).toMatchObject({ result: { r: 1.5 } })
    expect((await again.ok({ cmd: 'CRONLIST' })).crons).toHaveLength(1)
    expect(names(await again.ok({ cmd: 'LISTQUEUES' }))).toEqual(names(before))
    // Whoever held a job across it can still end it.
    expect(await again.stateOf(held)).toBe('active')
    await again.ok({ cmd: 'ACK', id: held, token: job.token })
    expect(await again.pull('q')).toMatchObject({ id: plain, data })
    expect(await again.pull('q')).toMatchObject({ id: unique })
    await again.ok({ cmd: 'ACK', id: unique })
    expect(await again.pull('other')).toMatchObject({ id: child })
    const next = await again.push('q', 9)
    expect(next).toBeGreaterThan(Math.max(plain, unique, delayed))
  })

  it('gives back at once what was held for connections that are gone', async () => {
    const settings = await settingsOf()
    const first = await start(settings)
    const client = await clientOf(first)
    const id = await client.push('q', 1)
    await client.pull('q', { release_on_close: true })
    await kill(first)
    const second = await start(settings)
    expect(await (await clientOf(second)).pull('q')).toMatchObject({ id, attempts: 0 })
  })

  it('answers nothing before the database has it', async () => {
    const settings = { ...(await settingsOf()), WORKERS: '1' }
    const server = await start(settings)
    const client = await clientOf(server)
    const acked: number[] = []
    let isDead = false
    const pushing = (async () => {
      for (;;) {
        client.send(...Array.from({ length: 20 }, (_, i) => ({ cmd: 'PUSH', queue: 'q', data: i })))
        const answers = await client.answers(20).catch(() => null)
        if (answers === null) return
        acked.push(...answers.map(idOf))
        if (acked.length > 500 && !isDead) {
          isDead = true
          server.signal('SIGKILL')
        }
      }
    })()
    await server.exited
    client.destroy()
    await Promise.race([pushing, eventually('the load ends', 5000, () => isDead)])
    const again = await clientOf(await start(settings))
    const found = new Set<number>()
    for (;;) {
      const { jobs = [] } = await again.ok({ cmd: 'PULLB', queue: 'q', count: 1000, wait: 0 })
      if (jobs.length === 0) break
      for (const { id } of jobs) found.add(id)
    }
    expect(acked.filter((id) => !found.has(id))).toEqual([])
  })
})

describe('a worker that is killed', () => {
  it('loses nothing: its shards are served again by another worker', async () => {
    const server = await start(await settingsOf())
    const queue = queueOnWorker(1)
    const client = await clientOf(server)
    const ids: number[] = []
    for (let i = 0; i < 50; i++) ids.push(await client.push(queue, i))
    process.kill(server.workerPids()[1] as number, 'SIGKILL')
    await server.logged('a worker died')
    // Its own connection may have gone to the worker that died.
    const other = await clientOf(server)
    const got: WireJob[] = []
    for (let i = 0; i < 50; i++) got.push(await other.pull(queue))
    expect(got.map(({ id }) => id)).toEqual(ids)
    expect(got.every(({ attempts }) => attempts === 0)).toBe(true)
  })
})

describe('SIGHUP', () => {
  for (const workers of ['1', '2']) {
    it(`restarts all workers of ${workers}, and no client notices`, async () => {
      const server = await start({ ...(await settingsOf()), WORKERS: workers })
      const before = server.workerPids()
      const producer = await clientOf(server)
      const consumer = await clientOf(server)
      const waiter = await clientOf(server)
      waiter.send({ cmd: 'PULL', queue: 'later', reqId: 'w' })
      let isOver = false
      const pushed: number[] = []
      const producing = (async () => {
        while (!isOver) {
          for (const queue of ['a', 'b', 'c', 'd']) pushed.push(await producer.push(queue, 1))
        }
      })()
      const done: WireJob[] = []
      const consuming = (async () => {
        while (!isOver || done.length < pushed.length) {
          for (const queue of ['a', 'b', 'c', 'd']) {
            const job = await consumer.pullNow(queue, { lease: 60_000, token: true })
            if (job === null) continue
            await consumer.ok({ cmd: 'ACK', id: job.id, token: job.token })
            done.push(job)
          }
        }
      })()
      server.signal('SIGHUP')
      await eventually(
        'all workers were restarted',
        60_000,
        () => server.find('all workers were restarted') !== undefined,
      )
      isOver = true
      await Promise.all([producing, consuming])
      expect(done.map(({ id }) => id).sort(ascending)).toEqual([...pushed].sort(ascending))
      expect(done.every(({ attempts }) => attempts === 0)).toBe(true)
      expect(server.workerPids().slice(0, before.length)).not.toContain(before[0])
      const late = await producer.push('later', 2)
      expect(await waiter.answer()).toMatchObject({ ok: true, reqId: 'w', job: { id: late } })
    })
  }
})

function ascending(a: number, b: number): number {
  return a - b
}

function names({ queues = [] }: Answer): unknown[] {
  return queues.map(({ name, paused, concurrency_limit }) => [name, paused, concurrency_limit])
}
