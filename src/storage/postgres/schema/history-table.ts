// Finished jobs, a table per day (UTC): `../checkpoint/history-days.ts` makes and drops them.

export function historyTable(schema: string): string {
  return `-- Jobs that had finished, and were still kept, at a checkpoint: each once. Not an audit trail of every job.
create table ${schema}.history (
  shard int not null,
  id bigint not null,
  queue text not null,
  state text not null,
  priority int not null,
  attempts bigint not null,
  created_at timestamptz not null,
  started_at timestamptz,
  -- Of failed jobs: when a checkpoint first saw them so.
  finished_at timestamptz not null,
  data bytea not null,
  result bytea,
  rest bytea
) partition by range (finished_at);
alter table ${schema}.history alter column data set storage external;
alter table ${schema}.history alter column result set storage external;
create index history_id on ${schema}.history (id);
`
}
