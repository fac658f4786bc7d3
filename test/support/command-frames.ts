// Frames of commands, good and nearly good, and what a Command must say once a frame was accepted.

import fc from 'fast-check'
import { expect } from 'vitest'
import type { Command } from '../../src/engine/command.ts'
import { INT_STRIDE, IntColumn, TEXT_STRIDE, TextColumn } from '../../src/engine/job-table.ts'
import type { JobQuery } from '../../src/engine/list/job-query.ts'
import { startOfList, writePlace } from '../../src/engine/list/list-place.ts'
import { Op } from '../../src/engine/op.ts'
import { applyEdit, edit, json } from './json-bytes.ts'

export type Json = Readonly<Record<string, unknown>>

const uint = fc.oneof(
  fc.nat(1000).map(String),
  fc.constantFrom('0', '4294967295', '9007199254740991', '9007199254740992'),
)
const notUint = fc.constantFrom(
  '-1',
  '1.0',
  '1e2',
  'null',
  '"1"',
  '[]',
  '{}',
  'true',
  '18446744073709551616',
)
const maybe = (good: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.oneof({ weight: 12, arbitrary: good }, { weight: 1, arbitrary: notUint })
const jsonText = json.map((bytes) => bytes.toString())
const shortText = fc.oneof(
  fc.constantFrom('a', 'mail', 'é', '\u0000', 'x"y', ''),
  fc.string({ maxLength: 6 }),
)
const quoted = shortText.map((it) => JSON.stringify(it))
const listOf = (of: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.array(of, { maxLength: 4 }).map((items) => `[${items.join(',')}]`)
const orNull = (of: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.oneof({ weight: 4, arbitrary: of }, { weight: 1, arbitrary: fc.constant('null') })

const jobMembers = {
  data: jsonText,
  priority: maybe(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }).map(String)),
  delay: maybe(orNull(uint)),
  ttl: maybe(orNull(uint)),
  timeout: maybe(orNull(uint)),
  max_attempts: maybe(orNull(uint)),
  backoff: maybe(orNull(uint)),
  unique_key: orNull(quoted),
  depends_on: orNull(listOf(uint)),
  tags: orNull(listOf(quoted)),
}
const members: Readonly<Record<string, fc.Arbitrary<string>>> = {
  ...jobMembers,
  queue: quoted,
  jobs: fc
    .array(fc.record(jobMembers, { requiredKeys: ['data'] }), { maxLength: 3 })
    .map((jobs) => {
      return `[${jobs
        .map(
          (job) =>
            `{${Object.entries(job)
              .map(([key, raw]) => `"${key}":${raw}`)
              .join(',')}}`,
        )
        .join(',')}]`
    }),
  id: maybe(uint),
  ids: listOf(
    fc.oneof(
      uint,
      fc.nat(4).map((n) => String(64 + 32 * n)),
    ),
  ),
  token: fc.oneof(uint, quoted, fc.constantFrom('true', 'false', 'null')),
  tokens: orNull(listOf(orNull(uint))),
  result: jsonText,
  results: orNull(listOf(jsonText)),
  wait: maybe(orNull(uint)),
  lease: maybe(orNull(uint)),
  release_on_close: fc.constantFrom('true', 'false', 'null', '1'),
  count: maybe(uint),
  error: orNull(quoted),
  progress: maybe(fc.nat(300).map(String)),
  message: orNull(quoted),
  events: listOf(fc.constantFrom('"pushed"', '"completed"', '"*"', '"failed"', '"nothing"')),
  limit: maybe(uint),
  name: quoted,
  schedule: quoted,
  full: fc.constantFrom('true', 'false', 'null', '1'),
  state: orNull(fc.constantFrom('"waiting"', '"failed"', '"waitingchildren"', '"gone"', '1')),
  tag: orNull(quoted),
  since: maybe(orNull(uint)),
  until: maybe(orNull(uint)),
  text: orNull(quoted),
  cursor: orNull(fc.constantFrom('""', `"${writePlace(startOfList(7))}"`, '"x"')),
  offset: maybe(orNull(fc.nat(1000).map(String))),
  line: fc.oneof(quoted, fc.constantFrom('null', '1')),
  force: fc.constantFrom('true', 'false', 'null', '"yes"'),
}

const wanted: Readonly<Record<string, readonly string[]>> = {
  PUSH: ['queue', ...Object.keys(jobMembers)],
  PUSHB: ['queue', 'jobs'],
  PULL: ['queue', 'wait', 'lease', 'token', 'release_on_close'],
  PULLB: ['queue', 'count', 'wait', 'lease', 'token', 'release_on_close'],
  ACK: ['id', 'result', 'token'],
  ACKB: ['ids', 'tokens', 'results'],
  FAIL: ['id', 'error', 'token'],
  GETJOB: ['id', 'full'],
  PROMOTE: ['id'],
  LOG: ['id', 'line', 'token'],
  DELETEQUEUE: ['queue', 'force'],
  LISTJOBS: ['limit', 'state', 'tag', 'since', 'until', 'text', 'cursor', 'offset'],
  PROGRESS: ['id', 'progress', 'message', 'token'],
  DLQ: ['queue', 'count'],
  RETRYDLQ: ['queue', 'id'],
  SUBSCRIBE: ['queue', 'events'],
  STATS: [],
  CRON: ['name', 'queue', 'schedule', 'data', 'priority'],
  RATELIMIT: ['queue', 'limit'],
  AUTH: ['token'],
  HEARTBEAT: ['id', 'ids', 'lease', 'token', 'tokens'],
  RELEASE: ['id', 'ids', 'token', 'tokens'],
}

const reqId = fc.oneof(
  fc.nat().map(String),
  fc.string({ maxLength: 8 }).map((it) => JSON.stringify(it)),
)

export const frameBytes: fc.Arbitrary<Buffer> = fc
  .constantFrom(...Object.keys(wanted))
  .chain((cmd) => {
    const own = (wanted[cmd] as readonly string[]).map(
      (key): fc.Arbitrary<[string, string]> =>
        fc.tuple(fc.constant(key), members[key] as fc.Arbitrary<string>),
    )
    const other: fc.Arbitrary<[string, string]> = fc.oneof(
      fc
        .constantFrom(...Object.keys(members))
        .chain((key) => fc.tuple(fc.constant(key), members[key] as fc.Arbitrary<string>)),
      fc.tuple(fc.constantFrom('isAdmin', '__proto__', 'constructor', '', 'Queue'), jsonText),
    )
    const strange = fc.oneof(
      { weight: 7, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.array(other, { maxLength: 2 }) },
    )
    const head: fc.Arbitrary<[string, string][]> = fc.oneof(
      fc.constant<[string, string][]>([['cmd', `"${cmd}"`]]),
      reqId.map((id): [string, string][] => [
        ['cmd', `"${cmd}"`],
        ['reqId', id],
      ]),
      reqId.map((id): [string, string][] => [
        ['reqId', id],
        ['cmd', `"${cmd}"`],
      ]),
    )
    const dropped = fc.array(fc.nat({ max: 12 }), { maxLength: 6 })
    const shuffled = fc.oneof(
      { weight: 2, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.nat() },
    )
    const style = fc.constantFrom<[string, string][]>(
      [',', ':'],
      [',', ':'],
      [',', ':'],
      [', ', ': '],
      [' ,\t', ' : '],
    )
    return fc
      .tuple(head, fc.tuple(...own), strange, dropped, shuffled, style, fc.nat(20))
      .map(([first, fields, extra, drop, order, [comma, colon], escaped]) => {
        const kept = fields.filter((_, index) => index === 0 || !drop.includes(index))
        const all = shuffle([...first, ...kept, ...extra], order)
        const pairs = all.map(
          ([key, raw], index) => `${keyText(key, index === escaped)}${colon}${raw}`,
        )
        return Buffer.from(`{${pairs.join(comma)}}`)
      })
  })

export const mutatedFrame = fc
  .tuple(frameBytes, fc.array(edit, { maxLength: 2 }))
  .map(([bytes, edits]) => edits.reduce(applyEdit, bytes))

/** A key, its first letter as an escape if wanted. */
function keyText(key: string, isEscaped: boolean): string {
  if (!isEscaped || key === '') return JSON.stringify(key)
  return `"\\u${key.charCodeAt(0).toString(16).padStart(4, '0')}${key.slice(1)}"`
}

/** 0 leaves the order. */
function shuffle<T>(list: T[], order: number): T[] {
  let rest = order
  for (let i = list.length - 1; i > 0 && rest > 0; i--) {
    const k = rest % (i + 1)
    rest = Math.floor(rest / (i + 1))
    const taken = list[i] as T
    list[i] = list[k] as T
    list[k] = taken
  }
  return list
}

/** What a command says, in the terms of `expected`. */
export function shown(command: Command): unknown {
  const { op, bytes, jobs } = command
  const raw = (from: number, to: number): unknown =>
    from < 0 ? null : JSON.parse(bytes.toString('utf8', from, to))
  switch (op) {
    case Op.PUSH:
    case Op.PUSHB:
      return {
        op,
        queue: command.queue,
        jobs: Array.from({ length: jobs.count }, (_, row) => shownJob(command, row)),
      }
    case Op.PULL:
    case Op.PULLB:
      return {
        ...{
          op,
          queue: command.queue,
          count: command.count,
          wait: command.waitMs,
          lease: command.leaseMs,
        },
        ...{ token: command.wantsToken, release: command.releaseOnClose },
      }
    case Op.ACK:
      return {
        op,
        id: command.id,
        token: command.token,
        result: raw(command.resultFrom, command.resultTo),
      }
    case Op.FAIL:
    case Op.LOG:
      return { op, id: command.id, token: command.token, text: command.text }
    case Op.PROGRESS:
      return {
        op,
        id: command.id,
        token: command.token,
        text: command.text,
        progress: command.progress,
      }
    case Op.ACKB:
    case Op.HEARTBEAT:
    case Op.RELEASE: {
      const count = command.idCount
      const results = (): unknown[] =>
        Array.from({ length: count }, (_, k) =>
          raw(command.results[2 * k] as number, command.results[2 * k + 1] as number),
        )
      return {
        ...{ op, ids: [...command.ids.subarray(0, count)] },
        tokens: command.hasTokens ? [...command.tokens.subarray(0, count)] : null,
        ...(op === Op.ACKB
          ? { results: command.hasResults ? results() : null }
          : { hasId: command.hasId }),
        ...(op === Op.HEARTBEAT ? { lease: command.leaseMs } : {}),
      }
    }
    case Op.DLQ:
      return { op, queue: command.queue, count: command.count }
    case Op.RETRYDLQ:
      return { op, queue: command.queue, id: command.hasId ? command.id : null }
    case Op.SUBSCRIBE:
      return { op, queue: command.queue, events: command.events > 0 }
    case Op.CRON:
      return {
        ...{ op, queue: command.queue, name: command.name, schedule: command.schedule },
        ...{ priority: command.priority, data: raw(command.dataFrom, command.dataTo) },
      }
    case Op.RATELIMIT:
      return { op, queue: command.queue, limit: command.limit }
    case Op.AUTH:
      return { op, secret: command.secret }
    case Op.PROMOTE:
      return { op, id: command.id }
    case Op.DELETEQUEUE:
      return { op, queue: command.queue, force: command.isForced }
    case Op.LISTJOBS: {
      const { place, ...query } = command.query as JobQuery
      return { op, ...query, skip: place.skip }
    }
    case Op.GETJOB:
      return { op, id: command.id, full: command.isFull }
    default:
      return { op }
  }
}

const intNames = { priority: IntColumn.priority } as const
const numNames = ['delay', 'ttl', 'timeout', 'max_attempts', 'backoff'] as const

function shownJob({ bytes, jobs }: Command, row: number): unknown {
  const int = (column: number): number => jobs.ints[row * INT_STRIDE + column] as number
  const flags = int(IntColumn.flags)
  expect(jobs.flagsSeen & flags).toBe(flags)
  const text = (column: number): number => jobs.texts[row * TEXT_STRIDE + column] as number
  const raw = (from: number, to: number): unknown => JSON.parse(bytes.toString('utf8', from, to))
  const job: Record<string, unknown> = {
    data: raw(int(IntColumn.dataFrom), int(IntColumn.dataTo)),
  }
  if ((flags & 1) !== 0) job['priority'] = int(intNames.priority)
  numNames.forEach((name, column) => {
    if ((flags & (2 << column)) !== 0) job[name] = jobs.nums[row * numNames.length + column]
  })
  if ((flags & 64) !== 0) {
    const key = bytes.toString('utf8', text(TextColumn.keyFrom), text(TextColumn.keyTo))
    expect(key.includes('\\')).toBe((flags & 512) !== 0)
    job['unique_key'] = JSON.parse(`"${key}"`)
  }
  if ((flags & 128) !== 0)
    job['depends_on'] = raw(text(TextColumn.dependsFrom), text(TextColumn.dependsTo))
  if ((flags & 256) !== 0) job['tags'] = raw(text(TextColumn.tagsFrom), text(TextColumn.tagsTo))
  return job
}

/** The same from the parsed frame, which has been accepted. */
export function expected(frame: Json): unknown {
  const op = Op[frame['cmd'] as keyof typeof Op]
  const { queue, id } = frame
  const token = frame['token'] ?? Number.NaN
  switch (op) {
    case Op.PUSH:
      return { op, queue, jobs: [expectedJob(frame)] }
    case Op.PUSHB:
      return { op, queue, jobs: (frame['jobs'] as Json[]).map(expectedJob) }
    case Op.PULL:
    case Op.PULLB:
      return {
        ...{ op, queue, count: op === Op.PULL ? 1 : Math.min(frame['count'] as number, 1000) },
        ...{ wait: frame['wait'] ?? -1, lease: frame['lease'] ?? 0 },
        ...{ token: frame['token'] ?? false, release: frame['release_on_close'] ?? false },
      }
    case Op.ACK:
      return { op, id, token, result: frame['result'] ?? null }
    case Op.FAIL:
      return { op, id, token, text: frame['error'] ?? null }
    case Op.LOG:
      return { op, id, token, text: frame['line'] }
    case Op.PROGRESS:
      return { op, id, token, text: frame['message'] ?? null, progress: frame['progress'] }
    case Op.ACKB:
      return {
        op,
        ids: frame['ids'],
        tokens: expectedTokens(frame['tokens']),
        results: frame['results'] ?? null,
      }
    case Op.HEARTBEAT:
    case Op.RELEASE:
      return {
        ...{ op, ids: frame['ids'] ?? [id], hasId: (id ?? null) !== null },
        tokens: expectedTokens(
          frame['tokens'] ?? (frame['token'] == null ? null : [frame['token']]),
        ),
        ...(op === Op.HEARTBEAT ? { lease: frame['lease'] ?? 0 } : {}),
      }
    case Op.DLQ:
      return { op, queue, count: Math.min((frame['count'] ?? 100) as number, 1000) }
    case Op.RETRYDLQ:
      return { op, queue, id: id ?? null }
    case Op.SUBSCRIBE:
      return { op, queue, events: (frame['events'] as string[]).length > 0 }
    case Op.CRON:
      return {
        ...{ op, queue, name: frame['name'], schedule: frame['schedule'] },
        ...{ priority: frame['priority'] ?? 0, data: frame['data'] },
      }
    case Op.RATELIMIT:
      return { op, queue, limit: frame['limit'] }
    case Op.AUTH:
      return { op, secret: frame['token'] }
    case Op.PROMOTE:
      return { op, id }
    case Op.DELETEQUEUE:
      return { op, queue, force: frame['force'] ?? false }
    case Op.LISTJOBS:
      return {
        ...{ op, queue: queue ?? null, tag: frame['tag'] || null, text: frame['text'] || null },
        state: { waiting: 1, failed: 5, waitingchildren: 6 }[String(frame['state'])] ?? 0,
        ...{ sinceMs: frame['since'] ?? 0, untilMs: frame['until'] ?? Number.POSITIVE_INFINITY },
        limit: frame['limit'] ?? 100,
        skip: (frame['cursor'] ?? null) === null ? (frame['offset'] ?? 0) : 7,
      }
    case Op.GETJOB:
      return { op, id, full: frame['full'] ?? false }
    default:
      return { op }
  }
}

function expectedTokens(tokens: unknown): unknown {
  return tokens == null ? null : (tokens as (number | null)[]).map((token) => token ?? Number.NaN)
}

function expectedJob(job: Json): unknown {
  const known = ['data', 'priority', ...numNames, 'unique_key', 'depends_on', 'tags']
  const pairs = known.map((name): [string, unknown] => [
    name,
    Object.hasOwn(job, name) ? job[name] : undefined,
  ])
  const isEmpty = (it: unknown): boolean => Array.isArray(it) && it.length === 0
  return Object.fromEntries(
    pairs.filter(
      ([name, it]) => it !== undefined && (name === 'data' || (it !== null && !isEmpty(it))),
    ),
  )
}
