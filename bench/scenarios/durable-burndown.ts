// A backlog of waiting jobs worked off in one go; and what lives cost PostgreSQL when checkpoints and history are counted in.
//
// The costs of `durable-life` end with each slice, while a checkpoint comes once in many thousand jobs and runs beside them. Here one
// server lives through so many jobs that several are made, and the last one is waited for.

import pg from 'pg'
import type { Bar, Row } from '../report/row.ts'
import type { Server } from '../servers/server.ts'
import { type Bench, type Scenario, standard, withServers } from './bench.ts'
import { type Cost, costOf, readCosts, sumOf } from './durable-costs.ts'
import { type Peer, type Stage, withStage } from './durable-stage.ts'

const name = 'durable-burndown'
const concurrency = 100
/** A peer may be this slow. */
const peerPerSecondMin = 500
const costBar: Bar = { judges: 'value', sense: 'most', bar: 6, aim: 3 }
/** First, so that code is warm on all sides. */
const warmPart = 10
const livesPerTurn = 100_000

interface Burned {
  name: string
  perSecond: number
  livesPerSecond: number
  /** Of a whole life: pushed, waiting behind all the others, taken. */
  cost: Cost
}

export const durableBurndown: Scenario = {
  name,
  peer: false,
  foreign: false,
  run: (bench) =>
    withStage(bench, name, true, async (stage) => {
      const settings = await stage.settings('sync')
      await withServers([bench.startServer(1, { settings })], async ([server]) => {
        const { burnJobs } = bench.mode.durable
        const warmJobs = burnJobs / warmPart
        await burn(bench, stage, server, bench.newQueue('warm'), warmJobs)
        await stage.postgres.untilQuiet()
        const ours = await burn(bench, stage, server, bench.newQueue('burn'), burnJobs)
        const peers: Burned[] = []
        for (const peer of stage.peers) {
          await burnPeer(bench, stage, peer, warmJobs)
          peers.push(await burnPeer(bench, stage, peer, burnJobs))
        }
        report(bench, ours, peers)
        await reportCosts(bench, stage, server, settings['DATABASE_URL'] ?? '', peers)
      })
    }),
}

async function burn(
  bench: Bench,
  { postgres }: Stage,
  server: Server,
  queue: string,
  burnJobs: number,
): Promise<Burned> {
  const { connections, batch, dataBytes } = standard
  const before = await readCosts(postgres, server.usage)
  const startMs = performance.now()
  const pushed = await bench.load.run({
    kind: 'push',
    at: server.at,
    queues: [queue],
    connections,
    depth: 1,
    batch,
    dataBytes,
    warmupMs: 0,
    measureMs: 600_000,
    jobsMax: burnJobs,
  })
  const taken = await bench.load.run({
    kind: 'drain',
    at: server.at,
    queues: [queue],
    jobsPerQueue: [pushed.jobs],
    connections,
    batch,
    results: false,
  })
  const elapsedMs = performance.now() - startMs
  return {
    name: 'FlashQ sync',
    perSecond: taken.perSecond,
    livesPerSecond: (taken.jobs * 1000) / elapsedMs,
    cost: costOf(before, await readCosts(postgres, server.usage), taken.jobs),
  }
}

async function burnPeer(
  bench: Bench,
  { postgres }: Stage,
  peer: Peer,
  burnJobs: number,
): Promise<Burned> {
  await postgres.untilQuiet()
  const queue = bench.newQueue('burn')
  const { url, driver, usage } = peer
  const { connections, batch, dataBytes } = standard
  const limitMs = (burnJobs / peerPerSecondMin) * 1000
  const before = await readCosts(postgres, usage)
  const pushed = await driver.run({
    op: 'push',
    url,
    queue,
    connections,
    batch,
    dataBytes,
    measureMs: limitMs,
    jobsMax: burnJobs,
  })
  const pushCost = costOf(before, await readCosts(postgres, usage), pushed.jobs)
  if (peer.isOnPostgres) await postgres.vacuum(url)
  const half = await readCosts(postgres, usage)
  const taken = await driver.run(
    { op: 'take', url, queue, connections, batch, concurrency, jobs: pushed.jobs },
    limitMs,
  )
  const cost = sumOf(pushCost, costOf(half, await readCosts(postgres, usage), taken.jobs))
  await driver.run({ op: 'reset', url })
  return {
    name: peer.name,
    perSecond: taken.perSecond,
    livesPerSecond: 1 / (1 / pushed.perSecond + 1 / taken.perSecond),
    cost,
  }
}

