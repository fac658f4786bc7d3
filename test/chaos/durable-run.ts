// A durable server for a run: a PostgreSQL of its own, a proxy before it, and the server on top.

import { onTestFinished } from 'vitest'
import { OwnPostgres } from '../support/own-postgres.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { type Fault, processFaults } from './faults.ts'
import { armTrigger, postgresFaults, socketOf, urlThrough, wayFaults } from './postgres-faults.ts'
import { ChaosServer } from './server.ts'

const SCHEMA = 'flashq'
/** Nothing that finishes during a run is forgotten in it. */
export const RETENTION = { RETENTION_COUNT: '1000000', RETENTION_MB: '1024' }

export interface DurableRun {
  readonly postgres: OwnPostgres
  readonly schema: string
  /** Between the server and PostgreSQL. */
  readonly proxy: TcpProxy
  readonly server: ChaosServer
}

export interface DurableOptions {
  readonly settings?: Readonly<Record<string, string>>
  /** `on` where PostgreSQL's machine may lose power; what is killed here loses nothing that was written. */
  readonly fsync?: 'on' | 'off'
  /** Without the proxy, and without what raises errors. */
  readonly direct?: boolean
}

/** Everything ends with the test. */
export async function durableRun(options: DurableOptions = {}): Promise<DurableRun> {
  const { settings = {}, fsync = 'off', direct = false } = options
  const postgres = await OwnPostgres.open({ settings: { fsync, max_connections: '60' } })
  onTestFinished(() => postgres.destroy())
  const proxy = await new TcpProxy(() => socketOf(postgres)).start()
  onTestFinished(() => proxy.stop())
  const server = new ChaosServer({
    ...RETENTION,
    WORKERS: '3',
    DATABASE_URL: direct ? postgres.url : urlThrough(proxy, postgres),
    // So that runs of seconds make some.
    CHECKPOINT_MB: '1',
    ...settings,
  })
  const run = { postgres, schema: SCHEMA, proxy, server }
  await server.start()
  if (!direct) await armTrigger(run)
  return run
}

/** Everything that can be done to it. */
export function storms(run: DurableRun): Fault[] {
  return [...processFaults(run.server), ...postgresFaults(run), ...wayFaults(run.proxy)]
}
