// What survives, in PostgreSQL: one worker's `Storage`.
//
//   append ─▶ a few sessions, any number of shards waiting for them
//   claim, release, reserve, emptySide ─▶ a session of their own: ownership never waits behind data
//   load ─▶ one of two, while it lasts        checkpoint ─▶ a thread with its own
//
// 1. Whatever writes for a shard is fenced: owner and epoch are checked by the statement that writes (ADR 7).
// 2. An append may be repeated any number of times, also while an earlier attempt is under way or after it has
//    committed unnoticed: it is stored once.
// 3. A batch is only stored behind its predecessor. When PostgreSQL has lost what it had confirmed (a failover to a
//    standby that lagged, a restored backup, a crash in async mode), the append fails with the fault `lost`: the
//    owner's state has a past that storage has not, and must be loaded anew.
//
// Neighbours: `statements.ts`, `claiming.ts`, `checkpoint/` do it; `src/engine/storage-port.ts` says what it must do.

import type { Seq, ShardId } from '../../engine/job-id.ts'
import {
  type Appended,
  type Batch,
  type CheckpointMade,
  type Claim,
  type Loaded,
  type ShardReader,
  type Storage,
  StorageFault,
} from '../../engine/storage-port.ts'
import type { Fence } from './checkpoint/fence.ts'
import { loadShard } from './checkpoint/load.ts'
import { applicationName, claimShards, type Taken } from './claiming.ts'
import { Connection, type SessionSettings } from './connection.ts'
import { ConnectionPool } from './connection-pool.ts'
import { Statements } from './statements.ts'

export interface PostgresStorageOptions {
  readonly url: string
  readonly schema: string
  readonly durability: 'sync' | 'async'
  /** Uuid of the primary process; its lease is what keeps other nodes away (`membership.ts`). */
  readonly node: string
  /** Uuid of this worker process. */
  readonly owner: string
  /** Sessions that append. */
  readonly connections: number
  readonly checkpoints: Checkpointer
}

/** Makes checkpoints for this worker. */
interface Checkpointer {
  checkpoint(fence: Fence, covered: number): Promise<CheckpointMade | 'fenced'>
  stop(): Promise<void>
}

const CONNECT_TIMEOUT_MS = 2000
const STATEMENT_TIMEOUT_MS = 4000
const ANSWER_TIMEOUT_MS = 5000
/** An append under way elsewhere, or a claim, has the row for less than that, or hangs. */
const LOCK_TIMEOUT_MS = 3000
/** A batch may take this much longer for each of its bytes: the slowest way to PostgreSQL that works. */
const BYTES_PER_MS_MIN = 500
/** Shards that are loaded at the same time. */
const LOADERS = 2
/** What empties a side waits for its readers this long. Whatever reads the side, appends too, queues behind it. */
const EMPTY_LOCK_TIMEOUT_MS = 50
/** How often one append asks again by itself after it had to wait for an earlier attempt. */
const APPEND_LOOKS_MAX = 3

export class PostgresStorage implements Storage {
  private readonly options: PostgresStorageOptions
  private readonly statements: Statements
  private readonly control: Connection
  private readonly appenders: ConnectionPool
  private readonly loaders: ConnectionPool
  private readonly taken = new Map<ShardId, Taken>()

  constructor(options: PostgresStorageOptions) {
    this.options = options
    this.statements = new Statements(options.schema)
    this.control = new Connection(this.settings('on'))
    const commit = options.durability === 'sync' ? 'on' : 'off'
    this.appenders = new ConnectionPool(
      options.connections,
      () => new Connection(this.settings(commit)),
    )
    this.loaders = new ConnectionPool(LOADERS, () => new Connection(this.settings('on')), true)
  }

  async start(): Promise<void> {
    await this.control.connect()
  }

  async stop(): Promise<void> {
    await Promise.all([
      this.options.checkpoints.stop(),
      this.control.close(),
      this.appenders.close(),
      this.loaders.close(),
    ])
  }

  async claim(shards: readonly ShardId[]): Promise<readonly Claim[]> {
    const taken = await claimShards(this.control, this.statements, this.options, shards)
    for (const claim of taken) this.taken.set(claim.shard, claim)
    return taken.map(({ shard, epoch }) => ({ shard, epoch }))
  }

