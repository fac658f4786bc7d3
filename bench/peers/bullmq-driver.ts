// Drives BullMQ through its own Queue and Worker, in a process of its own. Argument: the folder `node_modules` it is installed in.
//
// Defaults of BullMQ are kept: it stores every completed job with its return value and writes its event stream.

import { createRequire } from 'node:module'
import { join } from 'node:path'
import { payload } from '../load/frames.ts'
import { serveLines } from '../load/line-server.ts'
import type { PeerResult, PeerSpec } from './spec.ts'
import { type Stamped, TimedRelay } from './timed-relay.ts'
import { timedRounds } from './timed-rounds.ts'

interface Queue {
  add(name: string, data: unknown): Promise<unknown>
  addBulk(jobs: { name: string; data: unknown }[]): Promise<unknown[]>
  waitUntilReady(): Promise<unknown>
  close(): Promise<void>
}

interface Worker {
  on(event: 'completed' | 'error', listener: (cause: unknown) => void): void
  run(): Promise<void>
  close(force: boolean): Promise<void>
}

interface Redis {
  flushall(): Promise<unknown>
  disconnect(): void
}

interface Connection {
  connection: { host: string; port: number }
}

interface BullMq {
  Queue: new (name: string, options: Connection) => Queue
  Worker: new (
    name: string,
    handler: (job: { data: Stamped }) => Promise<unknown>,
    options: Connection & { concurrency: number; autorun: boolean },
  ) => Worker
}

const load = createRequire(join(process.argv[2] ?? '.', 'package.json'))
const { Queue, Worker } = load('bullmq') as BullMq
const { Redis } = load('ioredis') as { Redis: new (port: number, host: string) => Redis }
const relayConsumers = 32

serveLines(run)

function run(spec: PeerSpec): Promise<PeerResult> {
  switch (spec.op) {
    case 'push':
      return push(spec)
    case 'take':
      return take(spec)
    case 'relay':
      return relay(spec)
    case 'reset':
      return reset(spec)
  }
}

async function push(spec: Extract<PeerSpec, { op: 'push' }>): Promise<PeerResult> {
  const connection = connectionOf(spec)
  const queues = Array.from(
    { length: spec.connections },
    () => new Queue(spec.queue, { connection }),
  )
  await Promise.all(queues.map((queue) => queue.waitUntilReady()))
  const jobs = Array.from({ length: spec.batch }, (_, i) => ({
    name: 'job',
    data: JSON.parse(payload(spec.dataBytes, i)) as unknown,
  }))
  const one = jobs[0]?.data
  const result = await timedRounds(
    spec.measureMs,
    queues,
    async (queue) => {
      if (spec.batch === 1) await queue.add('job', one)
      else await queue.addBulk(jobs)
      return spec.batch
    },
    spec.jobsMax,
  )
  await Promise.all(queues.map((queue) => queue.close()))
  return result
}

async function take(spec: Extract<PeerSpec, { op: 'take' }>): Promise<PeerResult> {
  const connection = connectionOf(spec)
  const handler = async () => ({ sent: true, n: 1 })
  const worker = new Worker(spec.queue, handler, {
    connection,
    concurrency: spec.concurrency,
    autorun: false,
  })
  let done = 0
  const startMs = performance.now()
  const elapsedMs = await new Promise<number>((resolve, reject) => {
    worker.on('error', reject)
    worker.on('completed', () => {
      done += 1
      if (done === spec.jobs) resolve(performance.now() - startMs)
    })
    worker.run().catch(reject)
  })
  await worker.close(true)
  return { jobs: done, perSecond: (spec.jobs * 1000) / elapsedMs }
}

async function relay(spec: Extract<PeerSpec, { op: 'relay' }>): Promise<PeerResult> {
  const connection = connectionOf(spec)
  const timed = new TimedRelay(spec)
  const queue = new Queue(spec.queue, { connection })
  const handler = async (job: { data: Stamped }) => timed.has(job.data)
  const worker = new Worker(spec.queue, handler, {
    connection,
    concurrency: relayConsumers,
    autorun: false,
  })
  worker.on('error', (cause) => console.error(cause))
  await queue.waitUntilReady()
  worker.run().catch((cause: unknown) => console.error(cause))
  const result = await timed.run((data) => queue.add('job', data))
  await worker.close(true)
  await queue.close()
  return result
}

async function reset(spec: PeerSpec): Promise<PeerResult> {
  const { host, port } = connectionOf(spec)
  const redis = new Redis(port, host)
  await redis.flushall()
  redis.disconnect()
  return { jobs: 0, perSecond: 0 }
}

function connectionOf({ url }: PeerSpec): { host: string; port: number } {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port) }
}
