// Every version of the schema, oldest first: what each adds to the one before.
//
// 1. A migration that a release had is never changed again; what it got wrong is put right by the next one.
// 2. It adds. What the previous release reads or writes goes away one major release later (expand, deploy, contract).
//    One that the previous release cannot live with is `breaking`: servers that do not know it refuse to start.
// 3. It is text, so that an administrator can read it and run it: `flashq-server migrate --sql`.
//
// Neighbours: `../migrate.ts` runs them.

import { journal, journalTables } from './0001-journal.ts'

export interface Migration {
  /** Its place in the list below, from 1. */
  readonly version: number
  readonly name: string
  readonly breaking: boolean
  /** Statements, run as one transaction. `schema` is quoted. */
  sql(schema: string): string
  /** All that must be there afterwards, of earlier versions too; names without the schema. */
  readonly tables: readonly string[]
}

export const migrations: readonly Migration[] = [
  { version: 1, name: 'journal', breaking: true, sql: journal, tables: journalTables },
]

/** Which versions a schema has. The first statement of all, so that the others can be counted. */
export function migrationTable(schema: string): string {
  return `create table if not exists ${schema}.migration (
  version int primary key,
  name text not null,
  breaking boolean not null,
  applied_at timestamptz not null default clock_timestamp()
);`
}
