// PROMOTE, LISTJOBS, DRAIN, DELETEQUEUE, LOG and GETJOB with `full`, asked of the built server: of any worker, about any shard,
// and across the ends of processes.

import { describe, expect, it } from 'vitest'
import {
  clientOf,
  databaseSettings,
  kill,
  type Settings,
  startDurable,
} from '../support/durable-server.ts'
import { eventually } from '../support/eventually.ts'
import { queueOnWorker } from '../support/queue-names.ts'
import { startServer } from '../support/server-process.ts'
import { type Answer, WireClient } from '../support/wire-client.ts'

type Listed = Answer & { readonly cursor?: string | null; readonly logs?: { line: string }[] }

const ask = (client: WireClient, frame: object): Promise<Listed> => client.ok({ ...frame })

async function pushMany(client: WireClient, queue: string, count: number, options: object = {}) {
  const jobs = Array.from({ length: 1000 }, (_, n) => ({ data: { n }, ...options }))
  for (let left = count; left > 0; left -= 1000) {
    await client.ok({ cmd: 'PUSHB', queue, jobs: jobs.slice(0, Math.min(1000, left)) })
  }
}

/** Ids of a whole list, page by page. */
async function idsOf(
  client: WireClient,
  filter: object,
  from: string | null = null,
): Promise<number[]> {
  const ids: number[] = []
  let cursor = from
  do {
    const page: Listed = await ask(client, { cmd: 'LISTJOBS', ...filter, cursor })
    ids.push(...(page.jobs ?? []).map((job) => job.id))
    cursor = page.cursor ?? null
  } while (cursor)
  return ids
}

async function twoWorkers(settings: Settings = {}): Promise<[WireClient, WireClient]> {
  const server = await startServer({ WORKERS: '2', ...settings })
  const [a, b] = await server.clientPerWorker()
  if (a === undefined || b === undefined) throw new Error('two workers')
  return [new WireClient(a), new WireClient(b)]
}

describe('two workers', () => {
  it('run each command wherever its job or queue lives', async () => {
    const clients = await twoWorkers()
    for (const client of clients) {
      for (const worker of [0, 1]) {
        const queue = queueOnWorker(worker)
        const id = await client.push(queue, 1, { delay: 600_000, tags: ['t'] })
        await client.ok({ cmd: 'PROMOTE', id })
        expect((await client.pull(queue)).id).toBe(id)
        await client.ok({ cmd: 'LOG', id, line: 'é "x"' })
        await client.ok({ cmd: 'ACK', id, result: { r: 1 } })
        expect((await ask(client, { cmd: 'GETLOGS', id })).logs).toMatchObject([{ line: 'é "x"' }])
        const full = await client.ok({ cmd: 'GETJOB', id, full: true })
        expect(full).toMatchObject({ state: 'completed', result: { r: 1 }, error: null })
        expect(await client.ask({ cmd: 'PROMOTE', id })).toMatchObject({ code: 'job_not_delayed' })
        const other = await client.push(queue, 2)
        expect(await client.ok({ cmd: 'DRAIN', queue })).toEqual({ ok: true, ids: [1] })
        expect(await client.stateOf(other)).toBe('unknown')
        await client.push(queue, 3)
        await client.pull(queue)
        expect(await client.ask({ cmd: 'DELETEQUEUE', queue })).toMatchObject({
          code: 'queue_busy',
        })
        expect(await client.ok({ cmd: 'DELETEQUEUE', queue, force: true })).toMatchObject({
          ids: [1],
        })
        expect((await client.ok({ cmd: 'LISTQUEUES' })).queues).toEqual([])
      }
    }
  })

  it('list the jobs of both in one order, whichever is asked', async () => {
    const [a, b] = await twoWorkers()
    const pushed: number[] = []
    for (let n = 0; n < 25; n++) pushed.unshift(await a.push(queueOnWorker(n % 2), { n }))
    for (const client of [a, b]) {
      const listed = await idsOf(client, { limit: 4 })
      expect([...listed].sort()).toEqual([...pushed].sort())
      const { jobs = [] } = await ask(client, { cmd: 'LISTJOBS', limit: 1000 })
      const keys = jobs.map(({ created_at, id }) => [created_at, id] as const)
      expect(keys).toEqual([...keys].sort((x, y) => y[0] - x[0] || y[1] - x[1]))
    }
    const found = await ask(b, { cmd: 'LISTJOBS', text: '"n":7}' })
    expect(found.jobs?.map(({ data }) => data)).toEqual([{ n: 7 }])
  })

  it('go on for everybody while a large queue is drained', async () => {
    const [a, b] = await twoWorkers()
    const queue = queueOnWorker(1)
    await pushMany(a, queue, 100_000)
    a.send({ cmd: 'DRAIN', queue })
    const drained = a.answer()
    let answers = 0
    let isOver = false
    void drained.then(() => {
      isOver = true
    })
    const other = queueOnWorker(1, 'queue', 1)
    while (!isOver) {
      await b.push(other, answers)
      answers++
    }
    expect(await drained).toEqual({ ok: true, ids: [100_000] })
    expect(answers).toBeGreaterThan(10)
    expect(await b.ok({ cmd: 'DRAIN', queue: other })).toEqual({ ok: true, ids: [answers] })
  })
})

