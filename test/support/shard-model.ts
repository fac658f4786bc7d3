// What the shards should do, said as plainly as possible: arrays of objects, filtered and sorted anew each time.
//
// It knows the rules of `proto/protocol.md`, not the engine: the only code that they share is the token bucket.

import { shardOfQueue } from '../../src/cluster/shard-of-queue.ts'
import { nextRunMs, parseSchedule } from '../../src/engine/cron-schedule.ts'
import { RateLimiter } from '../../src/engine/rate-limiter.ts'
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
  /** `gone`: its body is no longer there, `outcome` is how it ended. */
  state: 'waiting' | 'delayed' | 'active' | 'completed' | 'failed' | 'parked' | 'gone'
  outcome: string
  result: unknown
  token: number
  lease: number
  leaseUntil: number
  leaseTimer: number
  holder: number
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

interface ModelQueue {
  name: string
  used: boolean
  paused: boolean
  rate: RateLimiter | null
  concurrency: number | null
  waits: ModelWait[]
  dead: ModelJob[]
}

interface ModelCron {
  no: number
  name: string
  queue: string
  data: unknown
  schedule: string
  priority: number
  next: number
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

export type Expected = Record<string, unknown>

export const OK: Expected = { ok: true }
export const refusal = (code: string): Expected => ({ ok: false, code })

interface Due {
  at: number
  key: number
  run: () => void
}

const KEY_LEASE = 1
const KEY_TIMEOUT = 2
const KEY_TTL = 3
const KEY_WAIT = 5
const KEY_CRON = 6
const KEY_RETENTION = 7

export class ShardModel {
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
  private readonly retention: ModelRetention
  private readonly nextSeq = new Map<number, number>()
  private readonly children = new Map<number, Set<number>>()
  private readonly ticks = new Map<string, number>()
  private readonly finished = new Map<number, ModelJob[]>()
  private letters: (() => void)[] = []
  private cronNo = 0

  constructor(nowMs: number, retention: ModelRetention) {
    this.nowMs = nowMs
    this.retention = retention
  }

  // ── commands ──────────────────────────────────────────────────────────────

  push(queueName: string, fields: PushFields): Expected {
    const queue = this.queue(queueName)
    if (this.memoryFull) return refusal('memory_full')
    const bad = this.refuse(queue, fields, new Set())
    return bad === null ? { ok: true, id: this.add(queue, [fields])[0] } : refusal(bad)
  }

  pushBatch(queueName: string, rows: PushFields[]): Expected {
    const queue = this.queue(queueName)
    if (this.memoryFull) return refusal('memory_full')
    const keys = new Set<string>()
    const errors: Expected[] = []
    const good: PushFields[] = []
    for (const [index, row] of rows.entries()) {
      const code = this.refuse(queue, row, keys)
      if (code !== null) errors.push({ index, code })
      else good.push(row)
      if (code === null && row.unique_key !== undefined) keys.add(row.unique_key)
    }
    const ids = this.add(queue, good)
    return errors.length === 0 ? { ok: true, ids } : { ok: true, ids, errors }
  }

  /** What it gets at once; null when it waits. */
  pull(queueName: string, wait: ModelWait): JobObject[] | null {
    const queue = this.queue(queueName)
    if (wait.max === 0) return []
    if (queue.waits.length === 0 && this.deliverable(queue) > 0) return this.deliver(queue, wait)
    if (wait.until === this.nowMs) return []
    queue.waits.push(wait)
    return null
  }

  ack(id: number, token: number | null, result: unknown): Expected {
    const code = this.finish(id, token, result)
    this.evict()
    return code === null ? OK : refusal(code)
  }

  ackBatch(ids: number[], tokens: (number | null)[] | null, results: unknown[] | null): Expected {
    const shards = [...new Set(ids.map((id) => id % 32))]
    const errors: { index: number; code: string }[] = []
    let count = 0
    for (const shard of shards) {
      for (const [index, id] of ids.entries()) {
        if (id % 32 !== shard) continue
        const code = this.finish(id, tokens?.[index] ?? null, results?.[index] ?? null)
        if (code === null) count++
        else errors.push({ index, code })
      }
      this.evict()
    }
    return counted(count, errors)
  }

