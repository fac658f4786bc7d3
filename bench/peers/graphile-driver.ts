// Drives graphile-worker through its own API, in a process of its own. Argument: the folder `node_modules` it is installed in.
//
// As its own page on performance does it: `addJobs`, a local queue, completions in batches without a delay, prepared
// statements; with more jobs at a time than there, since every batch of completions waits for the disk. No named queue, which
// would run its jobs one by one: the task is the queue.

import { join } from 'node:path'
import { payload } from '../load/frames.ts'
import { serveLines } from '../load/line-server.ts'
import type { PeerResult, PeerSpec } from './spec.ts'
import { type Stamped, TimedRelay } from './timed-relay.ts'
import { timedRounds } from './timed-rounds.ts'

interface WorkerUtils {
  migrate(): Promise<void>
  addJob(identifier: string, payload: object): Promise<unknown>
  addJobs(jobs: { identifier: string; payload: object }[]): Promise<unknown>
  withPgClient(
    use: (client: { query(text: string): Promise<unknown> }) => Promise<unknown>,
  ): Promise<unknown>
  release(): Promise<void>
}

interface Shared {
  preset: { worker: Record<string, unknown> }
}

interface GraphileWorker {
  Logger: new (factory: () => () => void) => unknown
  makeWorkerUtils(options: Shared): Promise<WorkerUtils>
  run(
    options: Shared & {
      noHandleSignals: boolean
      taskList: Record<string, (payload: Stamped) => Promise<void>>
    },
  ): Promise<{ stop(): Promise<void> }>
}

const modules = process.argv[2] ?? '.'
const graphile = (await import(join(modules, 'graphile-worker/dist/index.js'))) as GraphileWorker

/** Measured on two cores: 24 jobs at a time were half as quick, 1,000 no quicker. */
const concurrentJobs = 500
const localQueueSize = 2000
/** For latency: there is no local queue, so each takes a call. */
const relayJobs = 24
const workerConnections = 25
const logger = new graphile.Logger(() => () => {})

serveLines(run)

async function run(spec: PeerSpec): Promise<PeerResult> {
  const maxPoolSize = spec.op === 'push' ? spec.connections : workerConnections
  const utils = await graphile.makeWorkerUtils(shared(spec, { maxPoolSize }))
  await utils.migrate()
  try {
    switch (spec.op) {
      case 'push':
        return await push(utils, spec)
      case 'take':
        return await take(spec)
      case 'relay':
        return await relay(utils, spec)
      case 'reset':
        await utils.withPgClient((client) => client.query('truncate graphile_worker._private_jobs'))
        return { jobs: 0, perSecond: 0 }
    }
  } finally {
    await utils.release()
  }
}

function push(utils: WorkerUtils, spec: Extract<PeerSpec, { op: 'push' }>): Promise<PeerResult> {
  const { queue, batch } = spec
  const jobs = Array.from({ length: batch }, (_, i) => ({
    identifier: queue,
    payload: JSON.parse(payload(spec.dataBytes, i)) as object,
  }))
  const one = jobs[0]?.payload ?? {}
  return timedRounds(
    spec.measureMs,
    Array.from({ length: spec.connections }, (_, i) => i),
    async () => {
      if (batch === 1) await utils.addJob(queue, one)
      else await utils.addJobs(jobs)
      return batch
    },
    spec.jobsMax,
  )
}

/** Ends when the last completion is written. */
async function take(spec: Extract<PeerSpec, { op: 'take' }>): Promise<PeerResult> {
  const batching = {
    concurrentJobs,
    maxPoolSize: workerConnections,
    localQueue: { size: localQueueSize },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
  }
  let done = 0
  let finished = () => {}
  const all = new Promise<void>((resolve) => {
    finished = resolve
  })
  const task = async () => {
    done += 1
    if (done === spec.jobs) finished()
  }
  const startMs = performance.now()
  const runner = await graphile.run({
    ...shared(spec, batching),
    noHandleSignals: true,
    taskList: { [spec.queue]: task },
  })
  await all
  await runner.stop()
  return { jobs: done, perSecond: (done * 1000) / (performance.now() - startMs) }
}

/** Without a local queue: that one trades latency for throughput. */
async function relay(
  utils: WorkerUtils,
  spec: Extract<PeerSpec, { op: 'relay' }>,
): Promise<PeerResult> {
  const timed = new TimedRelay(spec)
  const runner = await graphile.run({
    ...shared(spec, {
      concurrentJobs: relayJobs,
      maxPoolSize: workerConnections,
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    }),
    noHandleSignals: true,
    taskList: { [spec.queue]: async (data) => timed.has(data) },
  })
  const result = await timed.run((data) => utils.addJob(spec.queue, data))
  await runner.stop()
  return result
}

function shared({ url }: PeerSpec, worker: Record<string, unknown>): Shared {
  return {
    preset: { worker: { ...worker, connectionString: url, logger, preparedStatements: true } },
  }
}
