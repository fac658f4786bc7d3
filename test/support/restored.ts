// What storage does with a shard, without storage: rows and meta of its state, batches of records, and back.

import { Restore } from '../../src/engine/restore.ts'
import type { ShardState } from '../../src/engine/shard-state.ts'
import { jobRows, metaOf } from '../../src/engine/snapshot.ts'
import type { JobRow } from '../../src/engine/storage-port.ts'

export interface Stored {
  readonly meta: Buffer
  readonly rows: readonly JobRow[]
}

/** Copies: the state may go on. */
export function storedOf(state: ShardState): Stored {
  const rows: JobRow[] = []
  for (const row of jobRows(state)) {
    const result = row.result === null ? null : Buffer.from(row.result)
    rows.push({ ...row, data: Buffer.from(row.data), result })
  }
  return { meta: metaOf(state), rows }
}

export function emptyRestore(shard: number): Restore {
  return new Restore(shard, eachRecord)
}

/** `order` says where each row comes from: a permutation. */
export function restoreOf(
  shard: number,
  { meta, rows }: Stored,
  order: (count: number) => Iterable<number> = (count) => Array(count).keys(),
): Restore {
  const restore = emptyRestore(shard)
  restore.meta(meta)
  for (const i of order(rows.length)) restore.job(rows[i] as JobRow)
  restore.checkpointEnded()
  return restore
}

/** A batch as `eachRecord` reads it. */
export function batchOf(records: readonly Buffer[]): Buffer {
  return Buffer.concat(
    records.flatMap((record) => {
      const size = Buffer.alloc(4)
      size.writeUInt32LE(record.length)
      return [size, record]
    }),
  )
}

function eachRecord(bytes: Buffer, each: (record: Buffer) => void): void {
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32LE(at)
    each(bytes.subarray(at + 4, end))
    at = end
  }
}
