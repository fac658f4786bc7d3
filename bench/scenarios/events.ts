// What event streams cost producers: PUSHB and PUSH on one worker while a hundred clients listen over SSE, against the same
// server without any.
//
// Each of the hundred asks for `/events`: every event of every queue. So each push is an event for all of them, far more than
// could be sent; the server tells what fits into its share of the time, and how much it has left out. What the first client got
// and missed is in the note. A third side listens to a queue that nothing happens in.

import type { LoadResult } from '../load/spec.ts'
import { freePort } from '../servers/ready.ts'
import type { Server } from '../servers/server.ts'
import { pushAndDrain } from './batch.ts'
import { type Bench, type Scenario, standard, withServers } from './bench.ts'
import {
  addComparison,
  inTurn,
  type Measured,
  ratioAtLeast,
  type Side,
  type Slice,
  timed,
} from './compare.ts'
import { pushSingly } from './single.ts'

const streamCount = 100
const singleConnections = 50
/** In several shards, so that none runs out of sequences on a machine that is busy. */
const queueCount = 8
const bar = ratioAtLeast(0.7, 0.9)

export const events: Scenario = {
  name: 'events',
  peer: false,
  foreign: false,
  run: async (bench) => {
    const ports = [await freePort(), await freePort()]
    const settings = (port: number | undefined) => ({
      settings: { HTTP: '1', HTTP_PORT: String(port) },
    })
    const servers = [
      bench.startServer(1, settings(ports[0])),
      bench.startServer(1, settings(ports[1])),
      bench.startServer(1),
    ] as const
    await withServers(servers, async ([all, quiet, none]) => {
      const listen = (path: string, port = 0) => ({
        kind: 'streams' as const,
        at: { host: '127.0.0.1', port },
        path,
        count: streamCount,
      })
      const listeners = bench.probe.begin(listen('/events', ports[0]))
      const quietListeners = bench.extra.begin(listen('/events/bench-quiet', ports[1]))
      const side = (name: string, server: Server): Side => ({
        name,
        server,
        slices: () => pushes(bench, server),
      })
      const measured = await inTurn(bench.mode.rounds, [
        side(`${streamCount} SSE clients of /events`, all),
        side('no client', none),
        side(`${streamCount} SSE clients of a quiet queue`, quiet),
      ])
      const heard = await listeners.stop()
      await quietListeners.stop()
      const whats = [
        'PUSHB x 1,000, 10 connections, 8 queues, 1 worker',
        `PUSH, ${singleConnections} connections, 1 worker`,
      ]
      for (const [thing, sides] of measured.entries()) add(bench, whats[thing] ?? '', sides, heard)
    })
  },
}

async function pushes(bench: Bench, server: Server): Promise<Slice[]> {
  const shape = { queues: queueCount, dataBytes: standard.dataBytes, results: false }
  const [batches] = await pushAndDrain(bench, server, shape)
  const single = await timed(server, () => pushSingly(bench, server, singleConnections))
  return batches === undefined ? [] : [batches, single]
}

function add(bench: Bench, what: string, sides: Measured[], heard: LoadResult): void {
  const [all, none, quiet] = sides
  if (all === undefined || none === undefined || quiet === undefined) return
  const { lines = 0, dropped = 0, bytes = 0 } = heard
  const scenario = 'events'
  addComparison(bench, {
    scenario,
    what: `${what}, while ${streamCount} clients hear all events`,
    sides: [all, none],
    bar,
    note: `in all, each client got about ${lines} events and was told of ${dropped} more; ${Math.round(bytes / 2 ** 20)} MiB were sent`,
  })
  addComparison(bench, {
    scenario,
    what: `${what}, while ${streamCount} clients hear a queue in which nothing happens`,
    sides: [quiet, none],
    bar,
  })
}
