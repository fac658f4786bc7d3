// The storage of one worker in memory, for tests of what stands on the port: no disk, no waiting, and the very
// same contract (test/contract/storage.ts) as PostgreSQL.
//
// A worker dies by being forgotten; another `MemoryStorage` over the same `MemoryStore` finds what it left.

import { Restore } from '../../engine/restore.ts'
import { jobRows, metaOf } from '../../engine/snapshot.ts'
import {
  type Appended,
  type Batch,
  type CheckpointMade,
  type Claim,
  type JobRow,
  type Loaded,
  type ShardReader,
  type Storage,
  StorageFault,
} from '../../engine/storage-port.ts'
import { plainBytesOf, readRecordBatch } from '../record-batch.ts'
import {
  batchesBehind,
  type MemoryStore,
  newestPosition,
  type StoredCheckpoint,
  type StoredShard,
} from './memory-store.ts'

export interface MemoryOwner {
  /** Of the worker process. */
  readonly owner: string
  /** Of its primary. */
  readonly node: string
}

/** What the cells of a row that are numbers take, about. */
const ROW_BYTES = 128

export class MemoryStorage implements Storage {
  private readonly store: MemoryStore
  private readonly me: MemoryOwner
  /** By shard: what was so when it was claimed. */
  private readonly foreign = new Map<number, boolean>()

  constructor(store: MemoryStore, me: MemoryOwner) {
    this.store = store
    this.me = me
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}

  async claim(shards: readonly number[]): Promise<readonly Claim[]> {
    const { owner, node } = this.me
    const claims: Claim[] = []
    for (const shard of shards) {
      const stored = this.store.shard(shard)
      if (!this.mayTake(stored)) continue
      this.foreign.set(shard, stored.node !== null && stored.node !== node)
      stored.owner = owner
      stored.node = node
      stored.epoch++
      claims.push({ shard, epoch: stored.epoch })
    }
    return claims
  }

  async release(claim: Claim): Promise<void> {
    const stored = this.owned(claim)
    if (stored !== null) stored.owner = null
  }

  async load(claim: Claim, into: ShardReader): Promise<Loaded> {
    const stored = this.owned(claim)
    if (stored === null) {
      throw new StorageFault('fenced', `shard ${claim.shard} has another owner`, false)
    }
    const covered = readCheckpoint(stored.checkpoint, into)
    const batches = batchesBehind(stored, covered)
    let position = covered
    let journalBytes = 0
    for (const batch of batches) {
      if (batch.position !== position + 1) {
        const text = `shard ${claim.shard}: batch ${position + 1} of its journal is missing`
        throw new StorageFault('corrupt', text, false)
      }
      position = batch.position
      journalBytes += plainBytesOf(batch.bytes)
      into.batch(batch.bytes)
    }
    const side = newestPosition(stored.sides[1]) > newestPosition(stored.sides[0]) ? 1 : 0
    return {
      position,
      side,
      otherSideEmpty: stored.sides[1 - side]?.size === 0,
      journalBytes,
      checkpointBytes: stored.checkpoint?.bytes ?? 0,
      reservedTo: stored.reservedTo,
      foreign: this.foreign.get(claim.shard) ?? false,
    }
  }

  async append(claim: Claim, batch: Batch): Promise<Appended> {
    const stored = this.owned(claim)
    if (stored === null) return 'fenced'
    const { position } = batch
    const side = stored.sides[batch.side]
    const before = side?.get(position)
    if (before !== undefined) {
      if (before.epoch === claim.epoch) return 'durable'
      throw outOfOrder(claim, `batch ${position} is another owner's`)
    }
    if (!isFollowed(stored, position)) throw outOfOrder(claim, `batch ${position - 1} is missing`)
    side?.set(position, { position, epoch: claim.epoch, bytes: Buffer.from(batch.bytes) })
    return 'durable'
  }

  async reserve(claim: Claim, to: number): Promise<Appended> {
    const stored = this.owned(claim)
    if (stored === null) return 'fenced'
    stored.reservedTo = Math.max(stored.reservedTo, to)
    return 'durable'
  }

  async checkpoint(claim: Claim, covered: number): Promise<CheckpointMade | 'fenced'> {
    const stored = this.owned(claim)
    if (stored === null) return 'fenced'
    const last = stored.checkpoint
    // Its answer was lost: it was made.
    if (last !== null && last.covered >= covered) return madeOf(stored, last)
    const made = makeCheckpoint(claim, stored, covered)
    stored.checkpoint = made
    stored.generation++
    return madeOf(stored, made)
  }

  async emptySide(claim: Claim, side: number): Promise<boolean> {
    const stored = this.owned(claim)
    const batches = stored?.sides[side]
    if (stored === null || batches === undefined) return false
    if (newestPosition(batches) > (stored.checkpoint?.covered ?? 0)) return false
    batches.clear()
    return true
  }

  private mayTake(stored: StoredShard): boolean {
    const { node, owner } = stored
    return (
      owner === null || node === null || node === this.me.node || this.store.endedNodes.has(node)
    )
  }

  /** What is stored of the shard, when the claim is still the newest one. */
  private owned(claim: Claim): StoredShard | null {
    const stored = this.store.shard(claim.shard)
    return stored.owner === this.me.owner && stored.epoch === claim.epoch ? stored : null
  }
}

function isFollowed({ sides, checkpoint }: StoredShard, position: number): boolean {
  const last = position - 1
  return last <= (checkpoint?.covered ?? 0) || sides.some((side) => side.has(last))
}

/** The position up to which the reader has everything. */
function readCheckpoint(checkpoint: StoredCheckpoint | null, into: ShardReader): number {
  if (checkpoint !== null) {
    into.meta(checkpoint.meta)
    for (const row of checkpoint.rows) into.job(row)
  }
  into.checkpointEnded()
  return checkpoint?.covered ?? 0
}

/** What recovery does, up to a position, and then the state as it would be stored. */
function makeCheckpoint(claim: Claim, stored: StoredShard, covered: number): StoredCheckpoint {
  const restore = new Restore(claim.shard, readRecordBatch)
  let position = readCheckpoint(stored.checkpoint, restore)
  for (const batch of batchesBehind(stored, position)) {
    if (batch.position > covered) break
    restore.batch(batch.bytes)
    position = batch.position
  }
  if (position !== covered) throw outOfOrder(claim, `batch ${covered} is not stored`)
  const meta = metaOf(restore.state)
  const rows = Array.from(jobRows(restore.state), copyOf)
  const bytes = rows.reduce((sum, row) => sum + bytesOf(row), meta.length)
  return { covered, meta, rows, bytes }
}

function madeOf({ generation }: StoredShard, { rows, bytes }: StoredCheckpoint): CheckpointMade {
  return { generation, jobs: rows.length, bytes }
}

function copyOf(row: JobRow): JobRow {
  const result = row.result === null ? null : Buffer.from(row.result)
  return { ...row, data: Buffer.from(row.data), result }
}

function bytesOf({ data, result, rest }: JobRow): number {
  return ROW_BYTES + data.length + (result?.length ?? 0) + (rest?.length ?? 0)
}

/** No owner asks for that; whoever does must not go on. */
function outOfOrder({ shard }: Claim, what: string): StorageFault {
  return new StorageFault('out_of_order', `shard ${shard}: ${what}`, false)
}
