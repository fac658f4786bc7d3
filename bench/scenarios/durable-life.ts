// The life of a job in batches: push x 1,000, then pull and acknowledge x 1,000, on ten connections, one queue, one worker.
//
// Sides: FlashQ with DURABILITY sync and async, without a database, and on the Node that the peers need; pg-boss and graphile-worker
// on the same PostgreSQL; BullMQ on a Redis that flushes each write. A life is a push and a take: its rate is that of both
// one after the other, so a peer may be drained of fewer jobs than it was given.

import type { Bar } from '../report/row.ts'
import type { Server } from '../servers/server.ts'
import { pushAndDrain } from './batch.ts'
import { type Bench, type Scenario, standard, withServers } from './bench.ts'
import {
  addComparison,
  inTurn,
  type Measured,
  ratioAtLeast,
  type Side,
  type Slice,
} from './compare.ts'
import { type Cost, costOf, medianCost, readCosts, sumOf } from './durable-costs.ts'
import { bestOf, type Peer, type Stage, withStage } from './durable-stage.ts'

const name = 'durable-life'
const names = {
  sync: 'FlashQ sync',
  async: 'FlashQ async',
  memory: 'FlashQ in memory',
  newer: 'FlashQ sync, Node 24',
}
const concurrency = 100
const peerSliceMsMin = 1000
const where = 'one queue, 10 connections, 1 worker'

/** Of the lives of each side, round by round. */
type Costs = Map<string, Cost[]>

export const durableLife: Scenario = {
  name,
  peer: false,
  foreign: false,
  run: (bench) =>
    withStage(bench, name, true, (stage) => {
      const { newerNode } = stage
      const onNewerNode =
        newerNode === undefined ? [] : [stage.startFlashQ('sync', { node: newerNode })]
      const servers = [
        stage.startFlashQ('sync'),
        stage.startFlashQ('async'),
        bench.startServer(1),
        ...onNewerNode,
      ] as const
      return withServers(servers, async ([sync, async, memory, newer]) => {
        const costs: Costs = new Map()
        const measured = await inTurn(bench.mode.durable.rounds, [
          ourSide(bench, stage, names.sync, sync, costs),
          ourSide(bench, stage, names.async, async, costs),
          ourSide(bench, stage, names.memory, memory, costs),
          ...(newer === undefined ? [] : [ourSide(bench, stage, names.newer, newer, costs)]),
          ...stage.peers.map((peer) => peerSide(bench, stage, peer, costs)),
        ])
        report(bench, stage, measured)
        reportCosts(bench, stage, costs)
      })
    }),
}

function ourSide(bench: Bench, stage: Stage, side: string, server: Server, costs: Costs): Side {
  const slices = async (): Promise<Slice[]> => {
    await stage.postgres.untilQuiet()
    const before = await readCosts(stage.postgres, server.usage)
    const [pushed, drained] = await pushAndDrain(bench, server, {
      queues: 1,
      dataBytes: standard.dataBytes,
      results: false,
    })
    if (pushed === undefined || drained === undefined) return []
    note(costs, side, costOf(before, await readCosts(stage.postgres, server.usage), drained.jobs))
    return [pushed, drained, life(pushed, drained)]
  }
  return { name: side, server, slices }
}

