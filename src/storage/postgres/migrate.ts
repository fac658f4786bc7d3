// Brings the schema to this server's version, or says why it cannot.
//
// 1. Each migration is one transaction, under an advisory lock that ends with it: any number of servers may start at
//    once, also behind a pooler. Who comes second finds it done.
// 2. Waiting for a lock ends after 3 s and begins anew: DDL in a queue of locks would stop every writer behind it.
// 3. A schema with a newer *breaking* version is refused. One with newer others is used: an upgrade is under way.
// 4. A schema that lacks a table is refused: nothing is made anew that may have held jobs.
// 5. A role without the right to create a schema goes on when the schema is there and belongs to it.
//
// Neighbours: `schema/migrations.ts` has the versions; `migrate-command.ts` is the command line; `membership.ts`
// migrates at each start.

import { createHash } from 'node:crypto'
import { StorageFault } from '../../engine/storage-port.ts'
import type { Connection, Session, Statement } from './connection.ts'
import { quoteIdentifier } from './schema/identifier.ts'
import { type Migration, migrations, migrationTable } from './schema/migrations.ts'

interface SchemaVersion {
  readonly version: number
  readonly name: string
}

export interface Migrated {
  /** What this call did, in order; empty when there was nothing to do. */
  readonly applied: readonly SchemaVersion[]
  /** What the schema has now; more than this server knows during an upgrade. */
  readonly version: number
}

export interface SchemaCheck {
  /** 0 = there is no schema, or nothing in it. */
  readonly version: number
  readonly pending: readonly SchemaVersion[]
  /** Of a newer server. */
  readonly newer: readonly SchemaVersion[]
  /** Whether this server must not use it. */
  readonly refused: boolean
}

const LOCK_TIMEOUT = '3s'
const ATTEMPTS_MAX = 20
const SERVER_VERSION_MIN = 140_000
/** Making the first version takes a second or two on a slow disk. */
const MIGRATION_TIMEOUT_MS = 60_000

/** `known` is for tests: what another release has. */
export async function migrate(
  connection: Connection,
  schema: string,
  known: readonly Migration[] = migrations,
): Promise<Migrated> {
  const applied: SchemaVersion[] = []
  await assertUsable(connection)
  for (;;) {
    const step = await withRetries(() =>
      connection.transaction(
        (session) => nextMigration(session, schema, known),
        MIGRATION_TIMEOUT_MS,
      ),
    )
    if (step.applied === null) return { applied, version: step.version }
    applied.push(step.applied)
  }
}

/** Changes nothing. */
export async function checkSchema(
  connection: Connection,
  schema: string,
  known: readonly Migration[] = migrations,
): Promise<SchemaCheck> {
  await assertUsable(connection)
  const { rows } = await connection.query<{ there: boolean }>(
    once('select to_regclass($1) is not null as there'),
    [`${quoteIdentifier(schema)}.migration`],
  )
  const done = rows[0]?.there ? (await connection.query<Row>(versions(schema))).rows : []
  return judge(done, known)
}

/** The whole schema, to be run on an empty one by an administrator. */
export function migrationSql(schema: string, known: readonly Migration[] = migrations): string {
  const quoted = quoteIdentifier(schema)
  const steps = known.map(
    (migration) => `begin;
${migration.sql(quoted)}
${insertText(quoted, migration)};
commit;`,
  )
  return [`create schema if not exists ${quoted};`, migrationTable(quoted), ...steps].join('\n\n')
}

interface Row {
  version: number
  name: string
  breaking: boolean
}

interface Step {
  readonly applied: SchemaVersion | null
  readonly version: number
}

async function nextMigration(
  session: Session,
  schema: string,
  known: readonly Migration[],
): Promise<Step> {
  const quoted = quoteIdentifier(schema)
  await session.query(once(`set local lock_timeout = '${LOCK_TIMEOUT}'`))
  await session.query(once(`set local statement_timeout = ${MIGRATION_TIMEOUT_MS}`))
  await session.query(once('select pg_advisory_xact_lock($1::bigint)'), [lockKey(schema)])
  await makeSchema(session, schema)
  await session.query(once(migrationTable(quoted)))
  const { rows } = await session.query<Row>(versions(schema))
  const check = judge(rows, known)
  if (check.refused) throw newerFault(schema, check)
  const next = known[known.length - check.pending.length]
  if (next === undefined) {
    await assertWhole(session, schema, known)
    return { applied: null, version: check.version }
  }
  await session.query(once(next.sql(quoted)))
  await session.query(once(insertText(quoted, next)))
  return { applied: { version: next.version, name: next.name }, version: next.version }
}

