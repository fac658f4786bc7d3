// A history made up by hand, to try the rules on: each step says when it was asked and when it was answered.

import { check } from './checker.ts'
import { dataOf, type Options } from './evidence.ts'
import {
  type CronOp,
  type FinalJob,
  History,
  type Op,
  type Outcome,
  type PullOp,
  type PushOp,
  type PushTerms,
  type QueueOp,
  type RunOp,
  type Seen,
} from './history.ts'

/** Asked at, answered at, and how. */
export type When = readonly [startMs: number, endMs: number, outcome?: Outcome, code?: string]

const QUEUE = 'q'

export class Tale {
  readonly history = new History(() => this.atMs, 0)
  private atMs = 0

  push(when: When, id: number, terms: Partial<PushTerms> = {}): PushOp {
    const key = terms.key ?? `key-${id}`
    const data = dataOf(key)
    const none = { priority: 0, delayMs: 0, ttlMs: 0, timeoutMs: 0, backoffMs: 0, maxAttempts: 0 }
    const plain = { ...none, queue: QUEUE, uniqueKey: null, dependsOn: [] }
    const known = (when[2] ?? 'ok') === 'ok' ? id : 0
    return this.add<PushOp>(when, { f: 'push', ...plain, key, data, ...terms, id: known })
  }

  /** Delivers jobs to one consumer; `seen` are the parts of the answer that matter. */
  pull(when: When, seen: readonly Partial<Seen>[], terms: Partial<PullOp> = {}): PullOp {
    const plain = { queue: QUEUE, count: 1, leaseMs: 1000, releaseOnClose: false }
    const jobs = seen.map((each) => seenOf(each, terms.queue ?? QUEUE))
    return this.add<PullOp>(when, { f: 'pull', ...plain, ...terms, jobs })
  }

  run(f: RunOp['f'], when: When, id: number, token: number, terms: Partial<RunOp> = {}): RunOp {
    return this.add<RunOp>(when, { f, queue: QUEUE, id, token, leaseMs: 0, result: '', ...terms })
  }

  queue(f: QueueOp['f'], when: When, value = 0): QueueOp {
    return this.add<QueueOp>(when, { f, queue: QUEUE, value })
  }

  cron(when: When, name: string, everyMs: number, phaseMs = 0): CronOp {
    return this.add<CronOp>(when, { f: 'cron', name, queue: 'cron', everyMs, phaseMs })
  }

  lose(connection: number, atMs: number): void {
    this.history.lostMs.set(connection, atMs)
  }

  /** Id → state, or state and result; counters as they follow from them, but for `wrong`. */
  end(
    atMs: number,
    states: Readonly<Record<number, string | FinalJob>>,
    wrong: object = {},
    dead?: readonly number[],
  ): void {
    const jobs = new Map<number, FinalJob>()
    for (const [id, state] of Object.entries(states)) {
      jobs.set(Number(id), typeof state === 'string' ? { state, result: '' } : state)
    }
    const ids = (state: string) => [...jobs.keys()].filter((id) => jobs.get(id)?.state === state)
    const { ops } = this.history
    const totals = {
      queued: ids('waiting').length,
      processing: ids('active').length,
      delayed: ids('delayed').length,
      dlq: dead?.length ?? ids('failed').length,
      pushed: ops.filter((op) => op.f === 'push' && op.outcome === 'ok').length,
      completed: ops.filter((op) => op.f === 'ack' && op.outcome === 'ok').length,
      ...wrong,
    }
    this.history.final = { jobs, dead: new Map([[QUEUE, dead ?? ids('failed')]]), totals, atMs }
  }

  private add<T extends Op>(
    when: When,
    what: Omit<T, 'startMs' | 'endMs' | 'outcome' | 'code' | 'proc' | 'connection'> & Partial<T>,
  ): T {
    const [startMs, endMs, outcome = 'ok', code = ''] = when
    const named = { proc: 'p', connection: 1, ...what } as unknown as Omit<
      T,
      'startMs' | 'endMs' | 'outcome' | 'code'
    >
    const op = this.history.ask<T>(named, startMs)
    this.atMs = endMs
    this.history.settle(op, outcome, code)
    return op
  }
}

function seenOf(seen: Partial<Seen>, queue: string): Seen {
  const id = seen.id ?? 0
  const data = dataOf(`key-${id}`)
  const rest = { priority: 0, attempts: 0, token: 1, createdAtMs: 1, runAtMs: 1 }
  return { id, queue, data, ...rest, ...seen }
}

/** Ids in one shard. */
export const A = 32
export const B = 64
export const C = 96

/** One job, pushed, delivered with token 5, acknowledged. */
export function life(tale: Tale): void {
  tale.push([0, 10], A)
  tale.pull([20, 30], [{ id: A, token: 5 }])
  tale.run('ack', [40, 50], A, 5)
}

/** The rules that the tale breaks. */
export function broken(tell: (tale: Tale) => void, options: Partial<Options> = {}): string[] {
  const tale = new Tale()
  tell(tale)
  return [...new Set(check(tale.history, options).violations.map(({ rule }) => rule))]
}
