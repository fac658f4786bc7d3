// The columns of `job`, in the order in which COPY writes and reads them.
//
// 1. The first rows of a slot are no jobs: they hold the checkpoint's meta, cut into pieces, with the ids -1, -2, …
//    and the state `meta`. They lie here and not in a row of `checkpoint` because this table is emptied by TRUNCATE:
//    a row of some megabytes, deleted at each checkpoint, would stay as long as anybody holds a snapshot.
// 2. A cell that is 0 when there is nothing to say (see JobRow) is null in the table: it takes no room there.
// 3. Texts that a client can choose freely are bytea, so that no encoding of the database can refuse them.

/** Name, and width in bytes of a value that is not null; 0 where it varies. */
const columns = [
  ['slot', 2],
  ['id', 8],
  ['queue', 0],
  ['state', 0],
  ['priority', 4],
  ['attempts', 8],
  ['max_attempts', 8],
  ['created_at_ms', 8],
  ['run_at_ms', 8],
  ['started_at_ms', 8],
  ['finished_at_ms', 8],
  ['backoff_ms', 8],
  ['ttl_ms', 8],
  ['timeout_ms', 8],
  ['progress', 2],
  ['token', 8],
  ['lease_ms', 8],
  ['lease_until_ms', 8],
  ['holder', 8],
  ['data', 0],
  ['result', 0],
  ['rest', 0],
] as const

export const jobColumnList: string = columns.map(([name]) => name).join(', ')
export const jobWidths: readonly number[] = columns.map(([, width]) => width)

/** Position of each column. */
export const Column = {
  slot: 0,
  id: 1,
  queue: 2,
  state: 3,
  priority: 4,
  attempts: 5,
  maxAttempts: 6,
  createdAtMs: 7,
  runAtMs: 8,
  startedAtMs: 9,
  finishedAtMs: 10,
  backoffMs: 11,
  ttlMs: 12,
  timeoutMs: 13,
  progress: 14,
  token: 15,
  leaseMs: 16,
  leaseUntilMs: 17,
  holder: 18,
  data: 19,
  result: 20,
  rest: 21,
} as const

export const META_STATE = 'meta'

/** The states of a job, as they are stored. */
export const stateBytes: ReadonlyMap<string, Buffer> = new Map(
  ['waiting', 'delayed', 'active', 'completed', 'failed', 'waiting-children'].map((name) => [
    name,
    Buffer.from(name),
  ]),
)
