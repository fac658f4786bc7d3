// A session that holds an old snapshot, as a forgotten report or a backup does, under load: dead rows cannot be vacuumed
// meanwhile. Relation sizes and the time of a push are compared with those of the same load just before.
//
// 1. Checkpoints are made every MiB, so that sides of the journal are emptied many times in a minute; and few finished
//    jobs are kept, so that sizes are steady before they are compared.
// 2. History grows by what finishes, whoever looks: it is left out.

import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { LoadResult } from '../load/spec.ts'
import type { Bar } from '../report/row.ts'
import type { Server } from '../servers/server.ts'
import { type Bench, type Scenario, standard, withServers } from './bench.ts'
import { withStage } from './durable-stage.ts'

const name = 'durable-snapshot'
const queues = 4
const connections = 32
const sampleMs = 500
const settleMs = 10_000
const sizeBar: Bar = { judges: 'ratio', sense: 'most', bar: 1.5, aim: 1.2 }
const latencyBar: Bar = { judges: 'ratio', sense: 'most', bar: 2, aim: 1.2 }

/** Bytes. */
interface Sizes {
  /** Of all relations of FlashQ without history. */
  all: number
  /** Of those that are updated in place, and of PostgreSQL's catalog, where each emptied side leaves dead rows. */
  updated: number
}

interface Phase {
  load: LoadResult
  /** The largest seen. */
  sizes: Sizes
}

export const durableSnapshot: Scenario = {
  name,
  peer: false,
  foreign: false,
  run: (bench) =>
    withStage(bench, name, false, async (stage) => {
      const settings: Record<string, string> = await stage.settings('sync')
      settings['CHECKPOINT_MB'] = '1'
      settings['RETENTION_COUNT'] = '1000'
      const connectionString = settings['DATABASE_URL'] ?? ''
      await withServers([bench.startServer(1, { settings })], async ([server]) => {
        const { freeMs, heldMs } = bench.mode.durable
        const reader = new pg.Client({ connectionString })
        const holder = new pg.Client({ connectionString })
        await Promise.all([reader.connect(), holder.connect()])
        try {
          const names = Array.from({ length: queues }, () => bench.newQueue('snapshot'))
          await phase(bench, server, reader, names, Math.min(settleMs, freeMs))
          const free = await phase(bench, server, reader, names, freeMs)
          await holder.query('begin isolation level repeatable read')
          await holder.query('select count(*) from pg_class')
          const held = await phase(bench, server, reader, names, heldMs)
          await holder.query('rollback')
          report(bench, free, held)
        } finally {
          await Promise.all([reader.end(), holder.end()])
        }
      })
    }),
}

async function phase(
  bench: Bench,
  server: Server,
  reader: pg.Client,
  names: string[],
  measureMs: number,
): Promise<Phase> {
  const sizes: Sizes = { all: 0, updated: 0 }
  let goesOn = true
  const sampling = (async () => {
    while (goesOn) {
      const now = await sizesIn(reader)
      sizes.all = Math.max(sizes.all, now.all)
      sizes.updated = Math.max(sizes.updated, now.updated)
      await sleep(sampleMs)
    }
  })()
  try {
    const load = await bench.load.run({
      kind: 'cycle',
      wire: 'flashq',
      at: server.at,
      queues: names,
      connections,
      dataBytes: standard.largeDataBytes,
      warmupMs: 0,
      measureMs,
      pushLatency: true,
    })
    return { load, sizes }
  } finally {
    goesOn = false
    await sampling
  }
}

async function sizesIn(reader: pg.Client): Promise<Sizes> {
  const { rows } = await reader.query<{ all: string; updated: string }>(`
    select sum(bytes) filter (where not is_catalog) as all,
           sum(bytes) filter (where is_catalog or relname in ('node', 'shard', 'checkpoint')) as updated
      from (select relname, relnamespace = 'pg_catalog'::regnamespace as is_catalog, pg_total_relation_size(oid) as bytes
              from pg_class
             where relnamespace in ('pg_catalog'::regnamespace, 'flashq'::regnamespace)
               and relkind = 'r' and relname not like 'history%') as relations`)
  return { all: Number(rows[0]?.all), updated: Number(rows[0]?.updated) }
}

function report(bench: Bench, free: Phase, held: Phase): void {
  const seconds = Math.round(bench.mode.durable.heldMs / 1000)
  const against = 'the same load before'
  const kib = ({ sizes }: Phase) => Math.round(sizes.updated / 1024)
  const rates = `${Math.round(held.load.perSecond)} lives/s against ${Math.round(free.load.perSecond)}`
  const rows = [
    {
      what: `durable: largest size of all relations, a snapshot held for ${seconds} s`,
      unit: 'MiB',
      values: [free, held].map(({ sizes }) => sizes.all / 2 ** 20),
      bar: sizeBar,
      note: `history left out; what is updated in place, and the catalog: ${kib(held)} KiB against ${kib(free)}`,
    },
    {
      what: `durable: push until stored, p99, a snapshot held for ${seconds} s`,
      unit: 'ms',
      values: [free, held].map(({ load }) => load.latencyMs?.p99 ?? Number.NaN),
      bar: latencyBar,
      note: `${connections} connections push, pull and ack one by one, ${rates}; CHECKPOINT_MB 1, RETENTION_COUNT 1000`,
    },
  ]
  for (const { what, unit, values, bar, note } of rows) {
    const [before = Number.NaN, value = Number.NaN] = values
    const ratio = value / before
    bench.report.add({
      scenario: name,
      what,
      value,
      unit,
      against: { name: against, value: before },
      ratio,
      bar,
      note,
    })
    bench.log(`  ${what}: ${value.toFixed(2)} ${unit} against ${before.toFixed(2)} (${note})`)
  }
}