describe('a server with a database', () => {
  it('that was killed has logs, ends and what was drained', async () => {
    const settings = { ...(await databaseSettings()), WORKERS: '2', CHECKPOINT_MB: '1' }
    const first = await startDurable(settings)
    const client = await clientOf(first)
    const id = await client.push('q', 'x'.repeat(500), { max_attempts: 1 })
    await client.ok({ cmd: 'LOG', id, line: 'before \u0000 "half \ud800' })
    await client.pull('q')
    await client.ok({ cmd: 'FAIL', id, error: 'bad' })
    const soon = await client.push('q', 1, { delay: 3_600_000 })
    await client.ok({ cmd: 'PROMOTE', id: soon })
    await pushMany(client, 'drained', 20_000)
    await client.ok({ cmd: 'DRAIN', queue: 'drained' })
    await client.ok({ cmd: 'PAUSE', queue: 'deleted' })
    await pushMany(client, 'deleted', 3000, { delay: 1000 })
    await client.ok({ cmd: 'DELETEQUEUE', queue: 'deleted' })
    const logs = await client.ok({ cmd: 'GETLOGS', id })
    const full = await client.ok({ cmd: 'GETJOB', id, full: true })
    const { cursor } = await ask(client, { cmd: 'LISTJOBS', limit: 1 })
    await kill(first)

    const again = await clientOf(await startDurable(settings))
    expect(await again.ok({ cmd: 'GETLOGS', id })).toEqual(logs)
    expect(await again.ok({ cmd: 'GETJOB', id, full: true })).toEqual(full)
    expect((await again.ok({ cmd: 'LISTQUEUES' })).queues).toMatchObject([
      { name: 'drained', pending: 0 },
      { name: 'q', pending: 1, dlq: 1 },
    ])
    expect(await idsOf(again, {}, cursor ?? null)).toEqual([id])
    expect((await again.pull('q')).id).toBe(soon)
  })

  it('that lost the owner of a queue while this was drained says so, and has the rest', async () => {
    const settings = { ...(await databaseSettings()), WORKERS: '2' }
    const server = await startServer(settings)
    const queue = queueOnWorker(1)
    const watcher = await clientOf(server)
    await pushMany(watcher, queue, 200_000)
    const { queues } = await watcher.ok({ cmd: 'LISTQUEUES' })
    const owner = Number(queues?.[0]?.['worker'])
    const clients = (await server.clientPerWorker()).map((lines) => new WireClient(lines))
    const metrics = await Promise.all(clients.map((client) => client.ok({ cmd: 'METRICS' })))
    const asker = clients[metrics.findIndex(({ metrics: m }) => m?.['worker'] !== owner)]
    if (asker === undefined) throw new Error('nobody asks')
    asker.send({ cmd: 'DRAIN', queue })
    const drained = asker.answer()
    await eventually('some jobs are out', 20_000, async () => {
      const now = await watcher.ok({ cmd: 'LISTQUEUES' })
      return Number(now.queues?.[0]?.['pending']) < 200_000
    })
    process.kill(server.workerPids()[owner] as number, 'SIGKILL')
    const answer = await drained
    const left = await asker.ok({ cmd: 'DRAIN', queue })
    if (answer.ok) expect([answer.ids, left.ids]).toEqual([[200_000], [0]])
    else {
      expect(answer.code).toBe('outcome_unknown')
      expect(left.ids?.[0]).toBeGreaterThan(0)
      expect(left.ids?.[0]).toBeLessThanOrEqual(200_000)
    }
  })

  it('whose workers are replaced finishes what is being drained', async () => {
    const server = await startDurable({ ...(await databaseSettings()), WORKERS: '2' })
    const client = await clientOf(server)
    await pushMany(client, 'q', 200_000)
    client.send({ cmd: 'DRAIN', queue: 'q' })
    server.signal('SIGHUP')
    expect(await client.answer()).toEqual({ ok: true, ids: [200_000] })
    await eventually('all workers were restarted', 60_000, () => {
      return server.find('all workers were restarted') !== undefined
    })
    expect((await client.ok({ cmd: 'STATS' })).queued).toBe(0)
  })
})
