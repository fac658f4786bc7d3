// Millions of waiting jobs: what they weigh, whether pushing slows down, whether the event loop is ever away, what STATS costs.
//
// 1. One server is filled, a twin has no backlog; backlog-rates.ts says how their push rates are compared.
//    A server that already runs has no twin: it is measured before it is filled.
// 2. Memory is the growth of all its processes over the fill, less the payload bytes.
// 3. A probe in its own process asks STATS every millisecond while the server is filled at full speed (its round trip then
//    includes the batches queued before it), and again while one job is pushed every millisecond. The machine's own stalls are
//    in both, so the same probe of an echo under the same load is shown beside the first.

import { setTimeout as sleep } from 'node:timers/promises'
import type { LoadResult } from '../load/spec.ts'
import type { Server } from '../servers/server.ts'
import { addRates, measureBefore, pushSpec, turnedOver } from './backlog-rates.ts'
import { addGentleStall, addMemory, addStall, addStats } from './backlog-rows.ts'
import { type Bench, type Scenario, standard, withServers } from './bench.ts'

const { dataBytes } = standard
/** For garbage to be collected before memory is read. */
const settleMs = 1500
const statsRounds = 5

export const backlog: Scenario = {
  name: 'backlog',
  peer: false,
  foreign: true,
  run: async (bench) => {
    const servers = [
      bench.startServer(1),
      bench.startServer(1),
      bench.startEcho(dataBytes),
    ] as const
    await withServers(servers, ([full, twin, echo]) => measure(bench, full, twin, echo))
  },
}

async function measure(bench: Bench, full: Server, twin: Server, echo: Server): Promise<void> {
  const queue = bench.newQueue('backlog')
  const last = bench.mode.backlogs.at(-1) ?? 0
  await warmUp(bench, full)
  const emptyStats = bench.foreign ? await statsMs(bench, full) : undefined
  await sleep(settleMs)
  const baseRss = full.usage()?.rssBytes
  const before = bench.foreign ? await measureBefore(bench, full, queue) : undefined
  let waiting = before?.growing.reduce((sum, { jobs }) => sum + jobs, 0) ?? 0
  let stallMs = 0
  for (const target of bench.mode.backlogs) {
    if (target > waiting) {
      const filled = await fill(bench, full, queue, target - waiting)
      waiting += filled.jobs
      stallMs = Math.max(stallMs, filled.probe.latencyMs?.max ?? Number.NaN)
    }
    await sleep(settleMs)
    addMemory(bench, waiting, baseRss, full.usage()?.rssBytes, target === last)
    waiting += await addRates(bench, {
      queue,
      full,
      twin,
      waiting,
      judged: target === last,
      before,
    })
  }
  const echoFill = await fill(bench, echo, queue, last)
  addStall(bench, waiting, stallMs, echoFill.probe.latencyMs?.max ?? Number.NaN)
  addGentleStall(bench, waiting, await gentleProbe(bench, full, queue))
  const stats = { loaded: [] as number[], empty: [] as number[] }
  for (let round = 0; round < statsRounds; round++) {
    stats.loaded.push(await statsMs(bench, full))
    stats.empty.push(emptyStats ?? (await statsMs(bench, twin)))
  }
  addStats(bench, waiting, stats.loaded, stats.empty)
}

/** Jobs through the code paths of pushing, pulling and STATS, and none left. */
async function warmUp(bench: Bench, server: Server): Promise<void> {
  await turnedOver(bench, server, bench.newQueue('warm'))
  await statsMs(bench, server)
}

async function fill(
  bench: Bench,
  server: Server,
  queue: string,
  jobs: number,
): Promise<{ jobs: number; probe: LoadResult }> {
  const probe = startProbe(bench, server)
  const pushed = await bench.load.run(pushSpec(server, queue, jobs))
  bench.log(`  ${server.name}: ${pushed.jobs} jobs pushed at ${Math.round(pushed.perSecond)}/s`)
  return { jobs: pushed.jobs, probe: await probe.stop() }
}

function startProbe(bench: Bench, server: Server): { stop: () => Promise<LoadResult> } {
  const probe = { cmd: 'STATS', everyMs: 1, times: 0, untilStopped: true } as const
  return bench.probe.begin({ kind: 'ask', at: server.at, ...probe })
}

async function gentleProbe(
  bench: Bench,
  server: Server,
  queue: string,
): Promise<LoadResult['latencyMs']> {
  const probe = startProbe(bench, server)
  const load = { connections: 1, depth: 1, batch: 0, dataBytes, warmupMs: 0, everyMs: 1 }
  const measureMs = bench.mode.sliceMs * 5
  await bench.load.run({ kind: 'push', at: server.at, queues: [queue], ...load, measureMs })
  return (await probe.stop()).latencyMs
}

async function statsMs(bench: Bench, server: Server): Promise<number> {
  const times = bench.mode.statsAsked
  const load = { cmd: 'STATS', everyMs: 0, times, untilStopped: false } as const
  const asked = await bench.load.run({ kind: 'ask', at: server.at, ...load })
  return asked.latencyMs?.p50 ?? Number.NaN
}
