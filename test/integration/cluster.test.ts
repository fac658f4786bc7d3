// The workers of one node: whatever a client asks of any of them is answered as if there were only one,
// and what happens when one of them, or their primary, dies.
//
// New connections are handed to the workers in turn, so of two connections each reaches another worker, and
// for every shard one of them is at the wrong one.

import { describe, expect, it } from 'vitest'
import { shardOfQueue } from '../../src/cluster/shard-of-queue.ts'
import { eventually } from '../support/eventually.ts'
import type { LineClient } from '../support/line-client.ts'
import { isAlive, type ServerProcess, startServer } from '../support/server-process.ts'

type Answer = Record<string, unknown>

/** As the primary assigns them at first: shard i to worker i mod 2. */
const onWorker = (worker: number, n = 0): string => {
  let name = ''
  for (let i = 0, found = -1; found < n; i++) {
    name = `queue-${i}`
    if (shardOfQueue(name) % 2 === worker) found++
  }
  return name
}

async function ask(client: LineClient | undefined, command: object): Promise<Answer> {
  if (client === undefined) throw new Error('no client')
  client.send(command)
  return client.object()
}

async function push(client: LineClient | undefined, queue: string, data: unknown = 1) {
  const answer = await ask(client, { cmd: 'PUSH', queue, data })
  expect(answer).toMatchObject({ ok: true })
  return answer['id'] as number
}

async function pull(client: LineClient | undefined, queue: string): Promise<number> {
  const answer = await ask(client, { cmd: 'PULL', queue, wait: 0 })
  return (answer['job'] as { id: number }).id
}

