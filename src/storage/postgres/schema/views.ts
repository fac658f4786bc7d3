// What people read: jobs, queues and finished jobs, as of each shard's newest checkpoint.
//
// 1. They fail for nothing that a client may have pushed. Data and results are valid UTF-8 without a NUL, because the
//    server checks that; they are shown as text, never cast to json. Texts out of `rest` may hold escapes that
//    PostgreSQL cannot turn into text (\u0000, half a surrogate pair): such a one is shown as the JSON it is.
// 2. `rest` is written by the server (`Rest` in src/engine/snapshot.ts), with JSON.stringify. A quote inside a text is
//    escaped there, so that "key": stands in it only where the key is.
// 3. A shard's row says which of its two slots is read. `offset 0` keeps the subquery whole: it is run once per shard,
//    and of the 64 tables only the one of that slot is touched.

export function views(schema: string): string {
  return `${jobsOverview(schema)}\n${queuesOverview(schema)}\n${historyOverview(schema)}`
}

function jobsOverview(schema: string): string {
  return `create view ${schema}.jobs_overview as
select j.id, j.queue, j.state, j.priority, j.attempts, nullif(j.max_attempts, 0) as max_attempts,
  coalesce(j.progress, 0) as progress,
  ${moment('j.created_at_ms')} as created_at,
  ${moment('j.run_at_ms')} as run_at,
  ${moment('j.started_at_ms')} as started_at,
  ${moment('j.finished_at_ms')} as finished_at,
  ${moment('j.lease_until_ms')} as lease_until,
  ${text('j.data')} as data,
  ${text('j.result')} as result,
  ${restText('j.rest', 'unique_key')} as unique_key,
  ${restText('j.rest', 'tags')} as tags,
  ${restIds('j.rest', 'depends_on')} as depends_on,
  ${restIds('j.rest', 'waits_for')} as waits_for,
  ${restText('j.rest', 'message')} as message,
  ${restText('j.rest', 'error')} as error,
  j.shard, j.as_of
from ${currentJobs(schema)};
`
}

function queuesOverview(schema: string): string {
  const count = (state: string): string => `count(*) filter (where j.state = '${state}')`
  return `create view ${schema}.queues_overview as
select j.queue,
  ${count('waiting')} as waiting, ${count('delayed')} as delayed, ${count('active')} as active,
  ${count('waiting-children')} as waiting_children, ${count('failed')} as failed,
  ${count('completed')} as completed,
  min(${moment('j.created_at_ms')}) filter (where j.state = 'waiting') as oldest_waiting,
  max(j.as_of) as as_of
from ${currentJobs(schema)}
group by j.queue;
`
}

function historyOverview(schema: string): string {
  return `create view ${schema}.history_overview as
select h.id, h.queue, h.state, h.priority, h.attempts, h.created_at, h.started_at, h.finished_at,
  ${text('h.data')} as data,
  ${text('h.result')} as result,
  ${restText('h.rest', 'unique_key')} as unique_key,
  ${restText('h.rest', 'tags')} as tags,
  ${restText('h.rest', 'error')} as error,
  h.shard
from ${schema}.history h;
`
}

/** Pieces of a checkpoint that are no jobs have negative ids. */
function currentJobs(schema: string): string {
  return `(
  select current.shard, current.as_of, job.*
  from (
    select s.shard, c.made_at as as_of, (s.shard * 2 + s.generation % 2)::smallint as slot
    from ${schema}.shard s join ${schema}.checkpoint c on c.shard = s.shard and c.generation = s.generation
  ) current
  cross join lateral (select * from ${schema}.job where slot = current.slot and id >= 0 offset 0) job
) j`
}

/** Unix ms that PostgreSQL has a date for and people can read; null otherwise. */
function moment(column: string): string {
  return `case when ${column} between 1 and 253402300799999 then to_timestamp(${column} / 1000) end`
}

function text(column: string): string {
  return `convert_from(${column}, 'UTF8')`
}

/** A text of \`rest\`; one with an escape that no text can hold stays in quotes. */
function restText(column: string, key: string): string {
  const quoted = `substring(${text(column)} from '"${key}":("(?:[^"\\\\]|\\\\.)*")')`
  return `case when ${quoted} ~ '[^\\\\](?:\\\\\\\\)*\\\\u(?:0000|d[89abcdef])' then ${quoted} else ${quoted}::json #>> '{}' end`
}

function restIds(column: string, key: string): string {
  return `substring(${text(column)} from '"${key}":(\\[[0-9,]*\\])')`
}
