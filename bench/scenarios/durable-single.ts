// PUSH one by one, each stored before its reply: on one connection and on fifty, against the peers' calls for a single job.

import type { Server } from '../servers/server.ts'
import { type Bench, type Scenario, standard, withServers } from './bench.ts'
import { addComparison, inTurn, ratioAtLeast, type Side, timed } from './compare.ts'
import { bestOf, type Peer, withStage } from './durable-stage.ts'
import { pushSingly } from './single.ts'

const name = 'durable-single'

export const durableSingle: Scenario = {
  name,
  peer: false,
  foreign: false,
  run: (bench) =>
    withStage(bench, name, true, (stage) =>
      withServers([stage.startFlashQ('sync'), stage.startFlashQ('async')], async (servers) => {
        const [sync, async] = servers
        for (const connections of [1, 50]) {
          const [sides = []] = await inTurn(bench.mode.durable.rounds, [
            ourSide(bench, 'FlashQ sync', sync, connections),
            ourSide(bench, 'FlashQ async', async, connections),
            ...stage.peers.map((peer) => peerSide(bench, peer, connections)),
          ])
          const [ours, withoutWaiting, ...peers] = sides
          const what = `durable: single push, ${connections} connection${connections === 1 ? '' : 's'}, 1 worker`
          const best = bestOf(stage, peers)
          for (const peer of peers)
            addComparison(bench, {
              scenario: name,
              what,
              sides: [ours, peer].filter((side) => side !== undefined),
              ...(peer === best && connections > 1 ? { bar: ratioAtLeast(10, 20) } : {}),
            })
          addComparison(bench, {
            scenario: name,
            what: `${what}, async`,
            sides: [withoutWaiting, ours].filter((side) => side !== undefined),
          })
        }
      }),
    ),
}

function ourSide(bench: Bench, side: string, server: Server, connections: number): Side {
  const slices = async () => [await timed(server, () => pushSingly(bench, server, connections))]
  return { name: side, server, slices }
}

function peerSide(bench: Bench, { name: side, url, driver }: Peer, connections: number): Side {
  const slices = async () => {
    const pushed = await timed(undefined, () =>
      driver.run({
        op: 'push',
        url,
        queue: bench.newQueue('single'),
        connections,
        batch: 1,
        dataBytes: standard.dataBytes,
        measureMs: bench.mode.sliceMs,
      }),
    )
    await driver.run({ op: 'reset', url })
    return [pushed]
  }
  return { name: side, server: undefined, slices }
}
