// `kill -9` of one of two workers that owns many waiting jobs: how long its shards serve nobody.
//
// Each round has a server and a database of its own. All jobs wait in queues of the worker that is killed; it counts
// when the last of these queues gives a job.

import { readFileSync } from 'node:fs'
import { firstPulls } from '../load/first-pulls.ts'
import { ask, type LineConnection, openLine } from '../load/line-connection.ts'
import { ownersOf, touch, workerOf } from '../load/owner-side.ts'
import { median } from '../load/percentiles.ts'
import type { Address } from '../load/spec.ts'
import type { Bar } from '../report/row.ts'
import type { Server } from '../servers/server.ts'
import { type Bench, type Scenario, standard, withServers } from './bench.ts'
import { withStage } from './durable-stage.ts'

const name = 'durable-failover'
const queueCount = 64
const limitMs = 30_000
const connectionsMax = 100
const bar: Bar = { judges: 'value', sense: 'most', bar: 2000, aim: 500 }

export const durableFailover: Scenario = {
  name,
  peer: false,
  foreign: false,
  run: (bench) =>
    withStage(bench, name, false, async (stage) => {
      const { failoverRounds, failoverJobs } = bench.mode.durable
      const gaps: number[] = []
      const firsts: number[] = []
      for (let round = 0; round < failoverRounds; round++) {
        await withServers([stage.startFlashQ('sync', { workers: 2 })], async ([server]) => {
          const { firstMs, lastMs } = await killOne(bench, server)
          gaps.push(lastMs)
          firsts.push(firstMs)
        })
      }
      const what = `durable: a worker of 2 killed with ${failoverJobs} waiting jobs: gap until all its queues serve`
      const note = `rounds: ${gaps.map(Math.round).join(', ')} ms; the first queue after ${firsts.map(Math.round).join(', ')} ms`
      bench.report.add({ scenario: name, what, value: median(gaps), unit: 'ms', bar, note })
      bench.log(`  ${what}: ${note}`)
    }),
}

async function killOne(bench: Bench, server: Server): Promise<{ firstMs: number; lastMs: number }> {
  const { at } = server
  const all = Array.from({ length: queueCount }, () => bench.newQueue('failover'))
  const scout = await openLine(at)
  for (const queue of all) await touch(scout, queue)
  const victim = 0
  const owners = await ownersOf(scout)
  const queues = all.filter((queue) => owners.get(queue) === victim)
  for (const queue of queues) await ask(scout, `{"cmd":"PUSH","queue":"${queue}","data":1}`)
  scout.close()
  await bench.load.run({
    kind: 'push',
    at,
    queues,
    connections: standard.connections,
    depth: 1,
    batch: 100,
    dataBytes: standard.dataBytes,
    warmupMs: 0,
    measureMs: 600_000,
    jobsMax: bench.mode.durable.failoverJobs,
  })
  const witness = await connectionOf(at, victim)
  const lost = new Promise<void>((resolve) => {
    witness.onLost = () => resolve()
  })
  const killedMs = performance.now()
  process.kill(workerPid(server, victim), 'SIGKILL')
  const served = await firstPulls(at, queues, limitMs)
  await lost
  return { firstMs: Math.min(...served) - killedMs, lastMs: Math.max(...served) - killedMs }
}

/** A connection that this worker serves: it ends when the right process was killed. */
async function connectionOf(at: Address, worker: number): Promise<LineConnection> {
  for (let tries = 0; tries < connectionsMax; tries++) {
    const connection = await openLine(at)
    if ((await workerOf(connection)) === worker) return connection
    connection.close()
  }
  throw new Error(`no connection landed at worker ${worker}`)
}

/** Workers are the children of the primary, in the order in which it started them. */
function workerPid({ pid }: Server, worker: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
  return Number(children[worker])
}
