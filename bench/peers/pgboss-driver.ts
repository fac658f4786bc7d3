// Drives pg-boss through its own API, in a process of its own. Argument: the folder `node_modules` it is installed in.
//
// Its quickest ways: `insert` of arrays, `fetch` and `complete` of whole batches on all connections, a partition of its
// own for the queue. Its background work (supervision, schedules, telemetry) is off. At a rate its workers poll as often
// as it allows: with NOTIFY, whose commits go one after another, it did not keep up with 1,000 jobs a second.

import { join } from 'node:path'
import { payload } from '../load/frames.ts'
import { serveLines } from '../load/line-server.ts'
import type { PeerResult, PeerSpec } from './spec.ts'
import { type Stamped, TimedRelay } from './timed-relay.ts'
import { timedRounds } from './timed-rounds.ts'

interface Job {
  id: string
  data: Stamped
}

interface Boss {
  on(event: 'error', listener: (cause: unknown) => void): void
  start(): Promise<unknown>
  stop(options: { graceful: boolean; timeout?: number }): Promise<void>
  createQueue(name: string, options: { partition: boolean }): Promise<void>
  deleteQueue(name: string): Promise<void>
  getQueues(): Promise<{ name: string }[]>
  send(name: string, data: object): Promise<string | null>
  insert(name: string, jobs: { data: object }[]): Promise<unknown>
  fetch(name: string, options: { batchSize: number }): Promise<Job[]>
  complete(name: string, ids: string[]): Promise<unknown>
  work(
    name: string,
    options: { batchSize: number; localConcurrency: number; pollingIntervalSeconds: number },
    handler: (jobs: Job[]) => Promise<void>,
  ): Promise<string>
}

interface PgBoss {
  PgBoss: new (options: Record<string, unknown>) => Boss
}

const path = join(process.argv[2] ?? '.', 'pg-boss/dist/index.js')
const { PgBoss } = (await import(path)) as PgBoss

const relayConnections = 16
const relayWorkers = 8

serveLines(run)

async function run(spec: PeerSpec): Promise<PeerResult> {
  const boss = new PgBoss({
    connectionString: spec.url,
    max: spec.op === 'push' ? spec.connections : relayConnections,
    supervise: false,
    schedule: false,
    registerInstance: false,
    openTelemetry: { enabled: false },
  })
  boss.on('error', (cause) => console.error(cause))
  await boss.start()
  try {
    switch (spec.op) {
      case 'push':
        return await push(boss, spec)
      case 'take':
        return await take(boss, spec)
      case 'relay':
        return await relay(boss, spec)
      case 'reset':
        return await reset(boss)
    }
  } finally {
    await boss.stop({ graceful: false })
  }
}

async function push(boss: Boss, spec: Extract<PeerSpec, { op: 'push' }>): Promise<PeerResult> {
  const { queue, batch } = spec
  await boss.createQueue(queue, { partition: true })
  const all = Array.from(
    { length: batch },
    (_, i) => JSON.parse(payload(spec.dataBytes, i)) as object,
  )
  const jobs = all.map((data) => ({ data }))
  const one = all[0] ?? {}
  return timedRounds(
    spec.measureMs,
    Array.from({ length: spec.connections }, (_, i) => i),
    async () => {
      if (batch === 1) await boss.send(queue, one)
      else await boss.insert(queue, jobs)
      return batch
    },
    spec.jobsMax,
  )
}

async function take(boss: Boss, spec: Extract<PeerSpec, { op: 'take' }>): Promise<PeerResult> {
  const { queue, batch } = spec
  let asked = 0
  let done = 0
  const startMs = performance.now()
  const loop = async () => {
    while (asked < spec.jobs) {
      asked += batch
      const jobs = await boss.fetch(queue, { batchSize: batch })
      if (jobs.length === 0) throw new Error(`fetch gave nothing after ${done} jobs`)
      await boss.complete(
        queue,
        jobs.map((job) => job.id),
      )
      done += jobs.length
    }
  }
  await Promise.all(Array.from({ length: spec.connections }, loop))
  return { jobs: done, perSecond: (done * 1000) / (performance.now() - startMs) }
}

async function relay(boss: Boss, spec: Extract<PeerSpec, { op: 'relay' }>): Promise<PeerResult> {
  const { queue } = spec
  await boss.createQueue(queue, { partition: true })
  const timed = new TimedRelay(spec)
  const options = { batchSize: 200, localConcurrency: relayWorkers, pollingIntervalSeconds: 0.5 }
  await boss.work(queue, options, async (jobs) => {
    for (const { data } of jobs) timed.has(data)
  })
  return timed.run((data) => boss.send(queue, data))
}

async function reset(boss: Boss): Promise<PeerResult> {
  for (const { name } of await boss.getQueues()) await boss.deleteQueue(name)
  return { jobs: 0, perSecond: 0 }
}
