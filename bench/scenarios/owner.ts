// Two workers, one queue: ten connections that are all served by another worker than the queue's owner, against
// ten that are served by the owner. See `load/owner-side.ts` for how a connection is told apart.

import { ask, openLine } from '../load/line-connection.ts'
import type { Side as OwnerSide } from '../load/spec.ts'
import { pushAndDrain } from './batch.ts'
import { type Scenario, standard, withServers } from './bench.ts'
import { addComparison, inTurn, ratioAtLeast, type Side } from './compare.ts'

export const owner: Scenario = {
  name: 'owner',
  peer: false,
  foreign: false,
  run: async (bench) => {
    await withServers([bench.startServer(2)], async ([server]) => {
      // LISTQUEUES tells the owner of queues that exist, so each gets one job and loses it again.
      const prepare = async (names: readonly string[]) => {
        const connection = await openLine(server.at)
        for (const queue of names) {
          await ask(connection, `{"cmd":"PUSH","queue":"${queue}","data":null}`)
          const reply = await ask(connection, `{"cmd":"PULL","queue":"${queue}"}`)
          const { job } = JSON.parse(reply) as { job: { id: number } }
          await ask(connection, `{"cmd":"ACK","id":${job.id}}`)
        }
        connection.close()
      }
      const side = (ownerSide: OwnerSide): Side => ({
        name: `${ownerSide} owner`,
        server,
        slices: () =>
          pushAndDrain(bench, server, {
            queues: 1,
            dataBytes: standard.dataBytes,
            results: false,
            ownerSide,
            prepare,
          }),
      })
      const [push, drain] = await inTurn(bench.mode.rounds, [side('wrong'), side('right')])
      const bar = ratioAtLeast(0.6, 0.9)
      addComparison(bench, {
        scenario: 'owner',
        what: 'PUSHB x 1,000, 2 workers, connections on the wrong owner',
        sides: push,
        bar,
      })
      addComparison(bench, {
        scenario: 'owner',
        what: 'PULLB + ACKB x 1,000, 2 workers, connections on the wrong owner',
        sides: drain,
        bar,
      })
    })
  },
}
