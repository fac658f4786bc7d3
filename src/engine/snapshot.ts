// A shard's state as it is stored: a row per job, and everything else as bytes (`metaOf`). `restore.ts` reads both.
//
//   meta   version | shard, number of rows, sequences, token, totals | gaps | outcomes
//          | free queue numbers | queues: number, name, settings, dead letters in order
//          | crons | last ticks | children by parent | finished jobs: runs in the order they finished
//          | where there ever was a webhook: the list, those that fail, the outbox
//
// 1. What follows from the rows is not written: counters, what is ready, unique keys, parked jobs, holders, timers.
// 2. Queues and crons keep their numbers, since later records and the order of lists depend on them.
// 3. A change of the format is a new version, and restore.ts still reads the ones before.

import { jobIdOf, type Seq } from './job-id.ts'
import {
  endedAtMs,
  type JobPage,
  JobState,
  PAGE_ROWS,
  type RareFields,
  RowFlag,
  rowOf,
  stateNames,
} from './job-store.ts'
import type { Queue } from './queue.ts'
import { RecordWriter } from './record-bytes.ts'
import type { ShardState } from './shard-state.ts'
import { emptyJobRow, type JobRow } from './storage-port.ts'

export const META_VERSION = 1

export const QueueFlag = { paused: 1, used: 2, rate: 4, concurrency: 8 } as const

/** Every live job: completed ones first, in the order they finished, then the others by id. `row` is scratch. */
export function forEachJob(state: ShardState, each: (row: JobRow) => void): void {
  for (const row of jobRows(state)) each(row)
}

/** The same for whoever must pause between rows. The state must not change meanwhile. */
export function* jobRows(state: ShardState): Generator<JobRow, void> {
  const row = emptyJobRow()
  const runs: [seq: Seq, count: number, finishedAtMs: number][] = []
  state.finished.eachRun((seq, count, finishedAtMs) => runs.push([seq, count, finishedAtMs]))
  for (const [first, count, finishedAtMs] of runs) {
    row.finishedAtMs = finishedAtMs
    for (let seq = first; seq < first + count; seq++) {
      fill(row, state, state.jobs.get(seq), rowOf(seq))
      yield row
    }
  }
  for (const page of state.jobs.pagesInOrder()) {
    for (let at = 0; at < PAGE_ROWS; at++) {
      if (page.state[at] === JobState.none || page.state[at] === JobState.completed) continue
      fill(row, state, page, at)
      row.finishedAtMs = endedAtMs(page, at)
      yield row
    }
  }
}

export function metaOf(state: ShardState): Buffer {
  const w = new RecordWriter().begin(META_VERSION)
  w.uint(state.shard).uint(state.jobs.live)
  w.uint(state.firstSeq).uint(state.nextSeq).f64(state.nextToken)
  w.uint(state.totalPushed).uint(state.totalCompleted).uint(state.totalFailed)
  state.gaps.write(w)
  state.outcomes.write(w)
  w.uint(state.freeQueueNos.length)
  for (const no of state.freeQueueNos) w.uint(no)
  w.uint(state.queuesByName.size)
  for (const queue of state.queuesByName.values()) writeQueue(w, queue)
  writeCrons(w, state)
  w.uint(state.childrenOf.size)
  for (const [seq, children] of state.childrenOf) {
    w.uint(seq)
    writeSteps(w, children)
  }
  writeFinished(w, state)
  if (state.webhooks.version > 0) writeWebhooks(w, state)
  return w.end()
}

function writeQueue(w: RecordWriter, queue: Queue): void {
  const { rate, concurrency } = queue
  let flags = 0
  if (queue.paused) flags |= QueueFlag.paused
  if (queue.used) flags |= QueueFlag.used
  if (rate !== null) flags |= QueueFlag.rate
  if (concurrency !== null) flags |= QueueFlag.concurrency
  w.uint(queue.no).text(queue.name).u8(flags)
  if (rate !== null) w.f64(rate.limit).f64(rate.tokens).f64(rate.refilledAtMs)
  if (concurrency !== null) w.f64(concurrency)
  writeSteps(w, queue.dead)
}

function writeCrons(w: RecordWriter, state: ShardState): void {
  w.uint(state.nextCronNo).uint(state.crons.size)
  for (const cron of state.crons.values()) {
    w.uint(cron.no).text(cron.name).text(cron.queue).text(cron.data).text(cron.text)
    w.f64(cron.schedule.everyMs).f64(cron.priority).f64(cron.nextRunMs)
  }
  w.uint(state.cronTicks.size)
  for (const [name, tickMs] of state.cronTicks) w.text(name).f64(tickMs)
}

/** Numbers in their order, each as the step from the one before. */
function writeSteps(w: RecordWriter, numbers: ReadonlySet<number>): void {
  w.uint(numbers.size)
  let last = 0
  for (const number of numbers) {
    w.sint(number - last)
    last = number
  }
}