describe('two workers', () => {
  it('answer every command, whichever of them is asked', async () => {
    const server = await startServer()
    const [a, b] = await server.clientPerWorker()
    for (const [asked, other] of [
      [a, b],
      [b, a],
    ]) {
      for (const worker of [0, 1]) {
        await oneLife(asked, other, onWorker(worker))
        await oneQueue(asked, other, onWorker(worker, 1))
      }
    }
  })

  it('give one sum of all shards', async () => {
    const server = await startServer()
    const [a, b] = await server.clientPerWorker()
    const queues = [onWorker(1), onWorker(0), onWorker(1, 1)]
    for (const queue of queues) {
      await push(a, queue)
      await ask(b, { cmd: 'PUSH', queue, data: 1, delay: 60_000 })
    }
    await pull(a, onWorker(1))
    for (const client of [a, b]) {
      const stats = await ask(client, { cmd: 'STATS' })
      expect(stats).toEqual({ ok: true, queued: 2, processing: 1, delayed: 3, dlq: 0 })
      const { metrics } = (await ask(client, { cmd: 'METRICS' })) as { metrics: Answer }
      expect(metrics).toMatchObject({ total_pushed: 6 })
      const listed = (await ask(client, { cmd: 'LISTQUEUES' })) as { queues: { name: string }[] }
      expect(listed.queues.map(({ name }) => name)).toEqual([...queues].sort())
    }
  })

  it('share out the ids of a batch, and number its refusals as they were asked', async () => {
    const server = await startServer()
    const [a, b] = await server.clientPerWorker()
    for (const client of [a, b]) {
      const ids: number[] = []
      for (const worker of [0, 1, 0, 1]) {
        await push(client, onWorker(worker))
        ids.push(await pull(client, onWorker(worker)))
      }
      const [first = 0, second = 0, third = 0, fourth = 0] = ids
      const batch = [first, 33, second, third, 32, fourth]
      const beaten = await ask(client, { cmd: 'HEARTBEAT', ids: batch, reqId: 'h' })
      expect(beaten).toMatchObject({ ok: true, reqId: 'h', ids: [4] })
      expect(beaten['errors']).toMatchObject([{ index: 1 }, { index: 4 }])
      const results = batch.map((id) => ({ was: id }))
      const acked = await ask(client, { cmd: 'ACKB', ids: batch, results })
      expect(acked).toMatchObject({ ok: true, ids: [4] })
      expect(acked['errors']).toMatchObject([
        { index: 1, code: 'job_not_found' },
        { index: 4, code: 'job_not_found' },
      ])
      const result = await ask(client, { cmd: 'GETRESULT', id: fourth })
      expect(result['result']).toEqual({ was: fourth })
    }
  })

  it('let a pull wait on another worker, and forget it with its connection', async () => {
    const server = await startServer()
    const [a, b] = await server.clientPerWorker()
    const queue = onWorker(0)
    for (const [waits, pushes] of [
      [a, b],
      [b, a],
    ]) {
      waits?.send({ cmd: 'PULL', queue, reqId: 1 })
      const gone = await server.clientPerWorker()
      for (const client of gone) client.send({ cmd: 'PULL', queue, reqId: 2 })
      for (const client of gone) expect(await ask(client, { cmd: 'STATS', reqId: 3 })).toBeTruthy()
      for (const client of gone) client.destroy()
      // While it waits, others of the same connection are answered.
      expect(await ask(waits, { cmd: 'GETSTATE', id: 32, reqId: 4 })).toMatchObject({ reqId: 4 })
      const first = await push(pushes, queue, 'first')
      expect(await waits?.object()).toMatchObject({ reqId: 1, job: { id: first } })
      const second = await push(pushes, queue, 'second')
      await eventually('the job is not handed to the dead', 5000, async () => {
        const got = await ask(waits, { cmd: 'PULL', queue, wait: 0 })
        return (got['job'] as { id: number } | null)?.id === second
      })
    }
  })

  it('take back the jobs of a closed connection, if it asked for that', async () => {
    const server = await startServer()
    for (const consumer of await server.clientPerWorker()) {
      const [a] = await server.clientPerWorker()
      const id = await push(a, onWorker(1))
      const pulled = { cmd: 'PULL', queue: onWorker(1), release_on_close: true }
      expect(await ask(consumer, pulled)).toMatchObject({ job: { id } })
      a?.send({ cmd: 'PULL', queue: onWorker(1) })
      consumer.destroy()
      expect(await a?.object()).toMatchObject({ job: { id, attempts: 0 } })
      await ask(a, { cmd: 'ACK', id })
    }
  })

  it('carry what shards tell each other: parents, crons, events', async () => {
    const server = await startServer()
    const [a, b] = await server.clientPerWorker()
    const subscriber = await server.client()
    await ask(subscriber, { cmd: 'SUBSCRIBE', queue: onWorker(0), events: ['completed'] })
    const other = await server.client()
    await ask(other, { cmd: 'SUBSCRIBE', queue: onWorker(0), events: ['completed'] })
    const parent = await push(a, onWorker(0))
    const child = { cmd: 'PUSH', queue: onWorker(1), data: 'child', depends_on: [parent] }
    const { id } = await ask(b, child)
    expect(await ask(a, { cmd: 'GETSTATE', id })).toMatchObject({ state: 'waiting-children' })
    b?.send({ cmd: 'PULL', queue: onWorker(1) })
    await pull(a, onWorker(0))
    await ask(a, { cmd: 'ACK', id: parent })
    expect(await b?.object()).toMatchObject({ job: { id } })
    for (const client of [subscriber, other]) {
      expect(await client.object()).toMatchObject({ event: 'completed', job: { id: parent } })
    }
    for (const name of ['cron-a', 'cron-b', 'cron-c', 'cron-d']) {
      const queue = onWorker(1 - (shardOfQueue(name) % 2), 3)
      const cron = { cmd: 'CRON', name, queue, schedule: '*/1', data: { from: name } }
      expect(await ask(a, cron)).toMatchObject({ ok: true })
    }
    const { crons } = (await ask(b, { cmd: 'CRONLIST' })) as { crons: { name: string }[] }
    expect(crons.map(({ name }) => name)).toEqual(['cron-a', 'cron-b', 'cron-c', 'cron-d'])
    const names = new Set<string>()
    while (names.size < 4) {
      for (const worker of [0, 1]) {
        const answer = await ask(a, { cmd: 'PULL', queue: onWorker(worker, 3), wait: 50 })
        const job = answer['job'] as { data: { from: string } } | null
        if (job !== null) names.add(job.data.from)
      }
    }
  })
})

