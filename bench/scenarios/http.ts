// POST of jobs one by one on fifty keep-alive connections, against a bare fastify with canned answers; POST of a thousand
// jobs at once, against the line protocol's PUSHB of the same jobs on the same server. One worker.

import type { Address, LoadResult } from '../load/spec.ts'
import { freePort } from '../servers/ready.ts'
import type { Server } from '../servers/server.ts'
import { type Bench, type Scenario, standard, withServers } from './bench.ts'
import { addComparison, inTurn, ratioAtLeast, type Side, timed } from './compare.ts'

const connections = 50

export const http: Scenario = {
  name: 'http',
  peer: false,
  foreign: false,
  run: async (bench) => {
    const port = await freePort()
    const settings = { HTTP: '1', HTTP_PORT: String(port) }
    const servers = [
      bench.startServer(1, { settings }),
      bench.startEcho(standard.dataBytes, 'http'),
    ] as const
    await withServers(servers, async ([server, bare]) => {
      const at = { host: '127.0.0.1', port }
      await single(bench, server, at, bare)
      await batches(bench, server, at)
    })
  },
}

async function single(bench: Bench, server: Server, at: Address, bare: Server): Promise<void> {
  const side = (name: string, of: Server, address: Address): Side => ({
    name,
    server: of,
    slices: async () => [
      await timed(of, () => post(bench, address, bench.newQueue('http'), connections, 0)),
    ],
  })
  const [sides] = await inTurn(bench.mode.rounds, [
    side('FlashQ', server, at),
    side('bare fastify', bare, bare.at),
  ])
  addComparison(bench, {
    scenario: 'http',
    what: `POST of a job, ${connections} connections, 1 worker`,
    sides,
    bar: ratioAtLeast(0.6, 0.85),
  })
}

async function batches(bench: Bench, server: Server, at: Address): Promise<void> {
  // One for all slices: the sequences of its shard are granted in blocks that grow with use.
  const queue = bench.newQueue('http')
  const side = (name: string, push: () => Promise<LoadResult>): Side => ({
    name,
    server,
    slices: async () => {
      const slice = await timed(server, push)
      await drain(bench, server, queue, slice.jobs)
      return [slice]
    },
  })
  const [sides] = await inTurn(Math.ceil(bench.mode.rounds / 2), [
    side('HTTP', () => post(bench, at, queue, standard.connections, standard.batch)),
    side('TCP', () => pushBatches(bench, server, queue)),
  ])
  addComparison(bench, {
    scenario: 'http',
    what: 'POST x 1,000 against PUSHB x 1,000, 10 connections, 1 worker',
    sides,
    bar: ratioAtLeast(0.5, 0.9),
  })
}

function post(bench: Bench, at: Address, queue: string, count: number, batch: number) {
  return bench.load.run({
    kind: 'http-push',
    at,
    queue,
    connections: count,
    batch,
    dataBytes: standard.dataBytes,
    warmupMs: bench.mode.warmupMs,
    measureMs: bench.mode.sliceMs,
  })
}

function pushBatches(bench: Bench, server: Server, queue: string) {
  return bench.load.run({
    kind: 'push',
    at: server.at,
    queues: [queue],
    connections: standard.connections,
    depth: 1,
    batch: standard.batch,
    dataBytes: standard.dataBytes,
    warmupMs: bench.mode.warmupMs,
    measureMs: bench.mode.sliceMs,
  })
}

/** Each slice begins with an empty server. */
async function drain(bench: Bench, server: Server, queue: string, jobs: number): Promise<void> {
  await bench.load.run({
    kind: 'drain',
    at: server.at,
    queues: [queue],
    jobsPerQueue: [jobs],
    connections: standard.connections,
    batch: standard.batch,
    results: false,
  })
}