  fail(id: number, token: number | null, error: string | null): Expected {
    const job = this.active(id, token, 'job_not_found')
    if (typeof job === 'string') return refusal(job)
    this.endRunBadly(job, error)
    return OK
  }

  progress(id: number, token: number | null, progress: number, message: string | null): Expected {
    const job = this.active(id, token, 'job_not_active')
    if (typeof job === 'string') return refusal(job)
    job.progress = Math.min(100, progress)
    job.message = message
    this.events.push(['progress', id])
    return OK
  }

  heartbeat(ids: number[], tokens: (number | null)[] | null, lease: number): Expected {
    return this.each(ids, tokens, (job) => {
      const length = lease > 0 ? lease : job.lease
      if (length === 0) return
      const until = this.nowMs + length
      if (job.lease === 0 || until + 1 < job.leaseTimer) job.leaseTimer = until + 1
      job.lease = length
      job.leaseUntil = until
    })
  }

  release(ids: number[], tokens: (number | null)[] | null): Expected {
    return this.each(ids, tokens, (job) => this.giveBack(job))
  }

  cancel(id: number): Expected {
    const job = this.byId.get(id)
    if (job === undefined) return refusal('job_not_found')
    if (this.stateName(id) === 'completed' || job.state === 'failed') {
      return refusal('job_not_cancellable')
    }
    if (job.state === 'gone') return refusal('job_not_found')
    this.events.push(['cancelled', id])
    this.remove(job, 'cancelled')
    return OK
  }

  retryDead(queueName: string, id: number | null): Expected {
    const queue = this.queue(queueName)
    const chosen = queue.dead.filter((job) => id === null || job.id === id)
    for (const job of chosen) {
      queue.dead = queue.dead.filter((each) => each !== job)
      Object.assign(job, { attempts: 0, runAt: this.nowMs, startedAt: 0, progress: 0, ttl: 0 })
      job.message = null
      if (job.open.size > 0) {
        job.state = 'parked'
        this.ask(job)
      } else {
        job.state = 'waiting'
      }
      this.events.push(['retrying', job.id])
    }
    return counted(chosen.length, [])
  }

  purgeDead(queueName: string, id: number | null): Expected {
    const queue = this.queue(queueName)
    const chosen = queue.dead.filter((job) => id === null || job.id === id)
    for (const job of chosen) {
      queue.dead = queue.dead.filter((each) => each !== job)
      this.remove(job, 'failed')
    }
    return counted(chosen.length, [])
  }

  limitRate(queueName: string, limit: number | null): void {
    this.queue(queueName).rate = limit === null ? null : new RateLimiter(limit, this.nowMs)
  }

  setCron(
    name: string,
    queue: string,
    schedule: string,
    data: unknown,
    priority: number,
  ): Expected {
    const parsed = parseSchedule(schedule)
    if ('code' in parsed) return refusal(parsed.code)
    const next = nextRunMs(parsed, this.nowMs)
    this.crons.set(name, { no: this.cronNo++, name, queue, data, schedule, priority, next })
    return OK
  }

  deleteCron(name: string): Expected {
    return this.crons.delete(name) ? OK : refusal('cron_not_found')
  }

  closed(holder: number): void {
    for (const queue of this.queues.values()) {
      for (const wait of queue.waits) if (wait.holder === holder) wait.forgotten = true
      queue.waits = queue.waits.filter((wait) => !wait.forgotten)
    }
    const held = this.jobs.filter((job) => job.state === 'active' && job.holder === holder)
    held.sort((a, b) => a.shard - b.shard || a.token - b.token)
    for (const job of held) this.giveBack(job)
  }

  rename(from: number, to: number): void {
    for (const job of this.jobs) {
      if (job.state === 'active' && job.holder === from) job.holder = to
    }
  }

  lost(tokens: ReadonlyMap<number, number>): void {
    for (const [id, token] of tokens) {
      const job = this.byId.get(id)
      if (job?.state === 'active' && job.token === token) this.giveBack(job)
    }
  }

  // ── what can be seen ──────────────────────────────────────────────────────

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

  // ── time ──────────────────────────────────────────────────────────────────

  advance(ms: number): void {
    const target = this.nowMs + ms
    for (;;) {
      const next = Math.min(...this.dues().map((due) => due.at), ...this.tokenTimes())
      if (next > target) break
      this.nowMs = Math.max(this.nowMs, next)
      this.tick()
    }
    this.nowMs = target
  }

