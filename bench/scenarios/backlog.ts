// Millions of waiting jobs: what they weigh, whether pushing slows down, whether the event loop is ever away, what STATS costs.
//
// 1. One server is filled, a twin stays empty; slices of both are taken in turn, and the twin is drained after each.
//    A server that already runs has no twin: its empty slices are taken before it is filled.
// 2. Memory is the growth of all its processes over the fill, less the payload bytes.
// 3. A probe in its own process asks STATS every millisecond while the server is filled at full speed (its round trip then
//    includes the batches queued before it), and again while one job is pushed every millisecond. The machine's own stalls are
//    in both, so the same probe of an echo under the same load is shown beside the first.

import { setTimeout as sleep } from 'node:timers/promises'
import type { LoadResult, PushSpec } from '../load/spec.ts'
import type { Server } from '../servers/server.ts'
import { addGentleStall, addMemory, addStall, addStats, millions } from './backlog-rows.ts'
import { type Bench, type Scenario, standard, withServers } from './bench.ts'
import { addComparison, inTurn, ratioAtLeast, type Side, type Slice, timed } from './compare.ts'

const { dataBytes, connections, batch } = standard
/** For garbage to be collected before memory is read. */
const settleMs = 1500
const statsRounds = 5
const fillMsMax = 120_000

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
  const emptySlices = bench.foreign ? await slicesOf(bench, full) : []
  const emptyStats = bench.foreign ? await statsMs(bench, full) : undefined
  await sleep(settleMs)
  const baseRss = full.usage()?.rssBytes
  let waiting = 0
  let stallMs = 0
  for (const target of bench.mode.backlogs) {
    const filled = await fill(bench, full, queue, target - waiting)
    waiting += filled.jobs
    stallMs = Math.max(stallMs, filled.probe.latencyMs?.max ?? Number.NaN)
    await sleep(settleMs)
    addMemory(bench, waiting, baseRss, full.usage()?.rssBytes, target === last)
    waiting += await pushRate(bench, queue, full, twin, target, emptySlices)
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
  await drainedSlice(bench, server)
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

/** The server holds none of its jobs afterwards. */
async function drainedSlice(bench: Bench, server: Server): Promise<Slice> {
  const queue = bench.newQueue('twin')
  const jobs = bench.mode.backlogSliceJobs
  const slice = await timed(server, () => bench.load.run(pushSpec(server, queue, jobs)))
  await bench.load.run({
    kind: 'drain',
    at: server.at,
    queues: [queue],
    jobsPerQueue: [slice.jobs],
    connections,
    batch,
    results: false,
  })
  return slice
}

async function slicesOf(bench: Bench, server: Server): Promise<Slice[]> {
  const slices: Slice[] = []
  for (let i = 0; i <= roundsOf(bench); i++) slices.push(await drainedSlice(bench, server))
  return slices
}

/** Gives the number of jobs that it left waiting in `full`. `emptySlices` stand in for a twin. */
async function pushRate(
  bench: Bench,
  queue: string,
  full: Server,
  twin: Server,
  target: number,
  emptySlices: Slice[],
): Promise<number> {
  let left = 0
  let turn = 0
  const loaded: Side = {
    name: `at ${millions(target)}`,
    server: full,
    slices: async () => {
      const load = pushSpec(full, queue, bench.mode.backlogSliceJobs)
      const slice = await timed(full, () => bench.load.run(load))
      left += slice.jobs
      return [slice]
    },
  }
  const empty: Side = {
    name: 'empty server',
    server: twin,
    slices: async () => [emptySlices[turn++] ?? (await drainedSlice(bench, twin))],
  }
  const [sides] = await inTurn(roundsOf(bench), [loaded, empty])
  const judged = target === bench.mode.backlogs.at(-1)
  addComparison(bench, {
    scenario: 'backlog',
    what: `push rate at ${millions(target)} waiting jobs, 1 worker`,
    sides,
    ...(judged ? { bar: ratioAtLeast(0.8, 0.95) } : {}),
  })
  return left
}

/** The slices are short, so there are more of them. */
function roundsOf(bench: Bench): number {
  return bench.mode.rounds * 2 - 1
}

function pushSpec(server: Server, queue: string, jobsMax: number): PushSpec {
  const load = { connections, depth: 1, batch, dataBytes, warmupMs: 0, measureMs: fillMsMax }
  return { kind: 'push', at: server.at, queues: [queue], ...load, jobsMax }
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
