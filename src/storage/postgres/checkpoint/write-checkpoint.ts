// A checkpoint of one shard: what recovery does, and then the result as rows. Runs in a thread of its own.
//
//   generation g, journal up to `covered` ──load──▶ state ──COPY──▶ job_<shard * 2 + (g + 1) % 2>
//                                                     │  └─COPY──▶ history, what has finished since g
//                                                     └──────────▶ checkpoint, shard.generation = g + 1
//
// 1. One transaction: the slot is emptied, filled and put in force, or nothing is changed. Nobody reads a slot that
//    is not in force, except the views, which wait for the transaction.
// 2. The shard's row is locked by the last statement only, which checks owner, epoch and generation: appends go on
//    while rows are copied. A process that is stopped before that holds no lock that a new owner needs; its session is
//    ended by the new owner, or by PostgreSQL when it is idle in a transaction.
// 3. It may be repeated. When the first attempt had committed, the second one finds it and does nothing.

import type { CheckpointMade, JobRow, ShardReader } from '../../../engine/storage-port.ts'
import type { Connection, Session, Statement } from '../connection.ts'
import { quoteIdentifier } from '../schema/identifier.ts'
import { copyIn } from './copy-streams.ts'
import { corrupt } from './copy-tuples.ts'
import { type Fence, fenced, isFenced, readShard } from './fence.ts'
import { makeHistoryDays } from './history-days.ts'
import { FinishedBefore, HistoryRows, historyColumnList } from './history-rows.ts'
import { jobColumnList } from './job-columns.ts'
import { JobEncoder } from './job-encoder.ts'
import { jobSlot, type LoadedShard, loadShard, tableName } from './load.ts'

/** A shard state that is made of what was stored, and can be stored again. */
export interface Rebuilt {
  readonly reader: ShardReader
  meta(): Buffer
  /** Completed jobs first. Each row is scratch; may be called more than once. */
  rows(): Iterable<JobRow>
}

export interface CheckpointTerms {
  readonly rebuild: (shard: number) => Rebuilt
  /** 0 = no history is written. */
  readonly historyDays: number
}

/** A reader of the slot that is to be emptied: it gets this long, then the checkpoint is for another time. */
const SLOT_LOCK_MS = 500
/** An append has the shard's row: it is done in a moment, or its session is. */
const SHARD_LOCK_MS = 5000

/** The next generation of the shard, covering the journal up to `covered`. */
export async function writeCheckpoint(
  connection: Connection,
  schema: string,
  fence: Fence,
  covered: number,
  { rebuild, historyDays }: CheckpointTerms,
): Promise<CheckpointMade | 'fenced'> {
  try {
    const before = await connection.transaction((session) => look(session, schema, fence, covered))
    if (before !== null) return before
    const state = rebuild(fence.shard)
    const finished = new FinishedBefore(state.reader)
    const loaded = await loadShard(connection, schema, fence, finished, covered)
    if (loaded.position !== covered) {
      throw corrupt(`the journal ends at ${loaded.position}, a checkpoint is to cover ${covered}`)
    }
    let history: HistoryRows | null = null
    if (historyDays > 0) {
      history = new HistoryRows(fence.shard, finished, await nowMs(connection), historyDays)
      await makeHistoryDays(connection, schema, history.days(state.rows()))
    }
    const meta = state.meta()
    return await connection.transaction((session) =>
      write(session, schema, fence, { loaded, covered, meta, state, history }),
    )
  } catch (error) {
    if (isFenced(error)) return 'fenced'
    throw error
  }
}

interface Content {
  /** Of the generation before. */
  readonly loaded: LoadedShard
  readonly covered: number
  readonly meta: Buffer
  readonly state: Rebuilt
  readonly history: HistoryRows | null
}

async function write(
  session: Session,
  schema: string,
  fence: Fence,
  { loaded, covered, meta, state, history }: Content,
): Promise<CheckpointMade> {
  const generation = loaded.generation + 1
  const slot = jobSlot(fence.shard, generation)
  const table = tableName(schema, 'job', slot)
  await session.query(
    once(`set local lock_timeout = ${SLOT_LOCK_MS}; set local statement_timeout = 0`),
  )
  await session.query(once(`truncate ${table}`))
  // Only now: whoever has emptied the slot before may have put it in force while we waited for it.
  const row = await readShard(session, schema, fence)
  if (row.generation !== loaded.generation) throw fenced(fence)
  const jobs = new JobEncoder(slot)
  const bytes = await copyIn(
    session,
    `copy ${table} (${jobColumnList}) from stdin (format binary, freeze true)`,
    jobs.chunks(meta, state.rows()),
  )
  if (history !== null) {
    const text = `copy ${quoteIdentifier(schema)}.history (${historyColumnList}) from stdin (format binary)`
    await copyIn(session, text, history.chunks(state.rows()))
  }
  await session.query(newCheckpoint(schema), [fence.shard, generation, covered, jobs.jobs, bytes])
  await session.query(once(`set local lock_timeout = ${SHARD_LOCK_MS}`))
  const { rows } = await session.query(flip(schema), [
    fence.shard,
    fence.owner,
    fence.epoch,
    loaded.generation,
    covered,
  ])
  if (rows.length === 0) throw fenced(fence)
  return { generation, jobs: jobs.jobs, bytes }
}

/**
 * The checkpoint that was asked for, when it has been made and only the answer was lost. Otherwise the slot is free
 * at this moment: it would be a pity to find a reader there after all the work.
 */
async function look(
  session: Session,
  schema: string,
  fence: Fence,
  covered: number,
): Promise<CheckpointMade | null> {
  const { generation, covered: coveredNow } = await readShard(session, schema, fence)
  if (generation === 0 || coveredNow < covered) {
    await session.query(once(`set local lock_timeout = ${SLOT_LOCK_MS}`))
    const table = tableName(schema, 'job', jobSlot(fence.shard, generation + 1))
    await session.query(once(`lock table ${table} in access exclusive mode`))
    return null
  }
  const { rows } = await session.query<{ jobs: number; bytes: number }>(
    once(
      `select jobs, bytes from ${quoteIdentifier(schema)}.checkpoint where shard = $1 and generation = $2`,
    ),
    [fence.shard, generation],
  )
  if (rows[0] === undefined) throw corrupt(`shard ${fence.shard} has lost its checkpoint`)
  return { generation, jobs: rows[0].jobs, bytes: rows[0].bytes }
}

/** Those before it are deleted by the same statement. */
function newCheckpoint(schema: string): Statement {
  const checkpoint = `${quoteIdentifier(schema)}.checkpoint`
  return once(`with older as (delete from ${checkpoint} where shard = $1 and generation < $2)
    insert into ${checkpoint} (shard, generation, covered, jobs, bytes) values ($1, $2, $3, $4, $5)`)
}

function flip(schema: string): Statement {
  return once(`update ${quoteIdentifier(schema)}.shard set generation = generation + 1, covered = $5
    where shard = $1 and owner = $2 and epoch = $3 and generation = $4 returning shard`)
}

async function nowMs(connection: Connection): Promise<number> {
  const { rows } = await connection.query<{ now: number }>(
    once('select floor(extract(epoch from clock_timestamp()) * 1000)::float8 as now'),
  )
  return rows[0]?.now as number
}

function once(text: string): Statement {
  return { name: '', text }
}
