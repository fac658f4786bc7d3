// Version 1: nodes, shards, the journal, the jobs of checkpoints, and what people read.
//
//   node ◀── shard ──▶ journal_0 … journal_63     two per shard: slot = shard * 2 + side
//              └─────▶ job_0 … job_63             two per shard: slot = shard * 2 + generation % 2
//
// 1. What a client sends is bytea: text or jsonb would refuse what the server accepts, such as a NUL.
// 2. journal_N and job_N are only ever inserted into and truncated, so there is nothing to vacuum. They are partitions
//    for whoever reads with SQL; the server names the partition, and so plans for one table instead of 64.
// 3. `node` and `shard` are updated in place: their pages have room for it (HOT), and no index has a column that changes.

import { limits } from '../../../engine/limits.ts'
import { historyTable } from './history-table.ts'
import { views } from './views.ts'

const SIDES = 2
const slots = Array.from({ length: limits.shards * SIDES }, (_, slot) => slot)

export const journalTables: readonly string[] = [
  ...['node', 'shard', 'checkpoint', 'history', 'journal', 'job'],
  ...slots.flatMap((slot) => [`journal_${slot}`, `job_${slot}`]),
]

export function journal(schema: string): string {
  return [
    tables(schema),
    ...slots.map((slot) => partition(schema, 'journal', slot)),
    ...slots.map((slot) => partition(schema, 'job', slot)),
    historyTable(schema),
    views(schema),
    `insert into ${schema}.shard (shard) select generate_series(0, ${limits.shards - 1});`,
  ].join('\n')
}

function partition(schema: string, table: string, slot: number): string {
  return `create table ${schema}.${table}_${slot} partition of ${schema}.${table} for values in (${slot})
  with (autovacuum_enabled = off, toast.autovacuum_enabled = off);`
}

function tables(schema: string): string {
  return `-- One row per running primary process, renewed every 2 s; expired = whatever it owns may be taken.
create table ${schema}.node (
  node uuid primary key,
  expires_at timestamptz not null,
  host text not null,
  pid int not null,
  -- Identifies the process on its machine for as long as the machine runs; '' where nothing does.
  process text not null,
  version text not null,
  started_at timestamptz not null default clock_timestamp()
) with (fillfactor = 50);

-- Who may write for a shard: owner (a worker process) and epoch together. node stays after a release.
create table ${schema}.shard (
  shard int primary key,
  node uuid,
  owner uuid,
  epoch bigint not null default 0,
  -- The newest checkpoint (0 = none), and the position in the journal up to which it has everything.
  generation bigint not null default 0,
  covered bigint not null default 0,
  -- Sequences of job ids below it may have been given out.
  reserved_to bigint not null default 1
) with (fillfactor = 10);

-- What happened, in order of position per shard. The format of records is the server's own.
create table ${schema}.journal (
  slot smallint not null,
  position bigint not null,
  epoch bigint not null,
  count int not null,
  records bytea not null,
  at timestamptz not null default clock_timestamp(),
  primary key (slot, position)
) partition by list (slot);
alter table ${schema}.journal alter column records set storage external;

-- The jobs that were alive at a shard's newest checkpoint, and of the one before. Times are Unix milliseconds.
-- What does not apply is null. Rows with negative ids are no jobs: what a checkpoint has besides them, in pieces.
create table ${schema}.job (
  slot smallint not null,
  id bigint not null,
  queue text not null,
  state text not null,
  priority int,
  attempts bigint,
  max_attempts bigint,
  created_at_ms double precision,
  run_at_ms double precision,
  started_at_ms double precision,
  finished_at_ms double precision,
  backoff_ms double precision,
  ttl_ms double precision,
  timeout_ms double precision,
  progress smallint,
  token double precision,
  lease_ms double precision,
  lease_until_ms double precision,
  holder double precision,
  data bytea not null,
  result bytea,
  rest bytea
) partition by list (slot);
alter table ${schema}.job alter column data set storage external;
alter table ${schema}.job alter column result set storage external;

-- The newest checkpoint of each shard: bytes are those of its rows.
create table ${schema}.checkpoint (
  shard int not null,
  generation bigint not null,
  covered bigint not null,
  jobs bigint not null,
  bytes bigint not null,
  made_at timestamptz not null default clock_timestamp(),
  primary key (shard, generation)
);
`
}
