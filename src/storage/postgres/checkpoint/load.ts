// What survived of a shard, out of PostgreSQL: the rows of its newest checkpoint, then the journal behind it.
//
//   shard row ──▶ job_<shard * 2 + generation % 2> ──▶ journal_<shard * 2>, journal_<shard * 2 + 1> by position
//
// 1. All of it is one snapshot, taken after the claim was committed: what a former owner had appended by then is in
//    it, and nothing can be appended by it later.
// 2. A snapshot does not protect from TRUNCATE: a table that was emptied meanwhile is read as empty. Only the owner
//    empties, and only what a newer checkpoint covers, so the shard's row is looked at again at the end: when it is
//    as before, nothing was.
// 3. Memory is bounded by one row and one batch, besides what the reader makes of them.

import type { Loaded, ShardReader } from '../../../engine/storage-port.ts'
import type { Connection, Session } from '../connection.ts'
import { quoteIdentifier } from '../schema/identifier.ts'
import { copyOut } from './copy-streams.ts'
import { type Fence, fenced, readShard, type ShardRow } from './fence.ts'
import { jobColumnList } from './job-columns.ts'
import { JobDecoder } from './job-decoder.ts'
import { JournalDecoder } from './journal-decoder.ts'

/** Whose the shard was before is for the claim to know. */
export interface LoadedShard extends Omit<Loaded, 'foreign'> {
  readonly generation: number
  readonly covered: number
  /** Of the checkpoint. */
  readonly jobs: number
}

/** `upTo`: the last position to be read. Throws the fault `fenced` when the shard is somebody else's by now. */
export async function loadShard(
  connection: Connection,
  schema: string,
  fence: Fence,
  into: ShardReader,
  upTo = Number.MAX_SAFE_INTEGER,
): Promise<LoadedShard> {
  const loaded = await connection.transaction(async (session) => {
    await session.query({ name: '', text: SNAPSHOT })
    const row = await readShard(session, schema, fence)
    const checkpoint = await readJobs(session, schema, fence, row, into)
    into.checkpointEnded()
    const journal = new JournalDecoder(row.covered, (bytes) => into.batch(bytes))
    await copyOut(session, journalText(schema, fence, row, upTo), (piece) => journal.push(piece))
    journal.end()
    return {
      ...(await readSides(session, schema, fence)),
      generation: row.generation,
      covered: row.covered,
      reservedTo: row.reservedTo,
      position: journal.position,
      journalBytes: journal.bytes,
      checkpointBytes: checkpoint.bytes,
      jobs: checkpoint.jobs,
    }
  })
  const now = await connection.transaction((session) => readShard(session, schema, fence))
  if (now.generation !== loaded.generation) throw fenced(fence)
  return loaded
}

/** Between the rows and the journal the reader may need seconds; nothing is locked that anybody waits for. */
const IDLE_MS = 60_000

const SNAPSHOT = `set transaction isolation level repeatable read, read only;
  set local statement_timeout = 0; set local idle_in_transaction_session_timeout = ${IDLE_MS};
  set local synchronize_seqscans = off`

async function readJobs(
  session: Session,
  schema: string,
  { shard }: Fence,
  { generation }: ShardRow,
  into: ShardReader,
): Promise<{ readonly jobs: number; readonly bytes: number }> {
  if (generation === 0) return { jobs: 0, bytes: 0 }
  const slot = jobSlot(shard, generation)
  const decoder = new JobDecoder(slot, into)
  const text = `copy ${tableName(schema, 'job', slot)} (${jobColumnList}) to stdout (format binary)`
  await copyOut(session, text, (piece) => decoder.push(piece))
  decoder.end()
  return decoder
}

/** Numbers only, so that they may stand in the text: COPY takes no parameters. */
function journalText(
  schema: string,
  { shard }: Fence,
  { covered }: ShardRow,
  upTo: number,
): string {
  const sides = [0, 1].map((side) => {
    const slot = shard * 2 + side
    return `select position, epoch, records from ${tableName(schema, 'journal', slot)}
      where slot = ${slot} and position > ${covered} and position <= ${upTo}`
  })
  return `copy (${sides.join(' union all ')} order by position) to stdout (format binary)`
}

/** The newest batch of either side, covered ones included, says where the next one goes. */
async function readSides(
  session: Session,
  schema: string,
  { shard }: Fence,
): Promise<{ readonly side: number; readonly otherSideEmpty: boolean }> {
  const newest = [0, 1].map((side) => {
    const slot = shard * 2 + side
    return `(select max(position) from ${tableName(schema, 'journal', slot)} where slot = ${slot})`
  })
  const { rows } = await session.query<{ first: number | null; second: number | null }>({
    name: '',
    text: `select ${newest[0]} as first, ${newest[1]} as second`,
  })
  const first = rows[0]?.first ?? 0
  const second = rows[0]?.second ?? 0
  return { side: second > first ? 1 : 0, otherSideEmpty: first === 0 || second === 0 }
}

export function jobSlot(shard: number, generation: number): number {
  return shard * 2 + (generation % 2)
}

export function tableName(schema: string, table: 'job' | 'journal', slot: number): string {
  return `${quoteIdentifier(schema)}.${table}_${slot}`
}
