// PUSH one by one: on one connection (each reply awaited) and on fifty, against the echo ceiling.

import type { Server } from '../servers/server.ts'
import { type Bench, type Scenario, standard, withServers } from './bench.ts'
import { addComparison, inTurn, ratioAtLeast, type Side, timed } from './compare.ts'

export const single: Scenario = {
  name: 'single',
  peer: false,
  foreign: true,
  run: async (bench) => {
    for (const connections of [1, 50]) {
      await withServers(
        [bench.startServer(1), bench.startEcho(standard.dataBytes)],
        async ([server, echo]) => {
          const side = (name: string, at: Server): Side => ({
            name,
            server: at,
            slices: async () => [await timed(at, () => pushSingly(bench, at, connections))],
          })
          const [sides] = await inTurn(bench.mode.rounds, [
            side('FlashQ', server),
            side('echo', echo),
          ])
          addComparison(bench, {
            scenario: 'single',
            what:
              connections === 1
                ? 'sequential PUSH, one connection, 1 worker'
                : `PUSH, ${connections} connections, 1 worker`,
            sides,
            ...(connections === 1 ? { bar: ratioAtLeast(0.75, 0.9) } : {}),
          })
        },
      )
    }
  },
}

export function pushSingly(bench: Bench, server: Server, connections: number) {
  return bench.load.run({
    kind: 'push',
    at: server.at,
    queues: [bench.newQueue('single')],
    connections,
    depth: 1,
    batch: 0,
    dataBytes: standard.dataBytes,
    warmupMs: bench.mode.warmupMs,
    measureMs: bench.mode.sliceMs,
  })
}
