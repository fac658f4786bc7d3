// Random scripts of commands about one queue, and what a door makes of one: outcomes that can be compared with those of
// another door on another queue.
//
// Jobs are named by their places in the script. Ids, times, tokens and the queue's name differ by nature, so they are
// replaced by what they mean.

import fc from 'fast-check'
import type { Command, DoorClient, Outcome } from './door-client.ts'
import { ExactJson, exact } from './exact-json.ts'

/** Of the jobs that were pushed, by their number; one that is not there is nobody's. */
type Ids = readonly number[]

/** A command as soon as the ids, the tokens and the queue are known. */
export type Step = (place: Place) => Command

interface Place {
  readonly queue: string
  idOf(n: number): number
  tokenOf(n: number): number
  /** One job, if there is any. */
  parentsOf(n: number): number[]
}

const NOBODY = 32 * 999_999
const HOUR_MS = 3_600_000
const JOBS_MAX = 12

const job = fc.nat(JOBS_MAX)
const payload = fc.constantFrom('1', 'null', '{ "a":1.0 }', '"é\\u0000"', '[1e400]').map(exact)
const bad = fc.constantFrom('{', '[NaN]').map(exact)
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined, freq: 2 })

const options = fc
  .record({
    data: payload,
    priority: maybe(fc.constantFrom(-2, 1, 2 ** 31 - 1)),
    delay: maybe(fc.constant(HOUR_MS)),
    max_attempts: maybe(fc.constantFrom(1, 2)),
    unique_key: maybe(fc.constantFrom('a', 'b')),
    tags: maybe(fc.constantFrom(['x'], ['x', 'é'])),
  })
  .map(given)

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: options.map(
      (o): Step =>
        ({ queue }) => ({ cmd: 'PUSH', queue, ...o }),
    ),
  },
  // Of a job that is there: whether one of another shard is, that shard says a moment later.
  fc.tuple(options, job).map(
    ([o, n]): Step =>
      ({ queue, parentsOf }) => ({ cmd: 'PUSH', queue, ...o, depends_on: parentsOf(n) }),
  ),
  bad.map(
    (data): Step =>
      ({ queue }) => ({ cmd: 'PUSH', queue, data }),
  ),
  fc.array(options, { maxLength: 4 }).map(
    (jobs): Step =>
      ({ queue }) => ({ cmd: 'PUSHB', queue, jobs }),
  ),
  {
    weight: 4,
    arbitrary: fc.constant<Step>(({ queue }) => ({ cmd: 'PULL', queue, wait: 0, token: true })),
  },
  fc.nat(3).map(
    (count): Step =>
      ({ queue }) => ({ cmd: 'PULLB', queue, count, wait: 0, lease: HOUR_MS }),
  ),
  ofJob('ACK', { result: maybe(payload) }),
  ofJob('ACK', { result: bad }),
  ofJob('FAIL', { error: maybe(fc.constantFrom('', 'é"\\n')) }),
  job.map(
    (n): Step =>
      ({ idOf, tokenOf }) => ({ cmd: 'ACK', id: idOf(n), token: tokenOf(n) }),
  ),
  fc.array(job, { maxLength: 4 }).map(
    (some): Step =>
      ({ idOf }) => ({ cmd: 'ACKB', ids: some.map(idOf) }),
  ),
  fc.array(job, { maxLength: 4 }).map(
    (some): Step =>
      ({ idOf }) => ({ cmd: 'RELEASE', ids: some.map(idOf) }),
  ),
  job.map(
    (n): Step =>
      ({ idOf }) => ({ cmd: 'HEARTBEAT', ids: [idOf(n)], lease: HOUR_MS }),
  ),
  ofJob('PROGRESS', { progress: fc.constantFrom(0, 50, 101, 300), message: maybe(fc.string()) }),
  ofJob('CANCEL'),
  ofJob('PROMOTE'),
  ofJob('LOG', { line: fc.constantFrom('', 'line') }),
  ofJob('GETLOGS'),
  ofJob('GETSTATE'),
  ofJob('GETRESULT'),
  ofJob('GETPROGRESS'),
  ofJob('GETJOB', { full: fc.constant(true) }),
  ofQueue('DLQ', { count: maybe(fc.constantFrom(1, 2, 5000)) }),
  ofQueue('RETRYDLQ'),
  job.map(
    (n): Step =>
      ({ queue, idOf }) => ({ cmd: 'RETRYDLQ', queue, id: idOf(n) }),
  ),
  ofQueue('PURGEDLQ'),
  job.map(
    (n): Step =>
      ({ queue, idOf }) => ({ cmd: 'PURGEDLQ', queue, id: idOf(n) }),
  ),
  ofQueue('PAUSE'),
  ofQueue('RESUME'),
  ofQueue('RATELIMIT', { limit: fc.constantFrom(0, 1_000_000) }),
  ofQueue('RATELIMITCLEAR'),
  ofQueue('SETCONCURRENCY', { limit: fc.constantFrom(0, 1, 3) }),
  ofQueue('CLEARCONCURRENCY'),
  ofQueue('DRAIN'),
  ofQueue('DELETEQUEUE', { force: fc.boolean() }),
  ofQueue('LISTJOBS', {
    tag: maybe(fc.constant('x')),
    state: maybe(fc.constantFrom('waiting', 'failed', 'active', 'waiting-children')),
    limit: maybe(fc.constantFrom(1, 1000, 1001)),
  }),
)

