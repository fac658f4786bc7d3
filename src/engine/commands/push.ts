// PUSH and PUSHB: check each job, record those that are good, say which were not.

import type { Command } from '../command.ts'
import { askParents } from '../dependencies.ts'
import { parentsOf, uniqueKeyOf } from '../evolve/pushed.ts'
import { jobIdOf, type Seq, seqOfId, shardOfId } from '../job-id.ts'
import {
  INT_STRIDE,
  IntColumn,
  JobFlag,
  type JobTable,
  NUM_STRIDE,
  TEXT_STRIDE,
} from '../job-table.ts'
import { limits } from '../limits.ts'
import { EventKind, type ItemRefusal, type Reply } from '../ports.ts'
import type { Queue } from '../queue.ts'
import { type Refusal, refusals } from '../refusal.ts'
import { isRefusal, type ShardContext } from '../shard-context.ts'

const NONE_REFUSED: readonly ItemRefusal[] = []
const acceptedRows = new Int32Array(limits.batchMax)

export function push(ctx: ShardContext, command: Command, reply: Reply): void {
  const queue = ctx.openQueue(command.queue)
  if (isRefusal(queue)) return reply.refused(queue)
  const refusal = ctx.refuseWork(1) ?? refuseJob(ctx, queue, command.bytes, command.jobs, 0, null)
  if (refusal !== null) return reply.refused(refusal)
  const seq = record(ctx, queue, command.bytes, command.jobs, 1, null)
  if (command.isFull) reply.jobAndState(ctx.state, seq, ctx.state.stateName(seq))
  else reply.pushed(jobIdOf(seq, ctx.state.shard))
}

export function pushBatch(ctx: ShardContext, command: Command, reply: Reply): void {
  const queue = ctx.openQueue(command.queue)
  if (isRefusal(queue)) return reply.refused(queue)
  const { jobs: table, bytes } = command
  const refusal = ctx.refuseWork(table.count)
  if (refusal !== null) return reply.refused(refusal)
  const refused = refusedJobs(ctx, queue, bytes, table)
  const count = table.count - refused.length
  let firstSeq = ctx.state.nextSeq
  if (count > 0) {
    firstSeq = record(ctx, queue, bytes, table, count, refused.length === 0 ? null : acceptedRows)
  }
  reply.pushedBatch(jobIdOf(firstSeq, ctx.state.shard), count, refused)
}

/** One job from inside the server (a cron's tick): `data` is JSON text. */
export function pushData(ctx: ShardContext, queue: Queue, data: string, priority: number): void {
  const bytes = Buffer.from(data)
  const { ints } = internalTable
  ints[IntColumn.dataFrom] = 0
  ints[IntColumn.dataTo] = bytes.length
  ints[IntColumn.flags] = JobFlag.priority
  ints[IntColumn.priority] = priority
  internalTable.count = 1
  internalTable.flagsSeen = JobFlag.priority
  record(ctx, queue, bytes, internalTable, 1, null)
}

const internalTable: JobTable = newTable()

function newTable(): JobTable {
  return {
    ints: new Int32Array(INT_STRIDE),
    texts: new Int32Array(TEXT_STRIDE),
    nums: new Float64Array(NUM_STRIDE),
    count: 0,
    flagsSeen: 0,
  }
}

/** Records `count` accepted jobs and does what follows from it; returns the first one's sequence. */
function record(
  ctx: ShardContext,
  queue: Queue,
  bytes: Buffer,
  table: JobTable,
  count: number,
  rows: Int32Array | null,
): Seq {
  const firstSeq = ctx.state.nextSeq
  ctx.record.pushed({ queue, firstSeq, count, nowMs: ctx.nowMs, bytes, table, rows })
  ctx.markDirty(queue)
  // Before anything else is recorded: see record-order.ts.
  ctx.emitRun(EventKind.pushed, queue, firstSeq, count)
  if ((table.flagsSeen & JobFlag.dependsOn) !== 0) {
    for (let seq = firstSeq; seq < firstSeq + count; seq++) askParents(ctx, seq)
  }
  const { watch } = ctx.ports
  if (watch !== undefined && (table.flagsSeen & JobFlag.tags) !== 0) {
    for (let seq = firstSeq; seq < firstSeq + count; seq++) watch.pushed(ctx.state, seq, ctx.nowMs)
  }
  return firstSeq
}

/** The jobs of a batch that can't be accepted, by position; fills `acceptedRows` when there are any. */
function refusedJobs(
  ctx: ShardContext,
  queue: Queue,
  bytes: Buffer,
  table: JobTable,
): readonly ItemRefusal[] {
  const checksEach = (table.flagsSeen & (JobFlag.uniqueKey | JobFlag.dependsOn)) !== 0
  if (!checksEach && isEachSmall(table)) return NONE_REFUSED
  const refused: ItemRefusal[] = []
  const keys = new Set<string>()
  let accepted = 0
  for (let row = 0; row < table.count; row++) {
    const refusal = refuseJob(ctx, queue, bytes, table, row, keys)
    if (refusal === null) acceptedRows[accepted++] = row
    else refused.push({ index: row, refusal })
  }
  return refused
}

/** No job's data is too large. Mostly all of them together are not. */
function isEachSmall(table: JobTable): boolean {
  const { ints, count } = table
  if (count === 0) return true
  const end = ints[(count - 1) * INT_STRIDE + IntColumn.dataTo] as number
  if (end - (ints[IntColumn.dataFrom] as number) <= limits.dataBytesMax) return true
  for (let at = 0; at < count * INT_STRIDE; at += INT_STRIDE) {
    const size = (ints[at + IntColumn.dataTo] as number) - (ints[at + IntColumn.dataFrom] as number)
    if (size > limits.dataBytesMax) return false
  }
  return true
}

/** Why one job can't be accepted, or null. `batchKeys`: unique keys of the batch so far. */
function refuseJob(
  ctx: ShardContext,
  queue: Queue,
  bytes: Buffer,
  table: JobTable,
  row: number,
  batchKeys: Set<string> | null,
): Refusal | null {
  const at = row * INT_STRIDE
  const size = (table.ints[at + 1] as number) - (table.ints[at] as number)
  if (size > limits.dataBytesMax) return refusals.dataTooLarge(size, limits.dataBytesMax)
  const flags = table.ints[at + IntColumn.flags] as number
  if ((flags & JobFlag.dependsOn) !== 0) {
    for (const parent of parentsOf(bytes, table, row)) {
      if (shardOfId(parent) === ctx.state.shard && seqOfId(parent) >= ctx.state.nextSeq) {
        return refusals.dependencyInvalid(parent)
      }
    }
  }
  if ((flags & JobFlag.uniqueKey) !== 0) {
    const key = uniqueKeyOf(bytes, table, row)
    if (queue.keys.has(key) || batchKeys?.has(key)) return refusals.duplicateKey(key)
    batchKeys?.add(key)
  }
  return null
}