  async release({ shard, epoch }: Claim): Promise<void> {
    await this.control.query(this.statements.release, [shard, this.options.owner, epoch])
  }

  async load(claim: Claim, into: ShardReader): Promise<Loaded> {
    const { schema } = this.options
    const loaded = await this.loaders.use((connection) =>
      loadShard(connection, schema, this.fence(claim), into),
    )
    const taken = this.taken.get(claim.shard)
    return { ...loaded, foreign: taken?.epoch === claim.epoch && taken.foreign }
  }

  append(claim: Claim, batch: Batch): Promise<Appended> {
    return this.appenders.use((connection) => this.appendThrough(connection, claim, batch))
  }

  async reserve({ shard, epoch }: Claim, to: Seq): Promise<Appended> {
    const { owner } = this.options
    const { rows } = await this.control.query(this.statements.reserve, [shard, owner, epoch, to])
    return rows.length === 0 ? 'fenced' : 'durable'
  }

  checkpoint(claim: Claim, covered: number): Promise<CheckpointMade | 'fenced'> {
    return this.options.checkpoints.checkpoint(this.fence(claim), covered)
  }

  async emptySide({ shard, epoch }: Claim, side: number): Promise<boolean> {
    const { lock, covered, truncate } = this.statements.emptying(shard, side)
    try {
      return await this.control.transaction(async (session) => {
        await session.query({
          name: '',
          text: `set local lock_timeout = ${EMPTY_LOCK_TIMEOUT_MS}`,
        })
        await session.query(lock)
        const { rows } = await session.query(covered, [shard, this.options.owner, epoch])
        if (rows.length > 0) await session.query(truncate)
        return rows.length > 0
      })
    } catch (error) {
      const isInTheWay =
        error instanceof StorageFault && (error.code === '55P03' || error.code === '40P01')
      if (isInTheWay) return false
      throw error
    }
  }

  private async appendThrough(
    connection: Connection,
    claim: Claim,
    { position, side, count, bytes }: Batch,
  ): Promise<Appended> {
    const statement = this.statements.append(claim.shard, side)
    const values = [claim.shard, this.options.owner, claim.epoch, position, count, bytes]
    const answerTimeoutMs = ANSWER_TIMEOUT_MS + bytes.length / BYTES_PER_MS_MIN
    for (let look = 1; look <= APPEND_LOOKS_MAX; look++) {
      const { rows } = await connection.query<AppendRow>(statement, values, answerTimeoutMs)
      const row = rows[0]
      if (row === undefined || !row.owned) return 'fenced'
      if (row.inserted || row.stored_epoch === claim.epoch) return 'durable'
      if (!row.preceded) throw lostFault(claim, position)
      if (row.stored_epoch !== null) throw collisionFault(claim, position, row.stored_epoch)
      // An earlier attempt has committed while this one waited for it, too late for this one to see.
    }
    throw new StorageFault('contended', `batch ${position} of shard ${claim.shard}`, true)
  }

  private fence({ shard, epoch }: Claim): Fence {
    return { shard, epoch, owner: this.options.owner }
  }

  private settings(synchronousCommit: 'on' | 'off'): SessionSettings {
    return {
      url: this.options.url,
      schema: this.options.schema,
      applicationName: applicationName(this.options.owner),
      statementTimeoutMs: STATEMENT_TIMEOUT_MS,
      answerTimeoutMs: ANSWER_TIMEOUT_MS,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      lockTimeoutMs: LOCK_TIMEOUT_MS,
      synchronousCommit,
    }
  }
}

interface AppendRow {
  owned: boolean
  preceded: boolean
  inserted: boolean
  stored_epoch: number | null
}

function lostFault({ shard }: Claim, position: number): StorageFault {
  return new StorageFault(
    'lost',
    `PostgreSQL no longer has batch ${position - 1} of shard ${shard}, which it had confirmed: it has crashed with DURABILITY=async, failed over to a standby that lagged, or was restored from a backup`,
    false,
  )
}

function collisionFault({ shard, epoch }: Claim, position: number, stored: number): StorageFault {
  return new StorageFault(
    'collision',
    `batch ${position} of shard ${shard} was stored at epoch ${stored}, and this is epoch ${epoch}`,
    false,
  )
}