  jump(ms: number): void {
    this.nowMs += ms
    this.tick()
  }

  /** Mail, and serving, until there is nothing to do: one turn's end. */
  settle(): void {
    for (;;) {
      for (const queue of this.queues.values()) this.serve(queue)
      if (this.letters.length === 0) return
      const letters = this.letters
      this.letters = []
      for (const letter of letters) letter()
    }
  }

  private tick(): void {
    for (let shard = 0; shard < 32; shard++) {
      for (;;) {
        const [first] = this.dues(shard)
          .filter((due) => due.at <= this.nowMs)
          .sort((a, b) => a.at - b.at || a.key - b.key)
        if (first === undefined) break
        first.run()
      }
    }
    this.settle()
  }

  private dues(shard: number | null = null): Due[] {
    const dues: Due[] = []
    for (const job of this.jobs) {
      if (shard === null || job.shard === shard) this.duesOf(job, dues)
    }
    for (const queue of this.queues.values()) {
      if (shard !== null && shardOfQueue(queue.name) !== shard) continue
      for (const wait of queue.waits) {
        dues.push({ at: wait.until, key: KEY_WAIT, run: () => this.endWait(queue, wait) })
      }
    }
    for (const cron of this.crons.values()) {
      if (shard !== null && shardOfQueue(cron.name) !== shard) continue
      dues.push({ at: cron.next, key: cron.no * 8 + KEY_CRON, run: () => this.fire(cron) })
    }
    for (const [no, list] of this.finished) {
      const oldest = list[0]
      if ((shard !== null && no !== shard) || oldest === undefined) continue
      const at = oldest.finishedAt + this.retention.ageMs
      dues.push({ at, key: KEY_RETENTION, run: () => this.evictOldest(list) })
    }
    return dues
  }

  private duesOf(job: ModelJob, dues: Due[]): void {
    const key = job.seq * 8
    if (job.state === 'delayed') {
      dues.push({ at: job.runAt, key, run: () => void (job.state = 'waiting') })
    }
    if (job.state === 'active' && job.lease > 0) {
      dues.push({ at: job.leaseTimer, key: key + KEY_LEASE, run: () => this.leaseDue(job) })
    }
    if (job.state === 'active' && job.timeout > 0) {
      const at = job.startedAt + job.timeout + 1
      dues.push({ at, key: key + KEY_TIMEOUT, run: () => this.timedOut(job, 'Job timed out') })
    }
    if (job.ttl > 0 && ['waiting', 'delayed', 'parked'].includes(job.state)) {
      const at = job.createdAt + job.ttl + 1
      dues.push({ at, key: key + KEY_TTL, run: () => this.expire(job) })
    }
  }

  /** When waiting pulls get a job because there is a token again. */
  private tokenTimes(): number[] {
    const times: number[] = []
    for (const queue of this.queues.values()) {
      if (queue.rate === null || queue.paused || queue.waits.length === 0) continue
      if (this.count(queue.name, 'waiting') > 0) times.push(queue.rate.nextTokenMs(this.nowMs))
    }
    return times.filter((at) => at > this.nowMs)
  }

  private leaseDue(job: ModelJob): void {
    if (job.leaseUntil >= this.nowMs) job.leaseTimer = job.leaseUntil + 1
    else this.timedOut(job, 'Lease expired')
  }

  private timedOut(job: ModelJob, error: string): void {
    this.events.push(['timeout', job.id])
    this.endRunBadly(job, error)
  }

  private expire(job: ModelJob): void {
    this.events.push(['expired', job.id])
    this.remove(job, 'expired')
  }

  private endWait(queue: ModelQueue, wait: ModelWait): void {
    queue.waits = queue.waits.filter((each) => each !== wait)
    wait.got = []
  }

  private fire(cron: ModelCron): void {
    const tickMs = cron.next
    const parsed = parseSchedule(cron.schedule)
    if ('code' in parsed) throw new Error(parsed.text)
    do cron.next = nextRunMs(parsed, cron.next)
    while (cron.next <= this.nowMs)
    const { name, queue, data, priority } = cron
    this.letters.push(() => {
      const key = `${shardOfQueue(queue)} ${name}`
      if (tickMs <= (this.ticks.get(key) ?? 0) || this.memoryFull) return
      this.ticks.set(key, tickMs)
      this.add(this.queue(queue), [{ data, priority }])
    })
  }

