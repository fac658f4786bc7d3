// One shard in PostgreSQL, as a worker keeps it: claimed, appended to, loaded, checkpointed.
//
// The journal is written with plain inserts: what guards them is tested elsewhere.

import { randomUUID } from 'node:crypto'
import { Restore } from '../../src/engine/restore.ts'
import { dumpState } from '../../src/engine/state-dump.ts'
import type { CheckpointMade } from '../../src/engine/storage-port.ts'
import { CheckpointMaker } from '../../src/storage/postgres/checkpoint/checkpoint-maker.ts'
import type { Fence } from '../../src/storage/postgres/checkpoint/fence.ts'
import { type LoadedShard, loadShard } from '../../src/storage/postgres/checkpoint/load.ts'
import { Connection, type SessionSettings } from '../../src/storage/postgres/connection.ts'
import { migrate } from '../../src/storage/postgres/migrate.ts'
import { RecordBatchReader, RecordBatchWriter } from '../../src/storage/record-batch.ts'

export interface Database {
  readonly url: string
  readonly schema: string
}

export function connectionTo(database: Database, applicationName = 'test'): Connection {
  return new Connection(sessionSettings(database, applicationName))
}

export function sessionSettings(
  { url, schema }: Database,
  applicationName: string,
): SessionSettings {
  return {
    url,
    schema,
    applicationName,
    statementTimeoutMs: 30_000,
    answerTimeoutMs: 30_000,
    connectTimeoutMs: 10_000,
    lockTimeoutMs: 10_000,
    synchronousCommit: 'on',
  }
}

export async function migrateDatabase(database: Database): Promise<void> {
  const connection = connectionTo(database)
  await migrate(connection, database.schema)
  await connection.close()
}

function eachRecord(bytes: Buffer, each: (record: Buffer) => void): void {
  const reader = new RecordBatchReader(bytes)
  for (let record = reader.next(); record !== null; record = reader.next()) each(record)
}

/** What the storage has of a shard, and how it looks. */
interface Recovered extends LoadedShard {
  readonly dump: string
}

export class PostgresShard {
  readonly shard: number
  readonly connection: Connection
  readonly maker: CheckpointMaker
  fence: Fence
  position = 0
  side = 0
  private readonly database: Database

  private constructor(database: Database, fence: Fence, historyDays: number) {
    const applicationName = `flashq:${fence.owner}`
    this.database = database
    this.shard = fence.shard
    this.fence = fence
    this.connection = connectionTo(database, applicationName)
    this.maker = new CheckpointMaker({ ...database, applicationName, historyDays })
  }

  /** Claimed anew: whoever had it before is fenced. */
  static async claim(database: Database, shard: number, historyDays = 7): Promise<PostgresShard> {
    const fence: Fence = { shard, owner: randomUUID(), epoch: 0 }
    const stored = new PostgresShard(database, fence, historyDays)
    const rows = await stored.rows<{ epoch: number }>(
      `update ${stored.table('shard')} set owner = $1, epoch = epoch + 1 where shard = $2 returning epoch`,
      [fence.owner, shard],
    )
    stored.fence = { ...fence, epoch: rows[0]?.epoch as number }
    return stored
  }

  table(name: string): string {
    return `"${this.database.schema}".${name}`
  }

  async rows<Row extends Record<string, unknown>>(
    text: string,
    values: readonly unknown[] = [],
  ): Promise<readonly Row[]> {
    return (await this.connection.query<Row>({ name: '', text }, values)).rows
  }

  async append(records: readonly Buffer[]): Promise<void> {
    const writer = new RecordBatchWriter()
    for (const record of records) writer.append(record)
    this.position++
    await this.rows(
      `insert into ${this.table('journal')} (slot, position, epoch, count, records) values ($1, $2, $3, $4, $5)`,
      [this.shard * 2 + this.side, this.position, this.fence.epoch, records.length, writer.seal()],
    )
  }

  /** Covers all that was appended, from the other side on. */
  async checkpoint(): Promise<CheckpointMade | 'fenced'> {
    const covered = this.position
    this.side = 1 - this.side
    const made = await this.maker.checkpoint(this.fence, covered)
    if (made !== 'fenced') await this.emptyOtherSide()
    return made
  }

  async emptyOtherSide(): Promise<void> {
    await this.rows(`truncate ${this.table(`journal_${this.shard * 2 + 1 - this.side}`)}`)
  }

  /** As if nothing had ever been stored of this shard. */
  async forget(): Promise<void> {
    const slots = [this.shard * 2, this.shard * 2 + 1]
    const tables = slots.flatMap((slot) => [`journal_${slot}`, `job_${slot}`])
    await this.rows(`truncate ${tables.map((name) => this.table(name)).join(', ')}`)
    await this.rows(`delete from ${this.table('checkpoint')} where shard = ${this.shard}`)
    await this.rows(
      `update ${this.table('shard')} set generation = 0, covered = 0 where shard = ${this.shard}`,
    )
  }

  async load(): Promise<Recovered> {
    const restore = new Restore(this.shard, eachRecord)
    const loaded = await loadShard(this.connection, this.database.schema, this.fence, restore)
    return { ...loaded, dump: dumpState(restore.state) }
  }

  /** Without looking at it. */
  loadOnly(): Promise<LoadedShard> {
    const restore = new Restore(this.shard, eachRecord)
    return loadShard(this.connection, this.database.schema, this.fence, restore)
  }

  async close(): Promise<void> {
    await this.maker.stop()
    await this.connection.close()
  }
}
