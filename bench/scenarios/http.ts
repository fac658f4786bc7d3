// POST of jobs one by one on fifty keep-alive connections, against a bare fastify with canned answers; POST of a thousand
// jobs at once, against the line protocol's PUSHB of the same jobs on the same server. One worker.

import type { Address } from '../load/spec.ts'
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
    slices: async () => [await timed(of, () => post(bench, address, connections, 0))],
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
  const { batch, dataBytes } = standard
  const overHttp: Side = {
    name: 'HTTP',
    server,
    slices: async () => [await timed(server, () => post(bench, at, standard.connections, batch))],
  }
  const overTcp: Side = {
    name: 'TCP',
    server,
    slices: async () => [
      await timed(server, () =>
        bench.load.run({
          kind: 'push',
          at: server.at,
          queues: [bench.newQueue('http')],
          connections: standard.connections,
          depth: 1,
          batch,
          dataBytes,
          warmupMs: bench.mode.warmupMs,
          measureMs: bench.mode.sliceMs,
        }),
      ),
    ],
  }
  const [sides] = await inTurn(bench.mode.rounds, [overHttp, overTcp])
  addComparison(bench, {
    scenario: 'http',
    what: 'POST x 1,000 against PUSHB x 1,000, 10 connections, 1 worker',
    sides,
    bar: ratioAtLeast(0.5, 0.9),
  })
}

function post(bench: Bench, at: Address, count: number, batch: number) {
  return bench.load.run({
    kind: 'http-push',
    at,
    queue: bench.newQueue('http'),
    connections: count,
    batch,
    dataBytes: standard.dataBytes,
    warmupMs: bench.mode.warmupMs,
    measureMs: bench.mode.sliceMs,
  })
}