/** `peerJobs` bounds what is taken in a round; the rest is thrown away. */
function peerSide(bench: Bench, { postgres }: Stage, peer: Peer, costs: Costs): Side {
  const { url, driver, usage } = peer
  const { connections, batch, dataBytes } = standard
  const measureMs = Math.max(bench.mode.sliceMs, peerSliceMsMin)
  const slices = async (): Promise<Slice[]> => {
    await postgres.untilQuiet()
    const queue = bench.newQueue('life')
    const start = await readCosts(postgres, usage)
    const pushed = await driver.run({
      op: 'push',
      url,
      queue,
      connections,
      batch,
      dataBytes,
      measureMs,
    })
    const pushCost = costOf(start, await readCosts(postgres, usage), pushed.jobs)
    if (peer.isOnPostgres) await postgres.vacuum(url)
    const half = await readCosts(postgres, usage)
    const jobs = Math.floor(Math.min(pushed.jobs, bench.mode.peerJobs) / batch) * batch
    const taken = await driver.run({
      op: 'take',
      url,
      queue,
      connections,
      batch,
      concurrency,
      jobs,
    })
    const end = await readCosts(postgres, usage)
    note(costs, peer.name, sumOf(pushCost, costOf(half, end, taken.jobs)))
    await driver.run({ op: 'reset', url })
    const slicesOf = [pushed, taken].map((one) => ({ ...one, cpuMs: undefined }))
    const [push, take] = slicesOf
    return push === undefined || take === undefined ? [] : [push, take, life(push, take)]
  }
  return { name: peer.name, server: undefined, slices }
}

function note(costs: Costs, side: string, cost: Cost): void {
  const known = costs.get(side)
  // The first round warms up and does not count.
  if (known === undefined) costs.set(side, [])
  else known.push(cost)
}

/** A push and a take, one after the other. */
function life(pushed: Slice, taken: Slice): Slice {
  const cpuMs =
    pushed.cpuMs === undefined || taken.cpuMs === undefined ? undefined : pushed.cpuMs + taken.cpuMs
  return {
    perSecond: 1 / (1 / pushed.perSecond + 1 / taken.perSecond),
    jobs: taken.jobs,
    cpuMs,
  }
}

function report(bench: Bench, stage: Stage, measured: Measured[][]): void {
  const [push = [], take = [], lives = []] = measured
  const things = [
    { sides: push, what: `durable: push x 1,000, ${where}` },
    { sides: take, what: `durable: pull + ack x 1,000, ${where}` },
    { sides: lives, what: `durable: push, pull, ack x 1,000, ${where}` },
  ]
  for (const { sides, what } of things) {
    const isLife = sides === lives
    const of = (side: string) => sides.find((one) => one.name === side)
    const add = (title: string, one: string, other: string, bar?: Bar) => {
      const pair = [of(one), of(other)].filter((side) => side !== undefined)
      if (pair.length < 2) return
      addComparison(bench, {
        scenario: name,
        what: title,
        sides: pair,
        ...(bar === undefined || !isLife ? {} : { bar }),
      })
    }
    const best = bestOf(stage, sides)?.name
    for (const peer of stage.peers)
      add(what, names.sync, peer.name, peer.name === best ? ratioAtLeast(10, 30) : undefined)
    add(what, names.sync, names.memory, ratioAtLeast(0.2, 0.5))
    add(`${what}, async`, names.async, names.memory)
    add(`${what}, Node 24`, names.newer, names.sync)
  }
}

function reportCosts(bench: Bench, stage: Stage, costs: Costs): void {
  const ours = medianCost(costs.get(names.sync) ?? [])
  const figures = [
    { key: 'walBytes', what: 'WAL per job life', unit: 'B' },
    { key: 'databaseCpuUs', what: 'CPU of PostgreSQL per job life, appends alone', unit: 'µs' },
    { key: 'ownCpuUs', what: 'CPU of the product itself per job life', unit: 'µs' },
  ] as const
  for (const { key, what, unit } of figures) {
    const title = `durable: ${what}, x 1,000, 1 worker`
    const value = ours[key]
    const peers = stage.peers.filter((peer) => peer.isOnPostgres || key === 'ownCpuUs')
    if (peers.length === 0) bench.report.add({ scenario: name, what: title, value, unit })
    for (const peer of peers) {
      const against = { name: peer.name, value: medianCost(costs.get(peer.name) ?? [])[key] }
      const ratio = value / against.value
      bench.report.add({ scenario: name, what: title, value, unit, against, ratio })
    }
    bench.log(`  ${title}: ${value.toFixed(2)} ${unit}`)
  }
}