/** Somebody may have dropped a table, or restored a part. */
async function assertWhole(
  session: Session,
  schema: string,
  known: readonly Migration[],
): Promise<void> {
  const tables = known.at(-1)?.tables ?? []
  const { rows } = await session.query<{ name: string }>(
    once(`select name from unnest($1::text[]) name where to_regclass($2 || '.' || name) is null`),
    [tables, quoteIdentifier(schema)],
  )
  if (rows.length === 0) return
  const more = rows.length > 1 ? ` and ${rows.length - 1} more` : ''
  throw new StorageFault(
    'schema_damaged',
    `the schema ${schema} has no table ${rows[0]?.name}${more}: restore it from a backup, or use another schema`,
    false,
  )
}

async function makeSchema(session: Session, schema: string): Promise<void> {
  // `create schema if not exists` needs the right to create one even when it exists.
  const { rows } = await session.query(once('select from pg_namespace where nspname = $1'), [
    schema,
  ])
  if (rows.length === 0) await session.query(once(`create schema ${quoteIdentifier(schema)}`))
}

function judge(done: readonly Row[], known: readonly Migration[]): SchemaCheck {
  const newest = known.at(-1)?.version ?? 0
  const version = done.reduce((max, row) => Math.max(max, row.version), 0)
  const newer = done.filter((row) => row.version > newest)
  return {
    version,
    pending: known.filter((migration) => migration.version > version),
    newer,
    refused: newer.some((row) => row.breaking),
  }
}

function newerFault(schema: string, check: SchemaCheck): StorageFault {
  const names = check.newer.map((row) => `${row.version} (${row.name})`).join(', ')
  return new StorageFault(
    'schema_newer',
    `the schema ${schema} was changed by a newer flashq-server in a way that this one cannot work with: ${names}. Start the newer one`,
    false,
  )
}

async function assertUsable(connection: Connection): Promise<void> {
  const { rows } = await connection.query<{
    encoding: string
    number: string
    version: string
    readonly: string
  }>(
    once(`select current_setting('server_encoding') as encoding, current_setting('server_version') as version,
      current_setting('server_version_num') as number, current_setting('transaction_read_only') as readonly`),
  )
  const server = rows[0]
  if (server === undefined) return
  if (Number(server.number) < SERVER_VERSION_MIN) {
    throw new StorageFault(
      'server_old',
      `PostgreSQL is ${server.version}, and 14 is the oldest that works`,
      false,
    )
  }
  if (server.encoding !== 'UTF8') {
    throw new StorageFault(
      'encoding',
      `the database has the encoding ${server.encoding}, and only UTF8 works: create one with it`,
      false,
    )
  }
  if (server.readonly === 'on') {
    throw new StorageFault(
      '25006',
      'the database is read-only (default_transaction_read_only): it cannot be written to',
      true,
    )
  }
}

async function withRetries<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run()
    } catch (error) {
      if (!(error instanceof StorageFault)) throw error
      if (error.code === '42501') throw notAllowed(error)
      if (attempt === ATTEMPTS_MAX || !isContention(error)) throw error
    }
  }
}

function isContention(fault: StorageFault): boolean {
  // Besides locks: the same row, table or schema made by somebody who does not take the advisory lock (psql).
  return ['55P03', '40P01', '40001', '23505', '42P07', '42P06'].includes(fault.code)
}

function notAllowed(fault: StorageFault): StorageFault {
  return new StorageFault(
    '42501',
    `${fault.message}. Let the role of DATABASE_URL own the schema, or run \`flashq-server migrate --sql\` as its owner`,
    false,
    fault,
  )
}

function versions(schema: string): Statement {
  return once(`select version, name, breaking from ${quoteIdentifier(schema)}.migration`)
}

function insertText(quoted: string, { version, name, breaking }: Migration): string {
  return `insert into ${quoted}.migration (version, name, breaking) values (${version}, '${name}', ${breaking})`
}

function once(text: string): Statement {
  return { name: '', text }
}

/** Of 64 bits, signed, and the same in each release. */
function lockKey(schema: string): string {
  const digest = createHash('sha256').update(`flashq migrate ${schema}`).digest()
  return digest.readBigInt64BE(0).toString()
}