/** A job's whole life, its commands given to the two workers in turn. */
async function oneLife(a: LineClient | undefined, b: LineClient | undefined, queue: string) {
  const id = await push(a, queue, { text: 'x'.repeat(200_000) })
  expect(await ask(b, { cmd: 'GETSTATE', id })).toMatchObject({ state: 'waiting' })
  expect(await ask(a, { cmd: 'PULL', queue, token: true })).toMatchObject({ job: { id } })
  expect(await ask(b, { cmd: 'PROGRESS', id, progress: 7 })).toEqual({ ok: true })
  expect(await ask(a, { cmd: 'GETPROGRESS', id })).toMatchObject({ progress: { progress: 7 } })
  expect(await ask(b, { cmd: 'HEARTBEAT', id, lease: 60_000 })).toEqual({ ok: true, ids: [1] })
  expect(await ask(a, { cmd: 'RELEASE', id })).toEqual({ ok: true, ids: [1] })
  expect(await ask(b, { cmd: 'PULLB', queue, count: 5 })).toMatchObject({ jobs: [{ id }] })
  expect(await ask(a, { cmd: 'FAIL', id, error: 'no' })).toEqual({ ok: true })
  await eventually('it is tried again', 5000, async () => {
    const { job } = await ask(b, { cmd: 'PULL', queue, wait: 10 })
    return job !== null
  })
  expect(await ask(a, { cmd: 'ACK', id, result: [1, 2] })).toEqual({ ok: true })
  expect(await ask(b, { cmd: 'GETRESULT', id })).toMatchObject({ result: [1, 2] })
  expect(await ask(a, { cmd: 'GETJOB', id })).toMatchObject({ state: 'completed' })
}

/** The commands for a queue, and for jobs that fail. */
async function oneQueue(a: LineClient | undefined, b: LineClient | undefined, queue: string) {
  const limit = { cmd: 'SETCONCURRENCY', queue, limit: 3 }
  for (const command of [limit, { cmd: 'RATELIMIT', queue, limit: 9 }, { cmd: 'PAUSE', queue }]) {
    expect(await ask(a, command)).toEqual({ ok: true })
  }
  const { queues } = (await ask(b, { cmd: 'LISTQUEUES' })) as { queues: Answer[] }
  expect(queues.find(({ name }) => name === queue)).toMatchObject({
    paused: true,
    rate_limit: 9,
    concurrency_limit: 3,
  })
  for (const cmd of ['RESUME', 'RATELIMITCLEAR', 'CLEARCONCURRENCY']) {
    expect(await ask(b, { cmd, queue })).toEqual({ ok: true })
  }
  const jobs = [{ data: 1, max_attempts: 1 }, { data: 2, max_attempts: 1 }, { data: 3 }]
  const { ids } = (await ask(a, { cmd: 'PUSHB', queue, jobs })) as { ids: number[] }
  expect(ids).toHaveLength(3)
  expect(await ask(b, { cmd: 'CANCEL', id: ids[2] })).toEqual({ ok: true })
  expect(await ask(a, { cmd: 'PULLB', queue, count: 9 })).toMatchObject({ jobs: [{}, {}] })
  for (const id of ids.slice(0, 2)) await ask(b, { cmd: 'FAIL', id })
  const { jobs: dead } = (await ask(a, { cmd: 'DLQ', queue })) as { jobs: { id: number }[] }
  expect(dead.map(({ id }) => id)).toEqual(ids.slice(0, 2))
  expect(await ask(b, { cmd: 'RETRYDLQ', queue, id: ids[0] })).toEqual({ ok: true, ids: [1] })
  expect(await ask(a, { cmd: 'PURGEDLQ', queue })).toEqual({ ok: true, ids: [1] })
  expect(await pull(b, queue)).toBe(ids[0])
  expect(await ask(a, { cmd: 'ACK', id: ids[0] })).toEqual({ ok: true })
}

