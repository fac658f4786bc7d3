// The rules of the model of `shard-model.ts`: what a job is, who may have it, and how it ends.

import { shardOfQueue } from '../../src/cluster/shard-of-queue.ts'
import type { RateLimiter } from '../../src/engine/rate-limiter.ts'
import type { JobObject } from './engine-harness.ts'

export interface ModelRetention {
  count: number
  ageMs: number
  bytes: number
}

export interface ModelJob {
  id: number
  seq: number
  shard: number
  queue: string
  data: unknown
  priority: number
  createdAt: number
  runAt: number
  startedAt: number
  attempts: number
  max: number
  backoff: number
  ttl: number
  timeout: number
  key: string | null
  deps: number[]
  open: Set<number>
  tags: string[]
  progress: number
  message: string | null
  /** Why the last run failed. */
  error: string | null
  logs: { at: number; line: string }[]
  /** `gone`: its body is no longer there, `outcome` is how it ended. */
  state: 'waiting' | 'delayed' | 'active' | 'completed' | 'failed' | 'parked' | 'gone'
  outcome: string
  result: unknown
  token: number
  lease: number
  leaseUntil: number
  leaseTimer: number
  holder: number
  /** When it was completed or failed; 0 while it is neither. */
  finishedAt: number
}

export interface ModelWait {
  max: number
  many: boolean
  lease: number
  token: boolean
  holder: number
  releaseOnClose: boolean
  until: number
  /** The jobs that it got, as they were then; [] when its time was over; null while it waits. */
  got: JobObject[] | null
  forgotten: boolean
}

export interface ModelQueue {
  name: string
  used: boolean
  paused: boolean
  rate: RateLimiter | null
  concurrency: number | null
  waits: ModelWait[]
  dead: ModelJob[]
}

export interface ModelCron {
  no: number
  name: string
  queue: string
  data: unknown
  schedule: string
  priority: number
  /** The first tick that is not known to have fired. */
  next: number
  /** The tick on its way. */
  sent: number | null
  timer: number
}

export interface PushFields {
  data: unknown
  priority?: number
  delay?: number
  ttl?: number
  timeout?: number
  max_attempts?: number
  backoff?: number
  unique_key?: string
  depends_on?: number[]
  tags?: string[]
}

export interface ListFilter {
  queue?: string | undefined
  state?: string
  tag?: string
  text?: string
  since?: number
  until?: number
  offset?: number
}

export type Expected = Record<string, unknown>

export const OK: Expected = { ok: true }
export const refusal = (code: string): Expected => ({ ok: false, code })

export class ShardRules {
  nowMs: number
  memoryFull = false
  readonly jobs: ModelJob[] = []
  readonly byId = new Map<number, ModelJob>()
  readonly queues = new Map<string, ModelQueue>()
  readonly crons = new Map<string, ModelCron>()
  readonly events: [string, number][] = []
  pushed = 0
  completed = 0
  failed = 0
  protected readonly retention: ModelRetention
  protected readonly nextSeq = new Map<number, number>()
  protected readonly children = new Map<number, Set<number>>()
  protected readonly ticks = new Map<string, number>()
  protected readonly finished = new Map<number, ModelJob[]>()
  protected letters: (() => void)[] = []
  protected cronNo = 0
  /** So old may a missed tick be and fire all the same. */
  protected readonly catchUpMs: number

  constructor(nowMs: number, retention: ModelRetention, catchUpMs: number) {
    this.nowMs = nowMs
    this.catchUpMs = catchUpMs
    this.retention = retention
  }

  stateName(id: number): string {
    const job = this.byId.get(id)
    if (job === undefined) return 'unknown'
    if (job.state === 'gone') return job.outcome === 'completed' ? 'completed' : 'unknown'
    return job.state === 'parked' ? 'waiting-children' : job.state
  }

