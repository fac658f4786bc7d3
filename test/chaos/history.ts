// What the clients of one run saw: every request, and what came of it, by one clock.
//
//   asked ──▶ ok        the server says that it did it
//         ──▶ refused   the server says, by a code, that it did not
//         ──▶ unknown   no answer, or `outcome_unknown`: it may have been done, and may still be
//
// 1. Times are ms of one monotonic clock: all clients of a run live in one process.
// 2. What a batch asks for is one request per item, all with the times of the batch.
// 3. Every push has a key of its own in its data, and is sent once: two jobs with one key are one push done twice.
// 4. Nothing here judges; checker.ts does.

export type Outcome = 'ok' | 'refused' | 'unknown'

interface Asked {
  readonly proc: string
  /** Number of the connection it went over. */
  readonly connection: number
  readonly startMs: number
  /** When the answer came, or when the client gave up waiting for it. */
  endMs: number
  outcome: Outcome
  /** Of a refusal, or why it is unknown. */
  code: string
}

export interface PushTerms {
  readonly key: string
  readonly queue: string
  /** JSON text as it was sent. */
  readonly data: string
  readonly priority: number
  readonly delayMs: number
  readonly ttlMs: number
  readonly timeoutMs: number
  readonly backoffMs: number
  /** 0 = unlimited. */
  readonly maxAttempts: number
  readonly uniqueKey: string | null
  readonly dependsOn: readonly number[]
}

export interface PushOp extends Asked, PushTerms {
  readonly f: 'push'
  /** 0 until it is known. */
  id: number
}

/** A job as a pull's answer showed it. */
export interface Seen {
  readonly id: number
  readonly queue: string
  readonly data: string
  readonly priority: number
  readonly attempts: number
  readonly token: number
  readonly createdAtMs: number
  readonly runAtMs: number
}

export interface PullOp extends Asked {
  readonly f: 'pull'
  readonly queue: string
  readonly count: number
  readonly leaseMs: number
  readonly releaseOnClose: boolean
  jobs: readonly Seen[]
}

/** A consumer speaks of one delivery (`token`), or somebody cancels a job (`token` 0). */
export interface RunOp extends Asked {
  readonly f: 'ack' | 'fail' | 'release' | 'heartbeat' | 'cancel'
  readonly queue: string
  readonly id: number
  readonly token: number
  /** Of a heartbeat: how long the lease lasts from then on. */
  readonly leaseMs: number
  /** Of an ack: JSON text, '' = none. */
  readonly result: string
}

export interface QueueOp extends Asked {
  readonly f: 'pause' | 'resume' | 'concurrency' | 'rate' | 'retryDlq' | 'purgeDlq'
  readonly queue: string
  /** The limit; a job's id; 0 = none, or all. */
  readonly value: number
}

export interface CronOp extends Asked {
  readonly f: 'cron' | 'cronDelete'
  readonly name: string
  readonly queue: string
  /** It ticks when Unix time is a multiple of `everyMs`, plus `phaseMs`. */
  readonly everyMs: number
  readonly phaseMs: number
}

export type Op = PushOp | PullOp | RunOp | QueueOp | CronOp

/** How a job was found when all was over. */
export interface FinalJob {
  readonly state: string
  /** JSON text of a completed job's result, '' = none. */
  readonly result: string
}

export interface Totals {
  readonly queued: number
  readonly processing: number
  readonly delayed: number
  readonly dlq: number
  readonly pushed: number
  readonly completed: number
}

export interface FinalReads {
  readonly jobs: ReadonlyMap<number, FinalJob>
  /** Queue → ids in its dead letter queue, in order. */
  readonly dead: ReadonlyMap<string, readonly number[]>
  readonly totals: Totals
  readonly atMs: number
}

/** Something was done to the server or to its database. */
export interface FaultNote {
  readonly fault: string
  readonly target: string
  readonly startMs: number
  /** When it was undone; the server may need longer to be well again. */
  endMs: number
  /** It may have taken a shard's owner away; not so what happens to clients' connections. */
  readonly isOfServer: boolean
}

/** What is known only when it is asked, or later. */
export type Fresh = 'startMs' | 'endMs' | 'outcome' | 'code'

export class History {
  readonly ops: Op[] = []
  readonly faults: FaultNote[] = []
  /** Connection → when its client saw it end, or ended it. */
  readonly lostMs = new Map<number, number>()
  final: FinalReads | null = null
  /** Unix ms at clock 0: server times minus this are times of the history. */
  readonly epochMs: number
  readonly nowMs: () => number
  private connections = 0

  constructor(nowMs: () => number = () => performance.now(), epochMs = performance.timeOrigin) {
    this.nowMs = nowMs
    this.epochMs = epochMs
  }

  newConnection(): number {
    return ++this.connections
  }

  connectionLost(connection: number): void {
    if (!this.lostMs.has(connection)) this.lostMs.set(connection, this.nowMs())
  }

  /** Notes that something is asked now; until it is settled its outcome is unknown. */
  ask<T extends Op>(what: Omit<T, Fresh>, startMs = this.nowMs()): T {
    const fresh = { startMs, endMs: Number.POSITIVE_INFINITY, outcome: 'unknown', code: '' }
    const op = { ...what, ...fresh } as unknown as T
    this.ops.push(op)
    return op
  }

  settle(op: Op, outcome: Outcome, code = ''): void {
    op.endMs = this.nowMs()
    op.outcome = outcome
    op.code = code
  }
}
