// The right to write for a shard, as PostgreSQL checks it: owner and epoch together.
//
// The owner alone does not do: a worker may lose a shard and get it again. The epoch alone does not do either: after a
// failover to a standby that had lagged, an epoch is given out a second time.

import { type Claim, StorageFault } from '../../../engine/storage-port.ts'
import type { Session } from '../connection.ts'
import { quoteIdentifier } from '../schema/identifier.ts'
import { corrupt } from './copy-tuples.ts'

export interface Fence extends Claim {
  /** Uuid of the worker process. */
  readonly owner: string
}

/** The row of a shard. */
export interface ShardRow {
  readonly generation: number
  /** Position of the journal that the generation covers. */
  readonly covered: number
  readonly reservedTo: number
}

interface FoundRow {
  readonly owner: string | null
  readonly epoch: number
  readonly generation: number
  readonly covered: number
  readonly reserved_to: number
}

/**
 * The shard's row, when the fence holds; throws the fault `fenced` when it does not. `lock`: until the transaction
 * ends, nobody appends to the shard or claims it.
 */
export async function readShard(
  session: Session,
  schema: string,
  fence: Fence,
  lock = false,
): Promise<ShardRow> {
  const { rows } = await session.query<FoundRow>(
    {
      name: '',
      text: `select owner, epoch, generation, covered, reserved_to from ${quoteIdentifier(schema)}.shard
        where shard = $1 ${lock ? 'for update' : ''}`,
    },
    [fence.shard],
  )
  const found = rows[0]
  if (found === undefined) throw corrupt(`shard ${fence.shard} has no row`)
  if (found.owner !== fence.owner || found.epoch !== fence.epoch) throw fenced(fence)
  const { generation, covered, reserved_to: reservedTo } = found
  return { generation, covered, reservedTo }
}

export function fenced(fence: Fence): StorageFault {
  return new StorageFault('fenced', `shard ${fence.shard} has been claimed anew`, false)
}

export function isFenced(error: unknown): boolean {
  return error instanceof StorageFault && error.code === 'fenced'
}