describe('when a worker is killed', () => {
  it('its shards serve again, without the jobs it had, and the log says how many', async () => {
    const server = await startServer({ LOG_LEVEL: 'debug' })
    const clients = await server.clientPerWorker()
    for (let i = 0; i < 5; i++) await push(clients[0], onWorker(1))
    const kept = await push(clients[0], onWorker(0))
    await eventually('its load is reported', 5000, () =>
      server.log.some(({ msg, worker, jobs }) => msg === 'load' && worker === 1 && jobs === 5),
    )
    kill(server, 1)
    const death = await server.logged('a worker died')
    expect(death).toMatchObject({ worker: 1, signal: 'SIGKILL', jobs: 5 })
    expect(death.msg).toBe('a worker died: about 5 jobs were in its memory and are lost')
    const client = await server.client()
    const id = await push(client, onWorker(1))
    expect(await pull(client, onWorker(1))).toBe(id)
    expect(await pull(client, onWorker(0))).toBe(kept)
    expect(await ask(client, { cmd: 'STATS' })).toMatchObject({ queued: 0, processing: 2 })
  })

  it('ids are not used again', async () => {
    const server = await startServer()
    const queue = onWorker(1)
    let last = 0
    for (let round = 0; round < 3; round++) {
      const id = await push(await server.client(), queue)
      expect(id).toBeGreaterThan(last)
      last = id
      const { length } = server.log
      kill(server, round % 2)
      await eventually('it is back', 10_000, () =>
        server.log.slice(length).some(({ msg }) => msg === 'worker started'),
      )
      await bothServe(server)
    }
  })

  it('a pull that waits there on behalf of another worker goes on waiting at the new owner', async () => {
    const server = await startServer()
    const clients = await server.clientPerWorker()
    for (const client of clients) {
      client.send({ cmd: 'SUBSCRIBE', queue: onWorker(1), events: ['pushed'] })
      await client.line()
      client.send({ cmd: 'PULL', queue: onWorker(1), reqId: 'p' })
      client.send({ cmd: 'STATS', reqId: 's' })
      await client.line()
    }
    kill(server, 1)
    await server.logged('a worker died')
    const dead = await firstOver(clients)
    const alive = clients.find((client) => client !== dead)
    const id = await push(await server.client(), onWorker(1))
    const lines = [await alive?.object(), await alive?.object()]
    expect(lines).toContainEqual(expect.objectContaining({ reqId: 'p', job: expect.anything() }))
    expect(lines).toContainEqual(expect.objectContaining({ event: 'pushed' }))
    for (const line of lines) expect(line).toMatchObject({ job: { id } })
  })

  it('what it was asked by others is answered: done, not done, or unknown', async () => {
    const server = await startServer()
    const clients = await server.clientPerWorker()
    const queue = onWorker(1)
    const sent = 2000
    // Who uses both workers stays where they are, and does not move to the one that is to die.
    for (const client of clients) await push(client, onWorker(0))
    for (const client of clients) {
      for (let i = 0; i < sent; i++) client.send({ cmd: 'PUSH', queue, data: i, reqId: i })
    }
    await clients[0]?.line()
    kill(server, 1)
    const dead = await firstOver(clients)
    const survivor = clients.find((client) => client !== dead)
    // One line of the first client is read already.
    const lines = await survivor?.linesOf(survivor === clients[0] ? sent - 1 : sent)
    const answers = (lines ?? []).map((line) => JSON.parse(line) as Answer)
    for (const answer of answers) {
      expect(answer['reqId']).toBeTypeOf('number')
      if (answer['ok'] === false) expect(answer['code']).toBe('outcome_unknown')
    }
    expect(new Set(answers.map(({ reqId }) => reqId)).size).toBe(answers.length)
  })

  it('again and again, its restart waits longer, and the others serve', async () => {
    const server = await startServer()
    for (let deaths = 1; deaths <= 3; deaths++) {
      const pid = server.workerPids()[1] ?? 0
      kill(server, 1)
      await eventually('it is started again', 10_000, () => server.workerPids()[1] !== pid)
    }
    expect(server.find('the worker crash-loops')).toMatchObject({ worker: 1, delayMs: 500 })
    expect(await push(await server.client(), onWorker(1))).toBeGreaterThan(0)
  })

  it('and it was the only one, the next one listens on the same port', async () => {
    const server = await startServer({ WORKERS: '1' })
    const client = await server.client()
    const before = await push(client, 'q')
    const [pid] = server.workerPids()
    kill(server, 0)
    await firstOver([client])
    await eventually('it is started again', 10_000, () => server.workerPids()[0] !== pid)
    await eventually('it listens again', 10_000, () => canConnect(server))
    expect(await push(await server.client(), 'q')).toBeGreaterThan(before)
  })
})

describe('when the primary is killed', () => {
  it('no worker outlives it', async () => {
    const server = await startServer({ WORKERS: '3' })
    const client = await server.client()
    client.send({ cmd: 'PULL', queue: 'q' })
    const workers = server.workerPids()
    expect(workers.filter(isAlive)).toHaveLength(3)
    server.signal('SIGKILL')
    expect(await server.exited).toEqual({ code: null, signal: 'SIGKILL' })
    await eventually('the workers are gone', 2000, () => !workers.some(isAlive))
    expect(server.find('the primary is gone')).toBeDefined()
  })
})