  view(job: ModelJob): JobObject {
    return {
      id: job.id,
      queue: job.queue,
      data: job.data,
      priority: job.priority,
      created_at: job.createdAt,
      run_at: job.runAt,
      started_at: job.startedAt,
      attempts: job.attempts,
      max_attempts: job.max,
      backoff: job.backoff,
      ttl: job.ttl,
      timeout: job.timeout,
      unique_key: job.key,
      depends_on: job.deps,
      progress: job.progress,
      progress_msg: job.message,
      tags: job.tags,
    }
  }

  /** What GETJOB adds when it is asked for all. */
  end(job: ModelJob): Expected {
    if (job.state === 'gone') return { result: null, error: null, finished_at: null }
    return { result: job.result, error: job.error, finished_at: job.finishedAt || null }
  }

  /** What LISTJOBS shows, on one page. */
  list(filter: ListFilter): Expected[] {
    const { queue, tag, text, since, until, offset } = filter
    const state = filter.state === 'waitingchildren' ? 'waiting-children' : filter.state
    return this.jobs
      .filter((job) => job.state !== 'gone')
      .filter((job) => queue === undefined || job.queue === queue)
      .filter((job) => state === undefined || this.stateName(job.id) === state)
      .filter((job) => tag === undefined || job.tags.includes(tag))
      .filter((job) => text === undefined || JSON.stringify(job.data).includes(text))
      .filter((job) => since === undefined || job.createdAt >= since)
      .filter((job) => until === undefined || job.createdAt <= until)
      .sort((a, b) => b.createdAt - a.createdAt || b.id - a.id)
      .slice(offset ?? 0)
      .map((job) => ({
        ...this.view(job),
        state: this.stateName(job.id),
        ...(job.state === 'completed' || job.state === 'failed' ? this.end(job) : {}),
      }))
  }

  count(queue: string | null, ...states: ModelJob['state'][]): number {
    return this.jobs.filter(
      (job) => (queue === null || job.queue === queue) && states.includes(job.state),
    ).length
  }

  queue(name: string): ModelQueue {
    const known = this.queues.get(name)
    if (known !== undefined) return known
    const made: ModelQueue = {
      name,
      used: false,
      paused: false,
      rate: null,
      concurrency: null,
      waits: [],
      dead: [],
    }
    this.queues.set(name, made)
    return made
  }

  protected refuse(queue: ModelQueue, fields: PushFields, batchKeys: Set<string>): string | null {
    const shard = shardOfQueue(queue.name)
    for (const id of fields.depends_on ?? []) {
      if (id % 32 === shard && Math.floor(id / 32) >= this.seqOf(shard)) return 'dependency_invalid'
    }
    const key = fields.unique_key
    if (key === undefined) return null
    const live = this.jobs.some(
      (job) =>
        job.queue === queue.name &&
        job.key === key &&
        job.state !== 'completed' &&
        job.state !== 'gone',
    )
    return live || batchKeys.has(key) ? 'duplicate_key' : null
  }

  protected seqOf(shard: number): number {
    return this.nextSeq.get(shard) ?? 1
  }

  protected add(queue: ModelQueue, rows: PushFields[]): number[] {
    const shard = shardOfQueue(queue.name)
    const made = rows.map((fields, i) => this.make(queue, shard, this.seqOf(shard) + i, fields))
    if (made.length > 0) queue.used = true
    this.nextSeq.set(shard, this.seqOf(shard) + made.length)
    this.pushed += made.length
    for (const job of made) if (job.state === 'parked') this.ask(job)
    for (const job of made) this.events.push(['pushed', job.id])
    return made.map((job) => job.id)
  }

