// A server that was killed with a million waiting jobs is started again: the time until it gives a job.
//
// SIGKILL to all of it, so that nothing was put in order: rows of checkpoints and the journal behind them are read. It
// counts when each of 64 queues, on all shards or nearly, has given a job.

import { firstPulls } from '../load/first-pulls.ts'
import { ask, openLine } from '../load/line-connection.ts'
import type { Bar } from '../report/row.ts'
import { type Scenario, standard, withServers } from './bench.ts'
import { withStage } from './durable-stage.ts'

const name = 'durable-start'
const queueCount = 64
const limitMs = 120_000
const bar: Bar = { judges: 'value', sense: 'most', bar: 10_000, aim: 4000 }

export const durableStart: Scenario = {
  name,
  peer: false,
  foreign: false,
  run: (bench) =>
    withStage(bench, name, false, async (stage) => {
      const jobs = bench.mode.durable.startJobs
      const settings = await stage.settings('sync')
      const queues = Array.from({ length: queueCount }, () => bench.newQueue('start'))
      await withServers([bench.startServer(undefined, { settings })], async ([server]) => {
        const connection = await openLine(server.at)
        for (const queue of queues)
          await ask(connection, `{"cmd":"PUSH","queue":"${queue}","data":1}`)
        connection.close()
        await bench.load.run({
          kind: 'push',
          at: server.at,
          queues,
          connections: standard.connections,
          depth: 1,
          batch: standard.batch,
          dataBytes: standard.dataBytes,
          warmupMs: 0,
          measureMs: 600_000,
          jobsMax: jobs,
        })
        server.kill?.()
      })
      const startMs = performance.now()
      const again = bench.startServer(undefined, { settings, atOnce: true })
      await withServers([again], async ([server]) => {
        const served = await firstPulls(server.at, queues, limitMs)
        const firstMs = Math.min(...served) - startMs
        const lastMs = Math.max(...served) - startMs
        const what = `durable: ${jobs} waiting jobs, server killed: start until each of ${queueCount} queues has given a job`
        const note = `the first queue after ${Math.round(firstMs)} ms; default workers`
        bench.report.add({ scenario: name, what, value: lastMs, unit: 'ms', bar, note })
        bench.log(`  ${what}: ${Math.round(lastMs)} ms, ${note}`)
      })
    }),
}
