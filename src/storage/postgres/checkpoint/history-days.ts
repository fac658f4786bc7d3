// The tables of `history`, one per day (UTC): made ahead and at need, dropped when they are old.
//
// 1. Any number of processes may make the same day at once: an advisory lock, which ends with the transaction, lets
//    one of them do it. A table is made on its own and attached, which readers and writers of `history` do not notice.
// 2. To drop one, everybody must let go of `history` for a moment. Whoever does not do so within `DROP_LOCK_MS` is
//    left alone; the day goes another time.
// 3. Days are counted by PostgreSQL's clock.

import { createHash } from 'node:crypto'
import { StorageFault } from '../../../engine/storage-port.ts'
import type { Connection, Session, Statement } from '../connection.ts'
import { quoteIdentifier } from '../schema/identifier.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const DROP_LOCK_MS = 200
/** Another one makes the same day: that takes a few milliseconds. */
const MAKE_LOCK_MS = 5000

export interface DroppedDays {
  /** Names of tables. */
  readonly dropped: readonly string[]
  /** Somebody is reading: they go next time. */
  readonly postponed: readonly string[]
}

/** Number of the day, from 1970-01-01 on. */
export function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS)
}

/** Makes those of these days that are not there. */
export async function makeHistoryDays(
  connection: Connection,
  schema: string,
  days: Iterable<number>,
): Promise<void> {
  const missing: number[] = []
  for (const day of days) {
    if (!(await isThere(connection, schema, day))) missing.push(day)
  }
  if (missing.length === 0) return
  await connection.transaction(async (session) => {
    await session.query(once(`set local lock_timeout = ${MAKE_LOCK_MS}`))
    await session.query(once('select pg_advisory_xact_lock($1::bigint)'), [lockKey(schema)])
    for (const day of missing) {
      if (!(await isThere(session, schema, day))) await session.query(makeText(schema, day))
    }
  })
}

/** Drops the days that ended more than `keptDays` ago. */
export async function dropHistoryDays(
  connection: Connection,
  schema: string,
  keptDays: number,
): Promise<DroppedDays> {
  const { rows } = await connection.query<{ name: string }>(
    once(`select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = to_regclass($1) and c.relname ~ '^history_[0-9]{8}$'
        and c.relname < 'history_' || to_char((clock_timestamp() at time zone 'UTC')::date - $2::int, 'YYYYMMDD')
      order by 1`),
    [`${quoteIdentifier(schema)}.history`, keptDays],
  )
  const dropped: string[] = []
  const postponed: string[] = []
  for (const { name } of rows) {
    const list = (await drop(connection, schema, name)) ? dropped : postponed
    list.push(name)
  }
  return { dropped, postponed }
}

/** By the catalog itself: `to_regclass` may answer from what the session knew before it got the lock. */
async function isThere(
  asker: Pick<Session, 'query'>,
  schema: string,
  day: number,
): Promise<boolean> {
  const { rows } = await asker.query(
    once(`select from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relname = $2`),
    [schema, tableOf(day)],
  )
  return rows.length > 0
}

function makeText(schema: string, day: number): Statement {
  const parent = `${quoteIdentifier(schema)}.history`
  const table = `${quoteIdentifier(schema)}.${tableOf(day)}`
  return once(`create table ${table} (like ${parent} including all);
    alter table ${parent} attach partition ${table}
      for values from ('${isoOf(day)} 00:00:00+00') to ('${isoOf(day + 1)} 00:00:00+00')`)
}

async function drop(connection: Connection, schema: string, name: string): Promise<boolean> {
  try {
    await connection.transaction(async (session) => {
      await session.query(once(`set local lock_timeout = ${DROP_LOCK_MS}`))
      await session.query(once(`drop table if exists ${quoteIdentifier(schema)}.${name}`))
    })
    return true
  } catch (error) {
    if (error instanceof StorageFault && (error.code === '55P03' || error.code === '40P01')) {
      return false
    }
    throw error
  }
}

function tableOf(day: number): string {
  return `history_${isoOf(day).replaceAll('-', '')}`
}

function isoOf(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10)
}

/** Of this installation's days, and of nothing else. */
function lockKey(schema: string): string {
  return createHash('sha256')
    .update(`flashq history ${schema}`)
    .digest()
    .readBigInt64BE()
    .toString()
}

function once(text: string): Statement {
  return { name: '', text }
}