  protected make(queue: ModelQueue, shard: number, seq: number, fields: PushFields): ModelJob {
    const runAt = this.nowMs + (fields.delay ?? 0)
    const deps = [...new Set(fields.depends_on ?? [])]
    const isDone = (id: number): boolean => id % 32 === shard && this.stateName(id) === 'completed'
    const open = new Set(deps.filter((id) => !isDone(id)))
    const job: ModelJob = {
      id: seq * 32 + shard,
      seq,
      shard,
      queue: queue.name,
      data: fields.data,
      priority: fields.priority ?? 0,
      createdAt: this.nowMs,
      runAt,
      startedAt: 0,
      attempts: 0,
      max: fields.max_attempts ?? 0,
      backoff: fields.backoff ?? 0,
      ttl: fields.ttl ?? 0,
      timeout: fields.timeout ?? 0,
      key: fields.unique_key ?? null,
      deps,
      open,
      tags: fields.tags ?? [],
      progress: 0,
      message: null,
      error: null,
      logs: [],
      state: open.size > 0 ? 'parked' : runAt > this.nowMs ? 'delayed' : 'waiting',
      outcome: 'open',
      result: null,
      token: 0,
      lease: 0,
      leaseUntil: 0,
      leaseTimer: 0,
      holder: 0,
      finishedAt: 0,
    }
    this.jobs.push(job)
    this.byId.set(job.id, job)
    return job
  }

  protected deliverable(queue: ModelQueue): number {
    if (queue.paused) return 0
    let count = this.count(queue.name, 'waiting')
    if (queue.concurrency !== null) {
      count = Math.min(count, queue.concurrency - this.count(queue.name, 'active'))
    }
    if (queue.rate !== null) count = Math.min(count, queue.rate.available(this.nowMs))
    return Math.max(0, count)
  }

  protected deliver(queue: ModelQueue, wait: ModelWait): JobObject[] {
    const ready = this.jobs
      .filter((job) => job.queue === queue.name && job.state === 'waiting')
      .sort((a, b) => b.priority - a.priority || a.runAt - b.runAt || a.seq - b.seq)
      .slice(0, Math.min(wait.max, this.deliverable(queue)))
    queue.rate?.take(ready.length, this.nowMs)
    for (const job of ready) {
      job.state = 'active'
      job.startedAt = this.nowMs
      job.lease = wait.lease
      job.leaseUntil = this.nowMs + wait.lease
      job.leaseTimer = job.leaseUntil + 1
      job.holder = wait.releaseOnClose ? wait.holder : 0
    }
    return ready.map((job) => this.view(job))
  }

  protected serve(queue: ModelQueue): void {
    for (let wait = queue.waits[0]; wait !== undefined; wait = queue.waits[0]) {
      if (this.deliverable(queue) === 0) return
      queue.waits.shift()
      wait.got = this.deliver(queue, wait)
    }
  }

  protected active(id: number, token: number | null, absent: string): ModelJob | string {
    const job = this.byId.get(id)
    if (job === undefined) return absent
    if (job.state !== 'active') return token === null ? absent : 'stale_token'
    return token !== null && token !== job.token ? 'stale_token' : job
  }

  protected each(
    ids: number[],
    tokens: (number | null)[] | null,
    act: (job: ModelJob) => void,
  ): Expected {
    const errors: { index: number; code: string }[] = []
    let count = 0
    for (const shard of new Set(ids.map((id) => id % 32))) {
      for (const [index, id] of ids.entries()) {
        if (id % 32 !== shard) continue
        const job = this.active(id, tokens?.[index] ?? null, 'job_not_active')
        if (typeof job === 'string') errors.push({ index, code: job })
        else {
          act(job)
          count++
        }
      }
    }
    return counted(count, errors)
  }

  protected finish(id: number, token: number | null, result: unknown): string | null {
    const job = this.active(id, token, 'job_not_found')
    if (typeof job === 'string') return job
    job.state = 'completed'
    job.outcome = 'completed'
    job.result = result
    job.finishedAt = this.nowMs
    const list = this.finished.get(job.shard) ?? []
    this.finished.set(job.shard, list)
    list.push(job)
    this.completed++
    this.tell(job)
    this.events.push(['completed', id])
    return null
  }