  // ── rules ─────────────────────────────────────────────────────────────────

  private refuse(queue: ModelQueue, fields: PushFields, batchKeys: Set<string>): string | null {
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

  private seqOf(shard: number): number {
    return this.nextSeq.get(shard) ?? 1
  }

  private add(queue: ModelQueue, rows: PushFields[]): number[] {
    const shard = shardOfQueue(queue.name)
    const made = rows.map((fields, i) => this.make(queue, shard, this.seqOf(shard) + i, fields))
    if (made.length > 0) queue.used = true
    this.nextSeq.set(shard, this.seqOf(shard) + made.length)
    this.pushed += made.length
    for (const job of made) if (job.state === 'parked') this.ask(job)
    for (const job of made) this.events.push(['pushed', job.id])
    return made.map((job) => job.id)
  }

  private make(queue: ModelQueue, shard: number, seq: number, fields: PushFields): ModelJob {
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

  private deliverable(queue: ModelQueue): number {
    if (queue.paused) return 0
    let count = this.count(queue.name, 'waiting')
    if (queue.concurrency !== null) {
      count = Math.min(count, queue.concurrency - this.count(queue.name, 'active'))
    }
    if (queue.rate !== null) count = Math.min(count, queue.rate.available(this.nowMs))
    return Math.max(0, count)
  }

  private deliver(queue: ModelQueue, wait: ModelWait): JobObject[] {
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

  private serve(queue: ModelQueue): void {
    for (let wait = queue.waits[0]; wait !== undefined; wait = queue.waits[0]) {
      if (this.deliverable(queue) === 0) return
      queue.waits.shift()
      wait.got = this.deliver(queue, wait)
    }
  }

  private active(id: number, token: number | null, absent: string): ModelJob | string {
    const job = this.byId.get(id)
    if (job === undefined) return absent
    if (job.state !== 'active') return token === null ? absent : 'stale_token'
    return token !== null && token !== job.token ? 'stale_token' : job
  }

  private each(
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

  private finish(id: number, token: number | null, result: unknown): string | null {
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

  private evict(): void {
    for (const list of this.finished.values()) {
      const size = (job: ModelJob): number =>
        JSON.stringify(job.data).length +
        (job.result === null ? 0 : JSON.stringify(job.result).length)
      const bytes = (): number => list.reduce((sum, job) => sum + size(job), 0)
      while (list.length > this.retention.count || bytes() > this.retention.bytes) {
        this.evictOldest(list)
      }
    }
  }

  private evictOldest(list: ModelJob[]): void {
    const job = list.shift()
    if (job === undefined) return
    job.state = 'gone'
    job.result = null
  }

  private endRunBadly(job: ModelJob, error: string | null): void {
    job.attempts++
    if (error !== null) job.message = error
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

  private deadLetter(job: ModelJob): void {
    job.state = 'failed'
    job.outcome = 'failed'
    this.queue(job.queue).dead.push(job)
    this.failed++
    this.events.push(['failed', job.id])
    this.tell(job)
  }

  private giveBack(job: ModelJob): void {
    job.state = 'waiting'
    job.startedAt = 0
    this.expiredNow(job)
  }

  private expiredNow(job: ModelJob): boolean {
    if (job.ttl === 0 || this.nowMs <= job.createdAt + job.ttl) return false
    this.expire(job)
    return true
  }

  private remove(job: ModelJob, outcome: string): void {
    job.state = 'gone'
    job.outcome = outcome
    this.tell(job)
  }

  private ask(job: ModelJob): void {
    for (const parent of job.open) this.letters.push(() => this.asked(parent, job.id))
  }

  private asked(parentId: number, childId: number): void {
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

  private tell(parent: ModelJob): void {
    const { id, outcome } = parent
    for (const child of this.children.get(id) ?? []) {
      this.letters.push(() => this.told(child, id, outcome))
    }
    this.children.delete(id)
  }

  private told(childId: number, parentId: number, outcome: string): void {
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
    this.deadLetter(child)
  }
}

function counted(count: number, errors: { index: number; code: string }[]): Expected {
  errors.sort((a, b) => a.index - b.index)
  return errors.length === 0 ? { ok: true, ids: [count] } : { ok: true, ids: [count], errors }
}
