// Commands that ask all shards (STATS, METRICS, LISTQUEUES, CRONLIST, LISTJOBS): every live worker gives its part,
// and the worker that was asked answers with the whole.
//
// 1. In memory, a worker that dies meanwhile has no part any more: what it held is gone. Where shards outlive their
//    owner each must be in exactly one part; if not, some are on their way, and everybody is asked again (`again`).
// 2. A worker that lives and does not answer in time makes the whole `unavailable`: a sum over a part of
//    the shards would be wrong without saying so.
// 3. LISTJOBS asks in rounds, each in a turn of its own, so that a long list holds nobody up. Its parts show jobs, so
//    they wait until what they show is durable.

import { limits } from '../engine/limits.ts'
import { JobList } from '../engine/list/job-list.ts'
import { type JobQuery, queryOf, queryText } from '../engine/list/job-query.ts'
import type { ListPart } from '../engine/list/list-jobs.ts'
import { writePlace } from '../engine/list/list-place.ts'
import { Op } from '../engine/op.ts'
import type { CronInfo, Metrics, QueueInfo, Reply, Stats, WireCodec } from '../engine/ports.ts'
import { refusals } from '../engine/refusal.ts'
import type { Part } from './part.ts'
import type { Runner } from './runner.ts'

export const GATHER_MS_MAX = 2000

export interface GatherDeps {
  readonly me: number
  readonly runner: Runner
  /** Shards outlive their owner. */
  readonly isDurable: boolean
  /** Every other live worker. */
  others(): number[]
  /** False when that worker has just died. */
  ask(worker: number, op: number, no: number, query: string): boolean
  /** `done` is called when all that was answered so far is durable. */
  whenSent(done: () => void): void
  readonly codec: Pick<WireCodec, 'listed'>
}

interface Pending {
  readonly reply: Reply
  readonly done: (parts: readonly Part[]) => void
  readonly parts: Part[]
  readonly waitingFor: Set<number>
  readonly timer: NodeJS.Timeout
}

const NO_BYTES = Buffer.alloc(0)

export class Gathers {
  private readonly deps: GatherDeps
  private readonly pending = new Map<number, Pending>()
  private lastNo = 0

  constructor(deps: GatherDeps) {
    this.deps = deps
  }

  /** `again` is called instead of a reply when a shard is between two owners. `query`: of LISTJOBS. */
  start(op: number, reply: Reply, again: () => void, query: JobQuery | null = null): void {
    const done = (parts: readonly Part[]): void => {
      if (this.deps.isDurable && !isWhole(parts)) again()
      else this.answer(op, reply, parts)
    }
    if (query === null) this.ask(op, '', reply, done)
    else this.list(new JobList(query), reply, again)
  }

  /** What this worker's shards say; `give` may be called later. */
  givePart(op: number, query: string, give: (part: Part) => void): void {
    const { runner, codec, whenSent } = this.deps
    const shards = runner.shardsOwned()
    if (op !== Op.LISTJOBS) return give({ shards, value: this.localValue(op), body: NO_BYTES })
    const { part, body } = runner.listJobs(queryOf(query), codec.listed)
    whenSent(() => give({ shards, value: part, body }))
  }

  private ask(op: number, query: string, reply: Reply, done: Pending['done']): void {
    const { deps } = this
    this.lastNo = (this.lastNo + 1) >>> 0
    const no = this.lastNo
    const others = deps.others().filter((worker) => deps.ask(worker, op, no, query))
    const timer = setTimeout(() => this.giveUp(no), GATHER_MS_MAX)
    const waitingFor = new Set([deps.me, ...others])
    this.pending.set(no, { reply, done, parts: [], waitingFor, timer })
    this.givePart(op, query, (part) => this.gathered(deps.me, no, part))
  }

  /** Round by round. */
  private list(list: JobList, reply: Reply, again: () => void, rounds = 1): void {
    this.ask(Op.LISTJOBS, queryText(list.query), reply, (parts) => {
      if (this.deps.isDurable && !isWhole(parts)) return again()
      list.take(parts.map(({ value, body }) => ({ part: value as ListPart, body })))
      if (!list.isFull && rounds < limits.listRoundsMax) {
        setImmediate(() => this.list(list, reply, again, rounds + 1))
        return
      }
      const { place } = list
      reply.jobs(list.bodies, place === null ? null : writePlace(place))
    })
  }

