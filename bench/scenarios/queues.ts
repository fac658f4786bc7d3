// The same batches into one hot queue and over 64 queues: what the number of queues costs.

import { pushAndDrain } from './batch.ts'
import { type Scenario, standard, withServers } from './bench.ts'
import { addComparison, inTurn, type Side } from './compare.ts'

const many = 64

export const queues: Scenario = {
  name: 'queues',
  peer: false,
  foreign: true,
  run: async (bench) => {
    await withServers([bench.startServer(1)], async ([server]) => {
      const side = (name: string, count: number): Side => ({
        name,
        server,
        slices: () =>
          pushAndDrain(bench, server, {
            queues: count,
            dataBytes: standard.dataBytes,
            results: false,
          }),
      })
      const [push, drain] = await inTurn(bench.mode.rounds, [
        side(`${many} queues`, many),
        side('one hot queue', 1),
      ])
      addComparison(bench, {
        scenario: 'queues',
        what: `PUSHB x 1,000 over ${many} queues, 1 worker`,
        sides: push,
      })
      addComparison(bench, {
        scenario: 'queues',
        what: `PULLB + ACKB x 1,000 over ${many} queues, 1 worker`,
        sides: drain,
      })
    })
  },
}