function report(bench: Bench, ours: Burned, peers: readonly Burned[]): void {
  const jobs = bench.mode.durable.burnJobs
  const what = `durable: ${jobs} waiting jobs worked off, one queue, 10 connections, 1 worker`
  const row: Row = { scenario: name, what, value: ours.perSecond, unit: '/s' }
  const note = `${((jobs * 1000) / ours.perSecond).toFixed(0)} ms; one round`
  if (peers.length === 0) bench.report.add({ ...row, note })
  for (const peer of peers) {
    const against = { name: peer.name, value: peer.perSecond }
    bench.report.add({ ...row, against, ratio: ours.perSecond / peer.perSecond, note })
  }
  const others = peers.map((peer) => `, ${Math.round(peer.perSecond)}/s ${peer.name}`)
  bench.log(`  ${what}: ${Math.round(ours.perSecond)}/s${others.join('')}`)
}

async function reportCosts(
  bench: Bench,
  stage: Stage,
  server: Server,
  url: string,
  peers: readonly Burned[],
): Promise<void> {
  const { postgres } = stage
  const lives = bench.mode.durable.costJobs
  // One shard, whose journal becomes long enough for checkpoints.
  const queue = bench.newQueue('cost')
  await postgres.untilQuiet()
  const before = await readCosts(postgres, server.usage)
  const startMs = performance.now()
  for (let done = 0; done < lives; done += livesPerTurn)
    await burn(bench, stage, server, queue, Math.min(livesPerTurn, lives - done))
  const elapsedMs = performance.now() - startMs
  await postgres.untilQuiet()
  const cost = costOf(before, await readCosts(postgres, server.usage), lives)
  const made = await checkpointsIn(url)
  const note = `over ${lives} lives, the history of finished jobs and ${made} checkpoints included; of a peer, without vacuum afterwards`
  reportSustained(
    bench,
    (lives * 1000) / elapsedMs,
    peers,
    `over ${lives} lives, ${made} checkpoints made beside them`,
  )
  const figures = [
    { key: 'databaseCpuUs', what: 'CPU of PostgreSQL per job life', unit: 'µs', bar: costBar },
    { key: 'walBytes', what: 'WAL per job life', unit: 'B' },
    { key: 'ownCpuUs', what: 'CPU of the product itself per job life', unit: 'µs' },
  ] as const
  for (const { key, what, unit, ...rest } of figures) {
    const title = `durable: ${what}, x 1,000, checkpoints included, 1 worker`
    const row: Row = { scenario: name, what: title, value: cost[key], unit, note, ...rest }
    const known = peers.filter(
      (peer) =>
        key === 'ownCpuUs' || stage.peers.some((one) => one.isOnPostgres && one.name === peer.name),
    )
    const least = known.toSorted((a, b) => a.cost[key] - b.cost[key])[0]
    if (least === undefined) bench.report.add(row)
    else {
      const against = { name: least.name, value: least.cost[key] }
      bench.report.add({ ...row, against, ratio: cost[key] / against.value })
    }
    bench.log(`  ${title}: ${cost[key].toFixed(2)} ${unit}`)
  }
}

function reportSustained(
  bench: Bench,
  value: number,
  peers: readonly Burned[],
  note: string,
): void {
  const what = `durable: push, pull, ack x 1,000, ${livesPerTurn} at a time, checkpoints included, 1 worker`
  const row: Row = { scenario: name, what, value, unit: '/s', note }
  const best = peers.toSorted((a, b) => b.livesPerSecond - a.livesPerSecond)[0]
  if (best === undefined) bench.report.add(row)
  else {
    const against = { name: best.name, value: best.livesPerSecond }
    bench.report.add({ ...row, against, ratio: value / against.value })
  }
  bench.log(`  ${what}: ${Math.round(value)}/s`)
}

/** Of all shards together. */
async function checkpointsIn(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ made: string }>(
      'select sum(generation) as made from flashq.shard',
    )
    return Number(rows[0]?.made)
  } finally {
    await client.end()
  }
}