  private localValue(op: number): unknown {
    const { me, runner } = this.deps
    switch (op) {
      case Op.STATS:
        return runner.stats()
      case Op.METRICS: {
        const metrics = runner.metrics()
        for (const queue of metrics.queues) queue.worker = me
        return metrics
      }
      case Op.LISTQUEUES: {
        const queues = runner.queues()
        for (const queue of queues) queue.worker = me
        return queues
      }
      case Op.CRONLIST:
        return runner.crons()
      default:
        throw new Error(`op ${op} does not ask all shards`)
    }
  }

  gathered(worker: number, no: number, part: Part): void {
    const pending = this.pending.get(no)
    if (pending === undefined) return
    pending.parts.push(part)
    this.heardOf(no, pending, worker)
  }

  workerLost(worker: number): void {
    for (const [no, pending] of this.pending) this.heardOf(no, pending, worker)
  }

  stop(): void {
    for (const { timer } of this.pending.values()) clearTimeout(timer)
    this.pending.clear()
  }

  private heardOf(no: number, pending: Pending, worker: number): void {
    if (!pending.waitingFor.delete(worker) || pending.waitingFor.size > 0) return
    clearTimeout(pending.timer)
    this.pending.delete(no)
    pending.done(pending.parts)
  }

  private giveUp(no: number): void {
    const pending = this.pending.get(no)
    if (pending === undefined) return
    this.pending.delete(no)
    pending.reply.refused(refusals.unavailable)
  }

  private answer(op: number, reply: Reply, parts: readonly Part[]): void {
    const values = parts.map(({ value }) => value)
    switch (op) {
      case Op.STATS:
        return reply.stats(mergeStats(values as Stats[]))
      case Op.METRICS:
        return reply.metrics(mergeMetrics(values as Metrics[]), this.deps.me)
      case Op.LISTQUEUES:
        return reply.queues((values as QueueInfo[][]).flat().sort(byName))
      default:
        return reply.crons((values as CronInfo[][]).flat().sort(byName))
    }
  }
}

const ALL_SHARDS = 2 ** limits.shards - 1

/** Every shard is in one of them, and in no other. */
function isWhole(parts: readonly Part[]): boolean {
  let sum = 0
  let union = 0
  for (const { shards } of parts) {
    sum += shards
    union |= shards
  }
  return sum === ALL_SHARDS && union >>> 0 === ALL_SHARDS
}

export function mergeStats(parts: readonly Stats[]): Stats {
  const sum: Stats = { queued: 0, processing: 0, delayed: 0, dlq: 0 }
  for (const part of parts) {
    sum.queued += part.queued
    sum.processing += part.processing
    sum.delayed += part.delayed
    sum.dlq += part.dlq
  }
  return sum
}

/** Totals and rates are sums; the mean latency is weighted by the jobs it is the mean of. */
export function mergeMetrics(parts: readonly Metrics[]): Metrics {
  const whole: Metrics = {
    total_pushed: 0,
    total_completed: 0,
    total_failed: 0,
    jobs_per_second: 0,
    avg_latency_ms: 0,
    latency_count: 0,
    queues: parts.flatMap((part) => part.queues).sort(byName),
  }
  let latencySumMs = 0
  for (const part of parts) {
    whole.total_pushed += part.total_pushed
    whole.total_completed += part.total_completed
    whole.total_failed += part.total_failed
    whole.jobs_per_second += part.jobs_per_second
    whole.latency_count += part.latency_count
    latencySumMs += part.avg_latency_ms * part.latency_count
  }
  if (whole.latency_count > 0) whole.avg_latency_ms = latencySumMs / whole.latency_count
  return whole
}

function byName(a: { name: string }, b: { name: string }): number {
  if (a.name === b.name) return 0
  return a.name < b.name ? -1 : 1
}
