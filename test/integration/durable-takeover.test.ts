// Shards that change hands while somebody uses them: a worker dies or is restarted, another node takes over.

import { describe, expect, it } from 'vitest'
import {
  clientOf,
  databaseSettings,
  drainQueue,
  kill,
  Load,
  launch,
  startDurable,
} from '../support/durable-server.ts'
import { eventually } from '../support/eventually.ts'
import { queryOnce } from '../support/own-postgres.ts'
import { queueInShard, queueOnWorker } from '../support/queue-names.ts'
import type { ServerProcess } from '../support/server-process.ts'
import type { WireClient } from '../support/wire-client.ts'

const [A, B] = [queueOnWorker(0), queueOnWorker(1)]

describe('a second node', () => {
  const ends = {
    'is stopped': async (server: ServerProcess) => {
      expect((await server.stop()).code).toBe(0)
    },
    'is killed': kill,
  }
  for (const [what, end] of Object.entries(ends)) {
    it(`stands by without a port, and takes over when the first one ${what}`, async () => {
      const settings = { ...(await databaseSettings()), WORKERS: '1' }
      const first = await startDurable(settings)
      const client = await clientOf(first)
      const id = await client.push(A, 1)
      const second = launch(settings)
      await eventually('both are known', 10_000, async () => {
        const text = `select count(*)::int as n from ${settings.DATABASE_SCHEMA}.node`
        const [row] = await queryOnce<{ n: number }>(settings.DATABASE_URL, text)
        return row?.n === 2
      })
      await second.logged('worker started')
      const next = await client.push(A, 2)
      expect(second.find('ready')).toBeUndefined()
      await end(first)
      await second.ready()
      const jobs = await drainQueue(await clientOf(second), A)
      expect(jobs.map((job) => job.id)).toEqual([id, next])
    })
  }
})

describe('a worker that is killed', () => {
  it('leaves its shards to another one, which answers soon', async () => {
    const server = await startDurable(await databaseSettings())
    const client = await clientOf(server)
    for (let i = 0; i < 100; i++) {
      await client.ok({
        cmd: 'PUSHB',
        queue: B,
        jobs: Array.from({ length: 1000 }, (_, n) => ({ data: n })),
      })
    }
    const clients = await Promise.all([1, 2, 3, 4].map(() => clientOf(server)))
    process.kill(server.workerPids()[1] as number, 'SIGKILL')
    const answers = clients.map(async (each) => {
      const answer = await each.ask({ cmd: 'PULL', queue: B }).catch(() => null)
      return answer?.ok === true
    })
    await Promise.any(answers.map(async (answer) => ((await answer) ? true : Promise.reject())))
  })

  it('is not missing from a sum over all shards: who asks waits', async () => {
    const server = await startDurable(await databaseSettings())
    const setup = await clientOf(server)
    const queues = Array.from({ length: 32 }, (_, shard) => queueInShard(shard))
    for (const queue of queues) await setup.push(queue, 1)
    for (let round = 0; round < 3; round++) {
      await eventually('both workers serve', 20_000, async () => {
        const { queues = [] } = await (await clientOf(server)).ok({ cmd: 'LISTQUEUES' })
        return new Set(queues.map(({ worker }) => worker)).size === 2
      })
      const clients = await Promise.all([1, 2, 3, 4].map(() => clientOf(server)))
      let isOver = false
      const asking = clients.map((client) => askSums(client, () => isOver))
      process.kill(server.workerPids()[round % 2] as number, 'SIGKILL')
      await eventually('a worker was started', 10_000, () => started(server) === 3 + round)
      await (await clientOf(server)).ok({ cmd: 'STATS' })
      isOver = true
      const sums = (await Promise.all(asking)).flat()
      expect(sums.length).toBeGreaterThan(0)
      expect(new Set(sums)).toEqual(new Set(['32']))
    }
  })
})

describe('crons', () => {
  it('fire once for each tick, whatever dies and is restarted', async () => {
    const server = await startDurable(await databaseSettings())
    const client = await clientOf(server)
    // One a second, each of them every 10 s: a tick that is late is not taken for the next.
    const names = Array.from({ length: 10 }, (_, i) => `cron-${i}`)
    for (const [i, name] of names.entries()) {
      const schedule = `${i}-59/10 * * * * *`
      await client.ok({ cmd: 'CRON', name, queue: 'ticks', data: i, schedule })
    }
    const fromMs = Date.now()
    for (let round = 0; round < 4; round++) {
      process.kill(server.workerPids()[round % 2] as number, 'SIGKILL')
      await eventually('a worker was started', 10_000, () => started(server) === 3 + round)
      await ticksUntil(Date.now() + 1500)
    }
    server.signal('SIGHUP')
    await eventually('all were restarted', 60_000, () => isRestarted(server))
    await ticksUntil(fromMs + 10_000)
    const toMs = Date.now()
    const expected: string[] = []
    for (let ms = Math.ceil(fromMs / 1000) * 1000; ms <= toMs; ms += 1000) {
      expected.push(`${(ms / 1000) % 10} at ${ms}`)
    }
    const found: string[] = []
    const last = await clientOf(server)
    await eventually('the last tick is there', 10_000, async () => {
      for (const { data, created_at } of await drainQueue(last, 'ticks')) {
        const phaseMs = Number(data) * 1000
        const tickMs = Math.floor((created_at - phaseMs) / 10_000) * 10_000 + phaseMs
        if (tickMs >= fromMs && tickMs <= toMs) found.push(`${data} at ${tickMs}`)
      }
      return found.includes(expected.at(-1) as string)
    })
    expect(found.sort()).toEqual(expected.sort())
    expect(expected.length).toBeGreaterThan(8)
  })
})