describe('SIGTERM', () => {
  it('under load: answers what is in flight, ends waiting pulls, exits 0', async () => {
    const server = await startServer()
    const clients = await server.clientPerWorker()
    const stopped = clients.map((client) => pushUntilEnd(client, [onWorker(0), onWorker(1)]))
    const waiting = await server.clientPerWorker()
    for (const client of waiting) client.send({ cmd: 'PULL', queue: onWorker(1, 5) })
    await eventually('the load runs', 5000, async () => {
      const [watcher] = await server.clientPerWorker()
      const { queued } = await ask(watcher, { cmd: 'STATS' })
      watcher?.destroy()
      return (queued as number) > 1000
    })
    server.signal('SIGTERM')
    expect(await server.exited).toEqual({ code: 0, signal: null })
    for (const client of waiting) {
      expect(await client.object()).toMatchObject({ ok: false, code: 'draining' })
    }
    for (const answers of await Promise.all(stopped)) {
      expect(answers.length).toBeGreaterThan(0)
      for (const answer of answers) {
        if (answer['ok'] !== true) expect(answer['code']).toBe('draining')
      }
    }
  })

  it('and then SIGINT: exits 1 at once', async () => {
    const server = await startServer()
    const client = await server.client()
    // It keeps its side open, and so the drain from ending.
    client.send({ cmd: 'STATS' })
    await client.line()
    server.signal('SIGTERM')
    await server.logged('draining')
    server.signal('SIGINT')
    expect(await server.exited).toEqual({ code: 1, signal: null })
    await eventually('the workers are gone', 2000, () => !server.workerPids().some(isAlive))
  })

  it('with a client that keeps the drain from ending: exits 1 in time', async () => {
    const server = await startServer({ DRAIN_TIMEOUT_MS: '200' })
    const client = await server.client()
    client.send({ cmd: 'STATS' })
    await client.line()
    server.signal('SIGTERM')
    expect(await server.exited).toEqual({ code: 1, signal: null })
    expect(server.find('draining took too long')).toBeDefined()
  })
})

describe('a port that is taken', () => {
  it('ends the start with exit code 1 and says so', async () => {
    const server = await startServer()
    const { ServerProcess } = await import('../support/server-process.ts')
    const second = new ServerProcess({ PORT: String(server.port) })
    expect(await second.exited).toEqual({ code: 1, signal: null })
    expect(second.find('cannot listen on')?.msg).toContain('in use (EADDRINUSE)')
  })
})

function kill(server: ServerProcess, worker: number): void {
  const pid = server.workerPids()[worker]
  if (pid === undefined) throw new Error(`no worker ${worker}`)
  process.kill(pid, 'SIGKILL')
}

/** The first of them whose connection is over. */
function firstOver(clients: readonly LineClient[]): Promise<LineClient> {
  return Promise.race(
    clients.flatMap((client) =>
      [client.ended, client.closed].map((over) => over.then(() => client)),
    ),
  )
}

async function bothServe(server: ServerProcess): Promise<void> {
  await eventually('all shards serve', 10_000, async () => {
    if (!(await canConnect(server))) return false
    const client = await server.client()
    const answers = [
      await ask(client, { cmd: 'LISTQUEUES' }),
      await ask(client, { cmd: 'PULL', queue: onWorker(0, 9), wait: 0 }),
      await ask(client, { cmd: 'PULL', queue: onWorker(1, 9), wait: 0 }),
    ]
    client.destroy()
    return answers.every(({ ok }) => ok === true)
  })
}

async function canConnect(server: ServerProcess): Promise<boolean> {
  try {
    const client = await server.client()
    client.destroy()
    return true
  } catch {
    return false
  }
}

/** Keeps 50 pushes in flight until the server ends the connection; resolves to all its answers. */
async function pushUntilEnd(client: LineClient, queues: string[]): Promise<Answer[]> {
  const answers: Answer[] = []
  let sent = 0
  const send = (): void => {
    client.send({ cmd: 'PUSH', queue: queues[sent++ % queues.length], data: sent })
  }
  for (let i = 0; i < 50; i++) send()
  try {
    for (;;) {
      answers.push(await client.object())
      send()
    }
  } catch {
    return answers
  }
}
