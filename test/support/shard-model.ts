// What the shards should do, said as plainly as possible: arrays of objects, filtered and sorted anew each time.
//
// It knows the rules of `proto/protocol.md`, not the engine: the only code that they share is the token bucket.

import { shardOfQueue } from '../../src/cluster/shard-of-queue.ts'
import { nextRunMs, parseSchedule } from '../../src/engine/cron-schedule.ts'
import { RateLimiter } from '../../src/engine/rate-limiter.ts'
import type { JobObject } from './engine-harness.ts'
import {
  counted,
  type Expected,
  type ModelCron,
  type ModelJob,
  type ModelQueue,
  type ModelWait,
  OK,
  type PushFields,
  refusal,
  ShardRules,
} from './shard-rules.ts'

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

export class ShardModel extends ShardRules {
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

  log(id: number, token: number | null, line: string): Expected {
    const job = token === null ? this.byId.get(id) : this.active(id, token, 'job_not_found')
    if (typeof job === 'string') return refusal(job)
    if (job === undefined || job.state === 'gone' || job.state === 'completed') {
      return refusal('job_not_found')
    }
    if (this.memoryFull) return refusal('memory_full')
    job.logs.push({ at: this.nowMs, line })
    return OK
  }

  getLogs(id: number): Expected {
    const job = this.byId.get(id)
    const all = job === undefined || job.state === 'gone' ? [] : job.logs
    return { ok: true, id, logs: all.slice(-100), dropped: Math.max(0, all.length - 100) }
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

  promote(id: number): Expected {
    const job = this.byId.get(id)
    if (job === undefined || this.stateName(id) === 'unknown') return refusal('job_not_found')
    if (job.state !== 'delayed') return refusal('job_not_delayed')
    Object.assign(job, { state: 'waiting', runAt: this.nowMs })
    return OK
  }

  retryDead(queueName: string, id: number | null): Expected {
    const queue = this.queue(queueName)
    const chosen = queue.dead.filter((job) => id === null || job.id === id)
    for (const job of chosen) {
      queue.dead = queue.dead.filter((each) => each !== job)
      Object.assign(job, { attempts: 0, runAt: this.nowMs, startedAt: 0, progress: 0, ttl: 0 })
      Object.assign(job, { message: null, error: null, finishedAt: 0 })
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

  drain(queueName: string): Expected {
    return this.clear(queueName, ['waiting', 'delayed'])
  }

  deleteQueue(queueName: string, force: boolean): Expected {
    const queue = this.queue(queueName)
    if (!force && this.count(queueName, 'active') > 0) return refusal('queue_busy')
    const answer = this.clear(queueName, ['waiting', 'delayed', 'active', 'parked', 'failed'])
    queue.dead = []
    Object.assign(queue, { paused: false, rate: null, concurrency: null, used: false })
    return answer
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
    const terms = { no: this.cronNo++, name, queue, data, schedule, priority }
    this.crons.set(name, { ...terms, next, sent: null, timer: next })
    return OK
  }

  deleteCron(name: string): Expected {
    return this.crons.delete(name) ? OK : refusal('cron_not_found')
  }

  private clear(queueName: string, states: ModelJob['state'][]): Expected {
    const out = this.jobs.filter((job) => job.queue === queueName && states.includes(job.state))
    for (const job of out) if (job.state !== 'failed') this.events.push(['cancelled', job.id])
    for (const job of out) this.remove(job, job.state === 'failed' ? 'failed' : 'cancelled')
    return counted(out.length, [])
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

  /** A new owner of the shard: nobody waits there any longer. */
  crash(shard: number, skipped: number, gone: number): void {
    for (const queue of this.queues.values()) {
      if (shardOfQueue(queue.name) !== shard) continue
      for (const wait of queue.waits) wait.forgotten = true
      queue.waits = []
    }
    const jobs = this.jobs.filter((job) => job.shard === shard && job.state === 'active')
    // Timers follow from the state alone.
    for (const job of jobs) job.leaseTimer = job.leaseUntil + 1
    for (const cron of this.crons.values()) {
      if (shardOfQueue(cron.name) === shard) Object.assign(cron, { sent: null, timer: cron.next })
    }
    const held = jobs.filter((job) => job.holder === gone && gone > 0)
    held.sort((a, b) => a.token - b.token)
    for (const job of held) this.giveBack(job)
    this.nextSeq.set(shard, this.seqOf(shard) + skipped)
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

  /** What falls due by what was late, as a cron's next tick when the last one is taken, is done as well. */
  jump(ms: number): void {
    this.nowMs += ms
    this.tick()
    this.advance(0)
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
      dues.push({ at: cron.timer, key: cron.no * 8 + KEY_CRON, run: () => this.fire(cron) })
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
      const run = (): void => {
        job.state = 'waiting'
      }
      dues.push({ at: job.runAt, key, run })
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

  private endWait(queue: ModelQueue, wait: ModelWait): void {
    queue.waits = queue.waits.filter((each) => each !== wait)
    wait.got = []
  }

  private fire(cron: ModelCron): void {
    const oldest = this.nowMs - this.catchUpMs
    if (cron.sent === null) {
      cron.sent = cron.next
      for (let at = cron.next; at < oldest; at = runAfter(cron, at)) cron.sent = at
    }
    cron.timer = this.nowMs + 1000
    const { name, queue, data, priority, sent } = cron
    this.letters.push(() => {
      const key = `${shardOfQueue(queue)} ${name}`
      if (sent > (this.ticks.get(key) ?? 0)) {
        if (this.memoryFull) return
        this.ticks.set(key, sent)
        this.add(this.queue(queue), [{ data, priority }])
      }
      this.letters.push(() => this.taken(name, sent))
    })
  }

  private taken(name: string, tickMs: number): void {
    const cron = this.crons.get(name)
    if (cron?.sent !== tickMs) return
    cron.next = runAfter(cron, tickMs)
    Object.assign(cron, { sent: null, timer: cron.next })
  }
}

function runAfter(cron: ModelCron, ms: number): number {
  const parsed = parseSchedule(cron.schedule)
  if ('code' in parsed) throw new Error(parsed.text)
  return nextRunMs(parsed, ms)
}
