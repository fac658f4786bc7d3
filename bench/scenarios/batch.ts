// PUSHB x 1,000 and PULLB + ACKB x 1,000 on ten connections, one worker, against the echo ceiling, and against an echo
// that reads and writes JSON.
//
// A round pushes for a fixed time and then takes exactly what was pushed, so the server starts each round empty. An echo holds
// nothing, so it is drained of as many jobs as make a fair measurement, whatever it was "pushed".

import type { Side as OwnerSide } from '../load/spec.ts'
import type { Server } from '../servers/server.ts'
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

export interface BatchShape {
  queues: number
  dataBytes: number
  results: boolean
  ownerSide?: OwnerSide
  /** At most so many jobs are taken; absent, all. */
  drainJobsMax?: number
  /** Called with the queues before they are used. */
  prepare?: (queues: readonly string[]) => Promise<void>
}

/** The JSON echo is many times slower, so it is drained of fewer jobs. */
const jsonSlower = 5
const bars = { push: ratioAtLeast(0.35, 0.5), drain: ratioAtLeast(0.4, 0.6) }

export const batch: Scenario = {
  name: 'batch',
  peer: false,
  foreign: true,
  run: async (bench) => {
    for (const dataBytes of [standard.dataBytes, standard.largeDataBytes])
      await compare(bench, dataBytes)
  },
}

async function compare(bench: Bench, dataBytes: number): Promise<void> {
  const servers = [
    bench.startServer(1),
    bench.startEcho(dataBytes),
    bench.startEcho(dataBytes, 'json'),
  ] as const
  await withServers(servers, async ([server, bare, json]) => {
    const shape = { queues: 1, dataBytes, results: false }
    const echoShape = { ...shape, drainJobsMax: bench.mode.echoDrainJobs }
    const jsonShape = { ...shape, drainJobsMax: bench.mode.echoDrainJobs / jsonSlower }
    const side = (name: string, at: Server, as: BatchShape): Side => ({
      name,
      server: at,
      slices: () => pushAndDrain(bench, at, as),
    })
    const judged = dataBytes === standard.dataBytes
    // The large payload is shown beside the one with the bars, and gets fewer rounds.
    const rounds = judged ? bench.mode.rounds : Math.ceil(bench.mode.rounds / 2)
    const [push = [], drain = []] = await inTurn(rounds, [
      side('FlashQ', server, shape),
      side('echo', bare, echoShape),
      side('JSON echo', json, jsonShape),
    ])
    const add = (what: string, [ours, echo, jsonEcho]: Measured[], bar: typeof bars.push) => {
      if (ours === undefined || echo === undefined || jsonEcho === undefined) return
      const title = `${what}, 10 connections, 1 worker, ${dataBytes} B`
      addComparison(bench, {
        scenario: 'batch',
        what: title,
        sides: [ours, echo],
        ...(judged ? { bar } : {}),
      })
      addComparison(bench, {
        scenario: 'batch',
        what: title,
        sides: [ours, jsonEcho],
        note: 'JSON.parse of each frame, JSON.stringify of each reply, no work',
      })
    }
    add('PUSHB x 1,000', push, bars.push)
    add('PULLB + ACKB x 1,000', drain, bars.drain)
  })
}

/** One slice of pushing, then one that takes and acknowledges what was pushed. */
export async function pushAndDrain(
  bench: Bench,
  server: Server,
  shape: BatchShape,
): Promise<Slice[]> {
  const queues = Array.from({ length: shape.queues }, () => bench.newQueue('batch'))
  const { connections, batch: size } = standard
  const ownerSide = shape.ownerSide === undefined ? {} : { side: shape.ownerSide }
  await shape.prepare?.(queues)
  let perQueue: number[] = []
  const pushed = await timed(server, async () => {
    const result = await bench.load.run({
      kind: 'push',
      at: server.at,
      queues,
      connections,
      depth: 1,
      batch: size,
      dataBytes: shape.dataBytes,
      warmupMs: bench.mode.warmupMs,
      measureMs: bench.mode.sliceMs,
      ...ownerSide,
    })
    perQueue = result.perQueue ?? []
    return result
  })
  const perQueueMax = Math.ceil((shape.drainJobsMax ?? Number.POSITIVE_INFINITY) / shape.queues)
  const drained = await timed(server, () =>
    bench.load.run({
      kind: 'drain',
      at: server.at,
      queues,
      jobsPerQueue: perQueue.map((jobs) => Math.min(jobs, perQueueMax)),
      connections,
      batch: size,
      results: shape.results,
      ...ownerSide,
    }),
  )
  return [pushed, drained]
}