export const doorScript = fc.array(step, { minLength: 5, maxLength: 40 })

/** A line for each step: the command, and what came of it. At the end: where each job is. */
export async function play(
  door: DoorClient,
  queue: string,
  script: readonly Step[],
): Promise<string[]> {
  const ids: number[] = []
  const tokens = new Map<number, number>()
  const idOf = (n: number): number => ids[n] ?? NOBODY
  const place: Place = {
    queue,
    idOf,
    tokenOf: (n) => tokens.get(idOf(n)) ?? 1,
    parentsOf: (n) => (ids.length === 0 ? [] : [idOf(n % ids.length)]),
  }
  const told: string[] = []
  const give = async (command: Command): Promise<Outcome> => {
    const outcome = await door.run(command)
    if (outcome.ok) note(command, outcome, ids, tokens)
    told.push(comparable(`${inOrder(command)} ${inOrder(outcome)}`, queue, ids))
    return outcome
  }
  for (const each of script) await give(each(place))
  let cursor: unknown
  while (cursor !== null) {
    const page: Command = { cmd: 'LISTJOBS', queue, limit: 3, ...given({ cursor }) }
    const outcome = await give(page)
    cursor = outcome.ok ? outcome.value['cursor'] : null
  }
  for (const id of [...ids]) await give({ cmd: 'GETJOB', id, full: true })
  await give({ cmd: 'RESUME', queue })
  await give({ cmd: 'RATELIMITCLEAR', queue })
  await give({ cmd: 'CLEARCONCURRENCY', queue })
  await give({ cmd: 'PULLB', queue, count: 1000, wait: 0 })
  return told
}

function note(
  { cmd }: Command,
  { value }: Outcome & { ok: true },
  ids: number[],
  tokens: Map<number, number>,
): void {
  if (cmd === 'PUSH') ids.push(value['id'] as number)
  else if (cmd === 'PUSHB') ids.push(...(value['ids'] as number[]))
  const pulled =
    cmd === 'PULL' ? [value['job']] : cmd === 'PULLB' ? (value['jobs'] as unknown[]) : []
  for (const each of pulled as ({ id: number; token?: number } | null)[]) {
    if (each?.token !== undefined) tokens.set(each.id, each.token)
  }
}

/** JSON text with sorted keys: a message of gRPC has no order. */
function inOrder(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'object' &&
    each !== null &&
    !Array.isArray(each) &&
    !(each instanceof ExactJson)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  )
}

/** Numbers this long are ids or times: no payload here has one. */
function comparable(text: string, queue: string, ids: Ids): string {
  return text
    .replaceAll(queue, 'QUEUE')
    .replace(/"cursor":"[^"]*"/g, '"cursor":CURSOR')
    .replace(/"token":\d+/g, '"token":TOKEN')
    .replace(/\d{12,}/g, (digits) => {
      const n = ids.indexOf(Number(digits))
      return n < 0 ? 'TIME' : `JOB-${n}`
    })
}

function ofJob(
  cmd: Command['cmd'],
  fields: Record<string, fc.Arbitrary<unknown>> = {},
): fc.Arbitrary<Step> {
  return fc.tuple(job, fc.record(fields)).map(
    ([n, more]): Step =>
      ({ idOf }) => ({ cmd, id: idOf(n), ...given(more) }),
  )
}

function ofQueue(
  cmd: Command['cmd'],
  fields: Record<string, fc.Arbitrary<unknown>> = {},
): fc.Arbitrary<Step> {
  return fc.record(fields).map(
    (more): Step =>
      ({ queue }) => ({ cmd, queue, ...given(more) }),
  )
}

/** Without what is undefined. */
function given<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Partial<T>
}
