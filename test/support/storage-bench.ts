// Nodes, workers and sessions on one schema of PostgreSQL, and everything that was made ends together.

import { randomUUID } from 'node:crypto'
import type { NetConnectOpts } from 'node:net'
import { Client, type QueryResultRow } from 'pg'
import type { Batch, Claim } from '../../src/engine/storage-port.ts'
import { applicationName } from '../../src/storage/postgres/claiming.ts'
import {
  Connection,
  type SessionListener,
  type SessionSettings,
} from '../../src/storage/postgres/connection.ts'
import { migrate } from '../../src/storage/postgres/migrate.ts'
import {
  PostgresStorage,
  type PostgresStorageOptions,
} from '../../src/storage/postgres/postgres-storage.ts'
import { openTestDatabase, type TestDatabase } from './database.ts'
import { eventually } from './eventually.ts'
import { OwnPostgres, queryOnce } from './own-postgres.ts'
import { textBatch } from './stored-shard.ts'
import { TcpProxy } from './tcp-proxy.ts'

/** What makes no checkpoint. */
const noCheckpoints = { checkpoint: async () => 'fenced' as const, stop: async () => {} }

export interface OwnedShard {
  readonly storage: PostgresStorage
  readonly claim: Claim
  readonly owner: string
}

export class StorageBench {
  readonly database: TestDatabase
  private readonly endings: (() => Promise<unknown>)[] = []

  constructor(database: TestDatabase) {
    this.database = database
  }

  static async onShared(): Promise<StorageBench> {
    const bench = new StorageBench(await openTestDatabase())
    await bench.migrated()
    return bench
  }

  /** With a PostgreSQL that may be stopped, frozen and configured. */
  static async onOwn(settings: Readonly<Record<string, string>> = {}): Promise<OwnBench> {
    const postgres = await OwnPostgres.open({ settings })
    const bench = new OwnBench(postgres)
    await bench.migrated()
    return bench
  }

  async migrated(): Promise<this> {
    await migrate(this.connection(), this.database.schema)
    return this
  }

  async close(): Promise<void> {
    await this.endAll()
    await this.database.drop()
  }

  /** What was made since, newest first. */
  async endAll(): Promise<void> {
    for (const end of this.endings.splice(0).reverse()) await end()
  }

  /** Ends with the others. */
  until(end: () => Promise<unknown>): void {
    this.endings.push(end)
  }

  settings(changes: Partial<SessionSettings> = {}): SessionSettings {
    const { url, schema } = this.database
    return {
      url,
      schema,
      applicationName: 'flashq:test',
      statementTimeoutMs: 20_000,
      answerTimeoutMs: 20_000,
      connectTimeoutMs: 10_000,
      lockTimeoutMs: 0,
      synchronousCommit: 'on',
      ...changes,
    }
  }

  connection(changes: Partial<SessionSettings> = {}, listener?: SessionListener): Connection {
    const connection = new Connection(this.settings(changes), listener)
    this.until(() => connection.close())
    return connection
  }

  /** A session of somebody else. */
  async stranger(): Promise<Client> {
    const client = new Client({ connectionString: this.database.url })
    client.on('error', () => undefined)
    await client.connect()
    this.until(() => client.end().catch(() => undefined))
    return client
  }

  sql<Row extends QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    return queryOnce<Row>(this.database.url, text, values)
  }

  /** A node's row, as its primary would write it. */
  async node(expiresIn = '1 hour'): Promise<string> {
    const node = randomUUID()
    await this.sql(
      `insert into ${this.database.schema}.node (node, expires_at, host, pid, process, version)
       values ($1, clock_timestamp() + $2::interval, 'elsewhere', 1, '', '0')`,
      [node, expiresIn],
    )
    return node
  }

  async worker(
    node: string,
    changes: Partial<PostgresStorageOptions> = {},
  ): Promise<PostgresStorage & { readonly owner: string }> {
    const { url, schema } = this.database
    const owner = changes.owner ?? randomUUID()
    const storage = new PostgresStorage({
      url,
      schema,
      durability: 'sync',
      node,
      owner,
      connections: 2,
      checkpoints: noCheckpoints,
      ...changes,
    })
    this.until(() => storage.stop())
    await storage.start()
    return Object.assign(storage, { owner })
  }

  async owned(
    shard: number,
    node: string,
    changes?: Partial<PostgresStorageOptions>,
  ): Promise<OwnedShard> {
    const storage = await this.worker(node, changes)
    const [claim] = await storage.claim([shard])
    if (claim === undefined) throw new Error(`shard ${shard} was not claimed`)
    return { storage, claim, owner: storage.owner }
  }

  /** What the journal of a shard has, in order. */
  async positions(shard: number): Promise<number[]> {
    const rows = await this.sql<{ position: string }>(
      `select position from ${this.database.schema}.journal where slot in ($1, $2) order by position`,
      [shard * 2, shard * 2 + 1],
    )
    return rows.map((row) => Number(row.position))
  }

  /** Where PostgreSQL listens. */
  get target(): NetConnectOpts {
    const { host, port } = new Client({ connectionString: this.database.url })
    return host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port }
  }

  /** The same database, at a port of the loopback that leads there. */
  urlAt(port: number): string {
    const { user, database, password } = new Client({ connectionString: this.database.url })
    const secret = typeof password === 'string' && password !== '' ? `:${password}` : ''
    return `postgresql://${user}${secret}@127.0.0.1:${port}/${database}`
  }

  async proxy(): Promise<{ readonly proxy: TcpProxy; readonly url: string }> {
    const proxy = await new TcpProxy(() => this.target).start()
    this.until(() => proxy.stop())
    return { proxy, url: this.urlAt(proxy.port) }
  }

  /** Resolves when so many sessions of that name wait: for a lock, or for the synchronous standby. */
  waiting(id: string, event: string, count = 1): Promise<void> {
    return eventually(`${id} waits: ${event}`, 10_000, async () => {
      const rows = await this.sql(
        `select from pg_stat_activity where application_name = $1 and $2 in (wait_event, wait_event_type)`,
        [applicationName(id), event],
      )
      return rows.length >= count
    })
  }

  /** Ends what they do, or them; returns how many there were. */
  async signal(id: string, how: 'pg_terminate_backend' | 'pg_cancel_backend'): Promise<number> {
    const rows = await this.sql(
      `select ${how}(pid) from pg_stat_activity where application_name = $1 and state = 'active'`,
      [applicationName(id)],
    )
    return rows.length
  }
}

export class OwnBench extends StorageBench {
  readonly postgres: OwnPostgres

  constructor(postgres: OwnPostgres) {
    super({ url: postgres.url, schema: 'flashq', drop: () => postgres.destroy() })
    this.postgres = postgres
  }
}

export function batch(position: number, side = 0): Batch {
  return textBatch(position, side, `batch ${position}`)
}