  protected evict(): void {
    for (const list of this.finished.values()) {
      const size = (job: ModelJob): number =>
        bytesOf(job.data) + (job.result === null ? 0 : bytesOf(job.result)) + logBytes(job)
      const bytes = (): number => list.reduce((sum, job) => sum + size(job), 0)
      while (list.length > this.retention.count || bytes() > this.retention.bytes) {
        this.evictOldest(list)
      }
    }
  }

  protected evictOldest(list: ModelJob[]): void {
    const job = list.shift()
    if (job === undefined) return
    job.state = 'gone'
    job.result = null
  }

  protected endRunBadly(job: ModelJob, error: string | null): void {
    job.attempts++
    if (error !== null) Object.assign(job, { message: error, error })
    if (job.max > 0 && job.attempts >= job.max) {
      this.deadLetter(job)
      return
    }
    const pause =
      job.backoff > 0
        ? job.backoff * 2 ** Math.min(job.attempts - 1, 10)
        : job.attempts <= 3
          ? 0
          : 1000
    job.runAt = this.nowMs + pause
    job.startedAt = 0
    job.progress = 0
    job.state = pause > 0 ? 'delayed' : 'waiting'
    if (!this.expiredNow(job)) this.events.push(['retrying', job.id])
  }

  protected deadLetter(job: ModelJob): void {
    job.state = 'failed'
    job.outcome = 'failed'
    job.finishedAt = this.nowMs
    this.queue(job.queue).dead.push(job)
    this.failed++
    this.events.push(['failed', job.id])
    this.tell(job)
  }

  protected giveBack(job: ModelJob): void {
    job.state = 'waiting'
    job.startedAt = 0
    this.expiredNow(job)
  }

  protected expiredNow(job: ModelJob): boolean {
    if (job.ttl === 0 || this.nowMs <= job.createdAt + job.ttl) return false
    this.expire(job)
    return true
  }

  protected expire(job: ModelJob): void {
    this.events.push(['expired', job.id])
    this.remove(job, 'expired')
  }

  protected remove(job: ModelJob, outcome: string): void {
    job.state = 'gone'
    job.outcome = outcome
    this.tell(job)
  }

  protected ask(job: ModelJob): void {
    for (const parent of job.open) this.letters.push(() => this.asked(parent, job.id))
  }

  protected asked(parentId: number, childId: number): void {
    const parent = this.byId.get(parentId)
    if (parent === undefined) this.letters.push(() => this.told(childId, parentId, 'unknown'))
    else if (parent.state === 'gone' || parent.state === 'completed' || parent.state === 'failed') {
      const { outcome } = parent
      this.letters.push(() => this.told(childId, parentId, outcome))
    } else {
      const children = this.children.get(parentId) ?? new Set()
      this.children.set(parentId, children.add(childId))
    }
  }

  protected tell(parent: ModelJob): void {
    const { id, outcome } = parent
    for (const child of this.children.get(id) ?? []) {
      this.letters.push(() => this.told(child, id, outcome))
    }
    this.children.delete(id)
  }

  protected told(childId: number, parentId: number, outcome: string): void {
    const child = this.byId.get(childId)
    if (child?.state !== 'parked' || !child.open.has(parentId)) return
    if (outcome === 'completed') {
      child.open.delete(parentId)
      if (child.open.size === 0) child.state = child.runAt > this.nowMs ? 'delayed' : 'waiting'
      return
    }
    const why = {
      failed: 'failed',
      cancelled: 'was cancelled',
      expired: 'expired',
      unknown: 'does not exist',
    }[outcome]
    child.message = `Dependency ${parentId} ${why}`
    child.error = child.message
    this.deadLetter(child)
  }
}

export function counted(count: number, errors: { index: number; code: string }[]): Expected {
  errors.sort((a, b) => a.index - b.index)
  return errors.length === 0 ? { ok: true, ids: [count] } : { ok: true, ids: [count], errors }
}

function logBytes(job: ModelJob): number {
  return job.logs.slice(-100).reduce((sum, { line }) => sum + 64 + line.length, 0)
}

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value))
}
