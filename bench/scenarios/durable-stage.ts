// What the durable scenarios share: one PostgreSQL with a database for each product, the peers, and FlashQ in its modes.

import { fileURLToPath } from 'node:url'
import { nativePeersOrSkip, npmPeersOrSkip, postgresPeersOrSkip } from '../peers/available.ts'
import type { PostgresPeers } from '../peers/install.ts'
import type { PeerResult, PeerSpec } from '../peers/spec.ts'
import { Driver } from '../servers/driver.ts'
import { Postgres } from '../servers/postgres.ts'
import { startDurableRedis } from '../servers/redis.ts'
import type { FlashQOptions, Server } from '../servers/server.ts'
import type { Usage } from '../servers/usage.ts'
import type { Bench } from './bench.ts'
import type { Measured } from './compare.ts'

const drivers = {
  pgBoss: fileURLToPath(new URL('../peers/pgboss-driver.js', import.meta.url)),
  graphileWorker: fileURLToPath(new URL('../peers/graphile-driver.js', import.meta.url)),
  bullMq: fileURLToPath(new URL('../peers/bullmq-driver.js', import.meta.url)),
}

export interface Peer {
  name: string
  /** Keeps its jobs in the same PostgreSQL as FlashQ: the bars are of these. */
  isOnPostgres: boolean
  url: string
  driver: Driver<PeerSpec, PeerResult>
  /** Of the product's own code, which is a library in the driver, and of its server if it has one; without PostgreSQL. */
  usage(): Usage | undefined
}

export interface Stage {
  postgres: Postgres
  peers: readonly Peer[]
  /** The Node that they need, newer than the product's; undefined without peers. */
  newerNode: string | undefined
  /** A server with a database of its own; with one worker unless told. */
  startFlashQ(durability: 'sync' | 'async', more?: FlashQOptions): Promise<Server>
  /** Starts nothing: settings of a server with a fresh database. */
  settings(durability: 'sync' | 'async'): Promise<Record<string, string>>
}

/** Everything is stopped when `use` has ended, however it ends. */
export async function withStage(
  bench: Bench,
  scenario: string,
  wantsPeers: boolean,
  use: (stage: Stage) => Promise<void>,
): Promise<void> {
  const postgres = await Postgres.start()
  const ends: (() => Promise<void>)[] = [() => postgres.stop()]
  let databases = 0
  try {
    bench.report.remark(`durable: ${await postgres.describe()}`)
    const flushMs = postgres.flushMs().toFixed(2)
    bench.report.remark(`${scenario}: write and fdatasync of 8 KiB took ${flushMs} ms`)
    const settings = async (durability: 'sync' | 'async') => {
      databases += 1
      const url = await postgres.database(`flashq_${databases}`)
      return { DATABASE_URL: url, DURABILITY: durability }
    }
    const onPostgres = wantsPeers
      ? postgresPeersOrSkip(bench, scenario, 'against pg-boss and graphile-worker')
      : undefined
    const peers: Peer[] = []
    if (onPostgres !== undefined) peers.push(...(await startOnPostgres(onPostgres, postgres, ends)))
    if (wantsPeers) peers.push(...(await startBullMq(bench, scenario, ends)))
    await use({
      postgres,
      peers,
      newerNode: onPostgres?.node,
      settings,
      startFlashQ: async (durability, { workers = 1, settings: others = {}, ...more } = {}) =>
        bench.startServer(workers, {
          ...more,
          settings: { ...(await settings(durability)), ...others },
        }),
    })
  } finally {
    for (const end of ends.reverse()) await end()
  }
}

async function startOnPostgres(
  { node, modules }: PostgresPeers,
  postgres: Postgres,
  ends: (() => Promise<void>)[],
): Promise<Peer[]> {
  const peers: Peer[] = []
  for (const { name, path, database } of [
    { name: 'pg-boss', path: drivers.pgBoss, database: 'pgboss' },
    { name: 'graphile-worker', path: drivers.graphileWorker, database: 'graphile' },
  ]) {
    const driver = startDriver(name, node, path, modules)
    ends.push(() => driver.end())
    const url = await postgres.database(database)
    peers.push({ name, isOnPostgres: true, url, driver, usage: () => driver.usage() })
  }
  return peers
}

async function startBullMq(
  bench: Bench,
  scenario: string,
  ends: (() => Promise<void>)[],
): Promise<Peer[]> {
  const native = nativePeersOrSkip(bench, scenario, 'against BullMQ + Redis')
  const npm = npmPeersOrSkip(bench, scenario, 'against BullMQ + Redis')
  if (native === undefined || npm === undefined) return []
  const redis = await startDurableRedis(native.redis, native.libraries)
  ends.push(() => redis.stop())
  const driver = startDriver('BullMQ', process.execPath, drivers.bullMq, npm.modules)
  ends.push(() => driver.end())
  return [
    {
      name: 'BullMQ, appendfsync always',
      isOnPostgres: false,
      url: `redis://${redis.at.host}:${redis.at.port}`,
      driver,
      usage: () => added(driver.usage(), redis.usage()),
    },
  ]
}

function startDriver(
  name: string,
  node: string,
  path: string,
  modules: string,
): Driver<PeerSpec, PeerResult> {
  return new Driver(`the driver of ${name}`, node, [path, modules])
}

function added(one: Usage | undefined, other: Usage | undefined): Usage | undefined {
  if (one === undefined || other === undefined) return undefined
  return { cpuMs: one.cpuMs + other.cpuMs, rssBytes: one.rssBytes + other.rssBytes }
}

/** The quickest of those on PostgreSQL: what the bars are about. */
export function bestOf(stage: Stage, measured: readonly Measured[]): Measured | undefined {
  return measured
    .filter(({ name }) => stage.peers.some((peer) => peer.isOnPostgres && peer.name === name))
    .toSorted((a, b) => b.perSecond - a.perSecond)[0]
}
