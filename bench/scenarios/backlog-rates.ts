// Does pushing slow down when millions of jobs wait? Slices of pushes, at a backlog and without one, taken in turn.
//
//   turned over   a slice is pushed to a queue and as many jobs, the oldest, are taken from it: both servers work in memory that
//                 they have used before, and differ in the backlog only. This row carries the bar.
//   growing       a slice is pushed and stays: both servers touch all its memory for the first time.
//   emptied       a slice is pushed and taken: beside a growing server this compares the first touch of memory
//                 with its use, more than a backlog with none.
//
// Only the pushes count. A server that already runs is measured without a backlog before it is filled.

import type { PushSpec } from '../load/spec.ts'
import type { Server } from '../servers/server.ts'
import { millions } from './backlog-rows.ts'
import { type Bench, standard } from './bench.ts'
import { addComparison, inTurn, ratioAtLeast, type Side, type Slice, timed } from './compare.ts'

const { dataBytes, connections, batch } = standard
const fillMsMax = 120_000

/** Slices of a server before it is filled. */
export interface Before {
  readonly turnedOver: Slice[]
  readonly growing: Slice[]
  readonly emptied: Slice[]
}

export interface Rates {
  /** Holds the backlog of `full`. */
  readonly queue: string
  readonly full: Server
  readonly twin: Server
  readonly waiting: number
  readonly judged: boolean
  /** Of a server without a twin. */
  readonly before: Before | undefined
}

export function pushSpec(server: Server, queue: string, jobsMax: number): PushSpec {
  const load = { connections, depth: 1, batch, dataBytes, warmupMs: 0, measureMs: fillMsMax }
  return { kind: 'push', at: server.at, queues: [queue], ...load, jobsMax }
}

/** As many jobs leave the queue as came. */
export async function turnedOver(bench: Bench, server: Server, queue: string): Promise<Slice> {
  const slice = await growing(bench, server, queue)
  const jobsPerQueue = [slice.jobs]
  const load = { queues: [queue], jobsPerQueue, connections, batch, results: false }
  await bench.load.run({ kind: 'drain', at: server.at, ...load })
  return slice
}

/** Leaves the jobs of the growing slices in `queue`; the other ones leave nothing. */
export async function measureBefore(bench: Bench, server: Server, queue: string): Promise<Before> {
  const before: Before = { turnedOver: [], growing: [], emptied: [] }
  const own = bench.newQueue('before')
  for (let i = 0; i <= roundsOf(bench); i++) {
    before.turnedOver.push(await turnedOver(bench, server, own))
    before.emptied.push(await turnedOver(bench, server, bench.newQueue('before')))
  }
  for (let i = 0; i <= roundsOf(bench); i++) {
    before.growing.push(await growing(bench, server, queue))
  }
  return before
}

/** Adds the three rows. Gives the number of jobs that it left waiting in `full`. */
export async function addRates(bench: Bench, rates: Rates): Promise<number> {
  await addTurnedOver(bench, rates)
  if (rates.before !== undefined) return addGrowing(bench, rates, rates.full)
  const fresh = await bench.startServer(1)
  try {
    // As `full` was warmed. The memory of it is used up by the round that is thrown away.
    await turnedOver(bench, fresh, bench.newQueue('warm'))
    return await addGrowing(bench, rates, fresh)
  } finally {
    await fresh.stop()
  }
}

async function addTurnedOver(bench: Bench, rates: Rates): Promise<void> {
  const { queue, full, twin, waiting, before } = rates
  const own = bench.newQueue('twin')
  const at = side(full, `at ${millions(waiting)}`, () => turnedOver(bench, full, queue))
  const without = before?.turnedOver
  const empty = side(twin, 'no backlog, the same', () => turnedOver(bench, twin, own), without)
  const [sides] = await inTurn(roundsOf(bench), [at, empty])
  addComparison(bench, {
    scenario: 'backlog',
    what: `push rate at ${millions(waiting)} waiting jobs, as many taken as pushed, 1 worker`,
    sides,
    note: 'both in memory used before',
    ...(rates.judged ? { bar: ratioAtLeast(0.8, 0.95) } : {}),
  })
}

async function addGrowing(bench: Bench, rates: Rates, fresh: Server): Promise<number> {
  const { queue, full, twin, waiting, before } = rates
  let left = 0
  const grown = side(full, `growing at ${millions(waiting)}`, async () => {
    const slice = await growing(bench, full, queue)
    left += slice.jobs
    return slice
  })
  const own = bench.newQueue('fresh')
  const fromNothing = side(
    fresh,
    'growing from nothing',
    () => growing(bench, fresh, own),
    before?.growing,
  )
  const emptied = side(
    twin,
    'emptied each time',
    () => turnedOver(bench, twin, bench.newQueue('twin')),
    before?.emptied,
  )
  const [sides = []] = await inTurn(roundsOf(bench), [grown, fromNothing, emptied])
  const [one, two, three] = sides
  if (one === undefined || two === undefined || three === undefined) return left
  const what = `push rate while growing at ${millions(waiting)} waiting jobs, 1 worker`
  const cold = 'both touch memory for the first time'
  addComparison(bench, { scenario: 'backlog', what, sides: [one, two], note: cold })
  const warm = 'the first touch of memory against memory used before'
  addComparison(bench, { scenario: 'backlog', what, sides: [one, three], note: warm })
  return left
}

/** `taken` stand in for slices of a server that has no backlog any more. */
function side(server: Server, name: string, slice: () => Promise<Slice>, taken?: Slice[]): Side {
  let turn = 0
  return { name, server, slices: async () => [taken?.[turn++] ?? (await slice())] }
}

function growing(bench: Bench, server: Server, queue: string): Promise<Slice> {
  const load = pushSpec(server, queue, bench.mode.backlogSliceJobs)
  return timed(server, () => bench.load.run(load))
}

/** The slices are short, so there are more of them. */
function roundsOf(bench: Bench): number {
  return bench.mode.rounds * 2 - 1
}