describe('SIGHUP', () => {
  it('in memory mode is refused, and changes nothing', async () => {
    const server = await startDurable({})
    const client = await clientOf(server)
    const id = await client.push(A, 1)
    const before = server.workerPids()
    server.signal('SIGHUP')
    await server.logged('workers are not restarted: their jobs are in memory alone')
    expect(await client.pull(A)).toMatchObject({ id })
    expect(server.workerPids()).toEqual(before)
  })

  it('twice in a row is one restart, and a third later is another one', async () => {
    const server = await startDurable({ ...(await databaseSettings()), WORKERS: '1' })
    server.signal('SIGHUP')
    await server.logged('restarting all workers')
    server.signal('SIGHUP')
    await server.logged('workers are not restarted: the server is busy')
    await eventually('all were restarted', 60_000, () => isRestarted(server))
    expect(started(server)).toBe(3)
    server.signal('SIGHUP')
    await eventually('again', 60_000, () => isRestarted(server, 2))
    expect(started(server)).toBe(5)
    expect(await (await clientOf(server)).push(A, 1)).toBeGreaterThan(0)
  })

  for (const step of ['restarting all workers', 'handing over', 'worker started']) {
    it(`and SIGTERM in the middle of it (${step}) ends cleanly, with everything stored`, async () => {
      const settings = await databaseSettings()
      const server = await startDurable(settings)
      const load = new Load(await Promise.all([1, 2, 3].map(() => clientOf(server))), [A, B])
      await eventually('the load runs', 5000, () => load.acked.length > 100)
      const lines = server.log.length
      server.signal('SIGHUP')
      await eventually(step, 10_000, () =>
        server.log.slice(lines).some(({ msg }) => msg.startsWith(step)),
      )
      expect(await server.stop()).toEqual({ code: 0, signal: null })
      await load.stop()
      const again = await clientOf(await startDurable(settings))
      const jobs = [...(await drainQueue(again, A)), ...(await drainQueue(again, B))]
      const ids = new Set(jobs.map(({ id }) => id))
      expect(load.acked.filter((id) => !ids.has(id))).toEqual([])
    })
  }

  it('and workers that are killed in the middle of it: it completes, and nothing is lost', async () => {
    const server = await startDurable(await databaseSettings())
    const load = new Load(await Promise.all([1, 2, 3, 4].map(() => clientOf(server))), [A, B])
    await eventually('the load runs', 5000, () => load.acked.length > 100)
    server.signal('SIGHUP')
    // The one that hands over; then the spare one that takes; then the one that was restarted.
    for (const [nth, victim] of [0, 2, 0].entries()) {
      await eventually(`hand-over ${nth}`, 60_000, () => handOvers(server) > nth)
      process.kill(server.workerPids()[victim] as number, 'SIGKILL')
    }
    await eventually('all were restarted', 60_000, () => isRestarted(server))
    await load.stop()
    const client = await clientOf(server)
    const jobs = [...(await drainQueue(client, A)), ...(await drainQueue(client, B))]
    const ids = new Set(jobs.map(({ id }) => id))
    expect(load.acked.filter((id) => !ids.has(id))).toEqual([])
    expect(jobs.every(({ attempts }) => attempts === 0)).toBe(true)
    for (let shard = 0; shard < 32; shard++) await client.push(queueInShard(shard, 'end'), shard)
  })
})

const started = (server: ServerProcess): number =>
  server.log.filter(({ msg }) => msg === 'worker started').length

const isRestarted = (server: ServerProcess, times = 1): boolean =>
  server.log.filter(({ msg }) => msg === 'all workers were restarted').length === times

const handOvers = (server: ServerProcess): number =>
  server.log.filter(({ msg }) => msg === 'handing over the shards of a worker').length

/** Some ticks come meanwhile. */
const ticksUntil = (ms: number): Promise<void> => eventually('time', 10_000, () => Date.now() > ms)

/** What the sums say, again and again; refusals, which are fair, are left out. */
async function askSums(client: WireClient, isOver: () => boolean): Promise<string[]> {
  const sums: string[] = []
  while (!isOver()) {
    const stats = await client.ask({ cmd: 'STATS' }).catch(() => null)
    const list = await client.ask({ cmd: 'LISTQUEUES' }).catch(() => null)
    if (stats === null || list === null) return sums
    if (stats.ok) sums.push(String(stats.queued))
    if (list.ok) sums.push(String(list.queues?.length))
  }
  return sums
}
