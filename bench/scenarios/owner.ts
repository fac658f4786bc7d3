// Two workers, one queue: ten connections that land on another worker than the queue's owner, against ten that land on the owner.
//
// A server may move a connection that only uses one other worker, so both kinds are measured: those that may move,
// and those that stay because they also use a queue of the worker they are on. `load/owner-side.ts` tells them apart.

import { openLine } from '../load/line-connection.ts'
import { ownersOf, touch } from '../load/owner-side.ts'
import type { Side as OwnerSide } from '../load/spec.ts'
import type { Server } from '../servers/server.ts'
import { pushAndDrain } from './batch.ts'
import { type Bench, type Scenario, standard, withServers } from './bench.ts'
import { addComparison, inTurn, ratioAtLeast, type Side } from './compare.ts'

const workers = 2
const bar = ratioAtLeast(0.6, 0.9)
const titles = {
  wrong: 'connections that land on the wrong owner',
  pinned: 'connections that stay on the wrong owner',
} as const

export const owner: Scenario = {
  name: 'owner',
  peer: false,
  foreign: false,
  run: async (bench) => {
    await withServers([bench.startServer(workers)], async ([server]) => {
      const sides = (['wrong', 'pinned', 'right'] as const).map((one) => sideOf(bench, server, one))
      const [push = [], drain = []] = await inTurn(Math.ceil(bench.mode.rounds / 1.5), sides)
      for (const [command, measured] of [
        ['PUSHB x 1,000', push] as const,
        ['PULLB + ACKB x 1,000', drain] as const,
      ]) {
        const [wrong, pinned, right] = measured
        if (wrong === undefined || pinned === undefined || right === undefined) continue
        const add = (what: string, side: typeof wrong) =>
          addComparison(bench, {
            scenario: 'owner',
            what: `${command}, ${workers} workers, ${what}`,
            sides: [side, right],
            bar,
          })
        add(titles.wrong, wrong)
        add(titles.pinned, pinned)
      }
    })
  },
}

function sideOf(bench: Bench, server: Server, ownerSide: OwnerSide): Side {
  // LISTQUEUES only knows queues that exist, and every worker must own one.
  const prepare = async (names: readonly string[]) => {
    const connection = await openLine(server.at)
    for (const queue of names) await touch(connection, queue)
    while (new Set((await ownersOf(connection)).values()).size < workers) {
      await touch(connection, bench.newQueue('pin'))
    }
    connection.close()
  }
  const shape = { queues: 1, dataBytes: standard.dataBytes, results: false, ownerSide, prepare }
  return {
    name: ownerSide === 'right' ? 'right owner' : ownerSide,
    server,
    slices: () => pushAndDrain(bench, server, shape),
  }
}