/**
 *   jobs | per run: step from the end of the one before | count * 2, + 1 when it finished at the same time as the one before
 *        | finishedAtMs, when it did not | bytes
 */
function writeFinished(w: RecordWriter, state: ShardState): void {
  w.uint(state.finished.count)
  let end = 0
  let lastAtMs = -1
  state.finished.eachRun((seq, count, finishedAtMs, bytes) => {
    const sameTime = finishedAtMs === lastAtMs
    w.sint(seq - end).uint(count * 2 + (sameTime ? 1 : 0))
    if (!sameTime) w.f64(finishedAtMs)
    w.uint(bytes)
    end = seq + count
    lastAtMs = finishedAtMs
  })
}

function fill(row: JobRow, state: ShardState, page: JobPage, at: number): void {
  const flags = page.flags[at] as number
  const { options, leases, results } = page
  const seq = page.firstSeq + at
  row.id = jobIdOf(seq, state.shard)
  row.queue = state.queueName(page.queue[at] as number)
  row.state = stateNames[page.state[at] as number] as string
  row.priority = page.priority[at] as number
  row.attempts = page.attempts[at] as number
  row.maxAttempts = page.maxAttempts[at] as number
  row.createdAtMs = page.createdAt[at] as number
  row.runAtMs = page.runAt[at] as number
  row.startedAtMs = page.startedAt === null ? 0 : (page.startedAt[at] as number)
  row.backoffMs = options === null ? 0 : (options.backoff[at] as number)
  row.ttlMs = options === null ? 0 : (options.ttl[at] as number)
  row.timeoutMs = options === null ? 0 : (options.timeout[at] as number)
  row.progress = page.progress === null ? 0 : (page.progress[at] as number)
  const isActive = page.state[at] === JobState.active
  row.token = page.token === null || !isActive ? 0 : (page.token[at] as number)
  const leased = leases !== null && (flags & RowFlag.leased) !== 0
  row.leaseMs = leased ? (leases.lengthMs[at] as number) : 0
  row.leaseUntilMs = leased ? (leases.untilMs[at] as number) : 0
  row.holder = leases !== null && (flags & RowFlag.held) !== 0 ? (leases.holder[at] as number) : 0
  row.data = bytesAt(state, page.slab[at], page.from[at], page.length[at])
  row.result =
    results !== null && (flags & RowFlag.result) !== 0
      ? bytesAt(state, results.slab[at], results.from[at], results.length[at])
      : null
  const rare = state.jobs.rareOf(page, seq)
  row.rest = rare === undefined ? null : restOf(rare)
}

/** A body that is the one of the entry before is not written again. */
function writeWebhooks(w: RecordWriter, { webhooks, outbox, failingSince }: ShardState): void {
  w.text(webhooks.toText())
  w.uint(failingSince.size)
  for (const [no, sinceMs] of failingSince) w.uint(no).f64(sinceMs)
  w.uint(outbox.nextNo).uint(outbox.entries.size)
  let last: Buffer | null = null
  for (const {
    no,
    webhook,
    event,
    createdAtMs,
    attempts,
    nextMs,
    body,
  } of outbox.entries.values()) {
    w.uint(no).uint(webhook).text(event).f64(createdAtMs).uint(attempts).f64(nextMs)
    if (body === last) w.u8(0)
    else w.u8(1).raw(body, 0, body.length)
    last = body
  }
}

type Cell = number | undefined

function bytesAt(state: ShardState, slab: Cell, from: Cell, length: Cell): Buffer {
  const start = from as number
  return state.payloads.bytesOf(slab as number).subarray(start, start + (length as number))
}

/** The JSON of `JobRow.rest`: only what there is. Half of a surrogate pair is written as an escape. */
export interface Rest {
  unique_key?: string
  depends_on?: readonly number[]
  /** Of these, the parents that are not known to be completed. */
  waits_for?: readonly number[]
  /** JSON text, as pushed. */
  tags?: string
  message?: string
  error?: string
  /** Moment and text of each line, oldest first. */
  logs?: readonly (readonly [atMs: number, line: string])[]
  logs_dropped?: number
}

function restOf(rare: RareFields): string {
  const rest: Rest = {}
  if (rare.uniqueKey !== null) rest.unique_key = rare.uniqueKey
  if (rare.dependsOn !== null) rest.depends_on = rare.dependsOn
  if (rare.openParents !== null) rest.waits_for = [...rare.openParents]
  if (rare.tags !== null) rest.tags = rare.tags
  if (rare.message !== null) rest.message = rare.message
  if (rare.error !== null) rest.error = rare.error
  if (rare.logs !== null) {
    rest.logs = rare.logs.lines.map(({ atMs, line }) => [atMs, line])
    rest.logs_dropped = rare.logs.dropped
  }
  return JSON.stringify(rest)
}
