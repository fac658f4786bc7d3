// The one way a shard changes: each method is a record. It is written, when anybody keeps records, and then
// evolves the state. `replay.ts` reads the same records back into the same functions.
//
// Adding a kind of record: a number in RecordKind (never re-used), a method here, a case in replay.ts,
// and a line in the fixture of test/unit/engine/replay.test.ts.

import { evolveCleared } from './evolve/cleared.ts'
import * as configured from './evolve/configured.ts'
import * as job from './evolve/job-changed.ts'
import { evolveOwned } from './evolve/owned.ts'
import { evolveCompletedRun } from './evolve/plain-run.ts'
import {
  evolveHolderRenamed,
  evolveLeaseExtended,
  evolvePulled,
  type Pulled,
} from './evolve/pulled.ts'
import { evolvePushed, type Pushed } from './evolve/pushed.ts'
import * as run from './evolve/run-ended.ts'
import * as webhook from './evolve/webhook-changed.ts'
import type { JobId, Seq } from './job-id.ts'
import {
  INT_STRIDE,
  IntColumn,
  JobFlag,
  NUM_STRIDE,
  NumColumn,
  RECORDED_INTS,
  TEXT_STRIDE,
  TextColumn,
} from './job-table.ts'
import type { CronTick, RecordLog, SeqList } from './ports.ts'
import type { Queue } from './queue.ts'
import { RecordWriter } from './record-bytes.ts'
import type { ShardState } from './shard-state.ts'

export const RecordKind = {
  pushed: 1,
  pulled: 2,
  completed: 3,
  retried: 4,
  deadLettered: 5,
  released: 6,
  removed: 7,
  evicted: 8,
  promoted: 9,
  parentDone: 10,
  childAdded: 11,
  childrenTold: 12,
  dlqRetried: 13,
  progressed: 14,
  leaseExtended: 15,
  queueOpened: 16,
  queueClosed: 17,
  paused: 18,
  rateLimited: 19,
  concurrencySet: 20,
  cronSet: 21,
  cronRemoved: 22,
  cronFired: 23,
  cronTicked: 24,
  holderRenamed: 25,
  completedRun: 26,
  owned: 27,
  pushedPlain: 28,
  /** Nothing happened: says that what was handed out before it has been sent. See `confirmation.ts`. */
  confirmed: 29,
  /** `deadLettered` (5) with its moment; 5 is read, and no longer written. */
  deadLetteredAt: 30,
  promotedNow: 31,
  cleared: 32,
  queueReset: 33,
  logged: 34,
  webhooksSet: 50,
  /** Is stored together with the record before it: see `isWithLast`. */
  deliveriesAdded: 51,
  deliveryFailed: 52,
  deliveryEnded: 53,
  webhookHealth: 54,
} as const

export const removedAs: readonly job.RemovedAs[] = ['cancelled', 'expired', 'failed']

const NO_LIMIT = -1

export class Recorder {
  private readonly state: ShardState
  private readonly log: RecordLog | null
  private readonly writer = new RecordWriter()

  constructor(state: ShardState, log: RecordLog | null) {
    this.state = state
    this.log = log
  }

  pushed(pushed: Pushed): void {
    if (this.log !== null) {
      const isPlain = pushed.rows === null && pushed.table.flagsSeen === 0
      this.log.append(isPlain ? this.writePlain(pushed) : this.writePushed(pushed))
    }
    evolvePushed(this.state, pushed)
  }

  pulled(pulled: Pulled, taken: SeqList): void {
    if (this.log !== null) {
      const { queue, count, nowMs, firstToken, leaseMs, holder } = pulled
      const w = this.writer.begin(RecordKind.pulled).u32(queue.no).u32(count).f64(nowMs)
      this.log.append(w.f64(firstToken).f64(leaseMs).f64(holder).end())
    }
    evolvePulled(this.state, pulled, taken)
  }

  completed(seq: Seq, nowMs: number, bytes: Buffer, from: number, to: number): void {
    if (this.log !== null) {
      const w = this.writer.begin(RecordKind.completed).f64(seq).f64(nowMs)
      if (from < 0) w.u8(0)
      else w.u8(1).raw(bytes, from, to)
      this.log.append(w.end())
    }
    run.evolveCompleted(this.state, seq, nowMs, bytes, from, to)
  }

  completedRun(firstSeq: Seq, count: number, nowMs: number): void {
    if (this.log !== null) {
      const w = this.writer.begin(RecordKind.completedRun).f64(firstSeq).u32(count)
      this.log.append(w.f64(nowMs).end())
    }
    evolveCompletedRun(this.state, firstSeq, count, nowMs)
  }

  retried(seq: Seq, nowMs: number, runAtMs: number, error: string | null): void {
    if (this.log !== null) {
      const w = this.writer.begin(RecordKind.retried).f64(seq).f64(nowMs).f64(runAtMs)
      this.log.append(w.textOrNull(error).end())
    }
    run.evolveRetried(this.state, seq, nowMs, runAtMs, error)
  }

  deadLettered(seq: Seq, nowMs: number, error: string | null): void {
    if (this.log !== null) {
      const w = this.writer.begin(RecordKind.deadLetteredAt).f64(seq).f64(nowMs)
      this.log.append(w.textOrNull(error).end())
    }
    run.evolveDeadLettered(this.state, seq, nowMs, error)
  }

  released(seq: Seq): void {
    this.log?.append(this.writer.begin(RecordKind.released).f64(seq).end())
    run.evolveReleased(this.state, seq)
  }

  removed(seq: Seq, outcome: job.RemovedAs): void {
    if (this.log !== null) {
      const w = this.writer.begin(RecordKind.removed).f64(seq)
      this.log.append(w.u8(removedAs.indexOf(outcome)).end())
    }
    job.evolveRemoved(this.state, seq, outcome)
  }

  evicted(count: number): void {
    this.log?.append(this.writer.begin(RecordKind.evicted).u32(count).end())
    job.evolveEvicted(this.state, count)
  }

  promoted(seq: Seq): void {
    this.log?.append(this.writer.begin(RecordKind.promoted).f64(seq).end())
    job.evolvePromoted(this.state, seq)
  }

  promotedNow(seq: Seq, nowMs: number): void {
    this.log?.append(this.writer.begin(RecordKind.promotedNow).f64(seq).f64(nowMs).end())
    job.evolvePromotedNow(this.state, seq, nowMs)
  }

  parentDone(seq: Seq, parent: JobId, nowMs: number): void {
    if (this.log !== null) {
      const w = this.writer.begin(RecordKind.parentDone).f64(seq).f64(parent)
      this.log.append(w.f64(nowMs).end())
    }
    job.evolveParentDone(this.state, seq, parent, nowMs)
  }

  childAdded(seq: Seq, child: JobId): void {
    this.log?.append(this.writer.begin(RecordKind.childAdded).f64(seq).f64(child).end())
    job.evolveChildAdded(this.state, seq, child)
  }

  childrenTold(seq: Seq): void {
    this.log?.append(this.writer.begin(RecordKind.childrenTold).f64(seq).end())
    job.evolveChildrenTold(this.state, seq)
  }

  dlqRetried(seq: Seq, nowMs: number): void {
    this.log?.append(this.writer.begin(RecordKind.dlqRetried).f64(seq).f64(nowMs).end())
    job.evolveDlqRetried(this.state, seq, nowMs)
  }

  progressed(seq: Seq, progress: number, message: string | null): void {
    if (this.log !== null) {
      const w = this.writer.begin(RecordKind.progressed).f64(seq).u8(progress)
      this.log.append(w.textOrNull(message).end())
    }
    job.evolveProgressed(this.state, seq, progress, message)
  }

  logged(seq: Seq, nowMs: number, line: string): void {
    this.log?.append(this.writer.begin(RecordKind.logged).f64(seq).f64(nowMs).text(line).end())
    job.evolveLogged(this.state, seq, nowMs, line)
  }

  leaseExtended(seq: Seq, lengthMs: number, untilMs: number): void {
    if (this.log !== null) {
      const w = this.writer.begin(RecordKind.leaseExtended).f64(seq).f64(lengthMs)
      this.log.append(w.f64(untilMs).end())
    }
    evolveLeaseExtended(this.state, seq, lengthMs, untilMs)
  }

  owned(nextSeq: Seq, nextToken: number): void {
    this.log?.append(this.writer.begin(RecordKind.owned).f64(nextSeq).f64(nextToken).end())
    evolveOwned(this.state, nextSeq, nextToken)
  }

  holderRenamed(from: number, to: number): void {
    this.log?.append(this.writer.begin(RecordKind.holderRenamed).f64(from).f64(to).end())
    evolveHolderRenamed(this.state, from, to)
  }

  queueOpened(name: string): Queue {
    const no = this.state.nextQueueNo()
    this.log?.append(this.writer.begin(RecordKind.queueOpened).u32(no).text(name).end())
    return configured.evolveQueueOpened(this.state, no, name)
  }

  /** `states`: bits, see evolve/cleared.ts. */
  cleared(queue: Queue, states: number, from: Seq, to: Seq): void {
    if (this.log !== null) {
      const w = this.writer.begin(RecordKind.cleared).u32(queue.no).u8(states)
      this.log.append(w.f64(from).f64(to).end())
    }
    evolveCleared(this.state, queue.no, states, from, to)
  }

  queueReset(queue: Queue): void {
    this.log?.append(this.writer.begin(RecordKind.queueReset).u32(queue.no).end())
    configured.evolveQueueReset(this.state, queue.no)
  }

  queueClosed(queue: Queue): void {
    this.log?.append(this.writer.begin(RecordKind.queueClosed).u32(queue.no).end())
    configured.evolveQueueClosed(this.state, queue.no)
  }

  paused(queue: Queue, paused: boolean): void {
    const w = this.log === null ? null : this.writer.begin(RecordKind.paused).u32(queue.no)
    if (w !== null) this.log?.append(w.u8(paused ? 1 : 0).end())
    configured.evolvePaused(this.state, queue.no, paused)
  }

  rateLimited(queue: Queue, limit: number | null, nowMs: number): void {
    if (this.log !== null) {
      const w = this.writer.begin(RecordKind.rateLimited).u32(queue.no)
      this.log.append(
        w
          .f64(limit ?? NO_LIMIT)
          .f64(nowMs)
          .end(),
      )
    }
    configured.evolveRateLimited(this.state, queue.no, limit, nowMs)
  }

  concurrencySet(queue: Queue, limit: number | null): void {
    if (this.log !== null) {
      const w = this.writer.begin(RecordKind.concurrencySet).u32(queue.no)
      this.log.append(w.f64(limit ?? NO_LIMIT).end())
    }
    configured.evolveConcurrencySet(this.state, queue.no, limit)
  }

  cronSet(terms: configured.CronTerms): void {
    if (this.log !== null) {
      const w = this.writer.begin(RecordKind.cronSet).text(terms.name).text(terms.queue)
      w.text(terms.data).text(terms.schedule).f64(terms.priority).f64(terms.nextRunMs)
      this.log.append(w.end())
    }
    configured.evolveCronSet(this.state, terms)
  }

  cronRemoved(name: string): void {
    this.log?.append(this.writer.begin(RecordKind.cronRemoved).text(name).end())
    configured.evolveCronRemoved(this.state, name)
  }

  cronFired(name: string, nextRunMs: number): void {
    this.log?.append(this.writer.begin(RecordKind.cronFired).text(name).f64(nextRunMs).end())
    configured.evolveCronFired(this.state, name, nextRunMs)
  }

  cronTicked(tick: CronTick): void {
    if (this.log !== null) {
      const w = this.writer.begin(RecordKind.cronTicked).text(tick.name).f64(tick.tickMs)
      this.log.append(w.end())
    }
    configured.evolveCronTicked(this.state, tick.name, tick.tickMs)
  }

  webhooksSet(text: string): void {
    this.log?.append(this.writer.begin(RecordKind.webhooksSet).text(text).end())
    webhook.evolveWebhooksSet(this.state, text)
  }

  deliveriesAdded(noted: webhook.EventNoted): void {
    if (this.log !== null) {
      const w = this.writer.begin(RecordKind.deliveriesAdded).uint(noted.kind)
      w.f64(noted.seq).f64(noted.nowMs).textOrNull(noted.error)
      w.uint(noted.webhooks.length)
      for (const no of noted.webhooks) w.uint(no)
      this.log.append(w.end())
    }
    webhook.evolveDeliveriesAdded(this.state, noted)
  }

  deliveryFailed(no: number, nextMs: number): void {
    this.log?.append(this.writer.begin(RecordKind.deliveryFailed).uint(no).f64(nextMs).end())
    webhook.evolveDeliveryFailed(this.state, no, nextMs)
  }

  deliveryEnded(no: number): void {
    this.log?.append(this.writer.begin(RecordKind.deliveryEnded).uint(no).end())
    webhook.evolveDeliveryEnded(this.state, no)
  }

  webhookHealth(no: number, sinceMs: number): void {
    this.log?.append(this.writer.begin(RecordKind.webhookHealth).uint(no).f64(sinceMs).end())
    webhook.evolveWebhookHealth(this.state, no, sinceMs)
  }

  /**
   * Jobs of nothing but data:
   *
   *   kind | queue u32 | firstSeq f64 | count u32 | nowMs f64 | the frame's job region
   *        | as often as needed: jobs uint | bytes before each one's data uint | bytes of its data uint
   */
  private writePlain({ queue, firstSeq, count, nowMs, bytes, table }: Pushed): Buffer {
    const { ints } = table
    const regionFrom = ints[IntColumn.dataFrom] as number
    const regionTo = ints[(count - 1) * INT_STRIDE + IntColumn.dataTo] as number
    const w = this.writer.begin(RecordKind.pushedPlain).u32(queue.no).f64(firstSeq).u32(count)
    w.f64(nowMs).raw(bytes, regionFrom, regionTo)
    let end = regionFrom
    let alike = 0
    let gap = 0
    let size = 0
    for (let at = 0; at < count * INT_STRIDE; at += INT_STRIDE) {
      const from = ints[at + IntColumn.dataFrom] as number
      const to = ints[at + IntColumn.dataTo] as number
      if (alike > 0 && (from - end !== gap || to - from !== size)) {
        w.uint(alike).uint(gap).uint(size)
        alike = 0
      }
      gap = from - end
      size = to - from
      end = to
      alike++
    }
    return w.uint(alike).uint(gap).uint(size).end()
  }

  /**
   *   kind | queue u32 | firstSeq f64 | count u32 | nowMs f64 | flagsSeen u32 | shift u32
   *        | ints (10 × i32 per job) | nums (5 × f64 per job; only when an option was seen) | the frame's job region
   */
  private writePushed(pushed: Pushed): Buffer {
    const { table, count, rows } = pushed
    const ints = new Int32Array(count * RECORDED_INTS)
    const nums = new Float64Array(table.flagsSeen === 0 ? 0 : count * NUM_STRIDE)
    for (let i = 0; i < count; i++) {
      const from = rows === null ? i : (rows[i] as number)
      const at = i * RECORDED_INTS
      ints.set(table.ints.subarray(from * INT_STRIDE, (from + 1) * INT_STRIDE), at)
      ints.set(table.texts.subarray(from * TEXT_STRIDE, (from + 1) * TEXT_STRIDE), at + INT_STRIDE)
      if (nums.length === 0) continue
      nums.set(table.nums.subarray(from * NUM_STRIDE, (from + 1) * NUM_STRIDE), i * NUM_STRIDE)
    }
    clearUnset(ints, nums, count)
    const region = regionOf(ints, count, pushed.bytes.length)
    const w = this.writer.begin(RecordKind.pushed).u32(pushed.queue.no).f64(pushed.firstSeq)
    w.u32(count).f64(pushed.nowMs).u32(table.flagsSeen).u32(region.from)
    w.raw(new Uint8Array(ints.buffer), 0, ints.byteLength)
    w.raw(new Uint8Array(nums.buffer), 0, nums.byteLength)
    return w.raw(pushed.bytes, region.from, region.to).end()
  }
}

/** Cells whose flag is not set hold what some earlier frame left there: a record says nothing of that. */
function clearUnset(ints: Int32Array, nums: Float64Array, count: number): void {
  for (let row = 0; row < count; row++) {
    const at = row * RECORDED_INTS
    const flags = ints[at + IntColumn.flags] as number
    if ((flags & JobFlag.priority) === 0) ints[at + IntColumn.priority] = 0
    for (const [column, bit] of optionalExtents) {
      if ((flags & bit) === 0) ints.fill(0, at + column, at + column + 2)
    }
    if (nums.length === 0) continue
    for (const [column, bit] of optionalNumbers) {
      if ((flags & bit) === 0) nums[row * NUM_STRIDE + column] = 0
    }
  }
}

/** The bytes that the rows' extents lie in, one to each side included (the quotes of a key). */
function regionOf(ints: Int32Array, count: number, bytesEnd: number): { from: number; to: number } {
  let from = Number.MAX_SAFE_INTEGER
  let to = 0
  for (let at = 0; at < count * RECORDED_INTS; at += RECORDED_INTS) {
    from = Math.min(from, (ints[at + IntColumn.dataFrom] as number) - 1)
    to = Math.max(to, (ints[at + IntColumn.dataTo] as number) + 1)
    const flags = ints[at + IntColumn.flags] as number
    for (const [column, bit] of optionalExtents) {
      if ((flags & bit) === 0) continue
      from = Math.min(from, (ints[at + column] as number) - 1)
      to = Math.max(to, (ints[at + column + 1] as number) + 1)
    }
  }
  return { from: Math.max(0, from), to: Math.min(to, bytesEnd) }
}

/** Column, in the record, of an extent's start, or of a number, and the flag that makes it valid. */
type OptionalCells = readonly (readonly [column: number, flag: number])[]

const optionalExtents: OptionalCells = [
  [INT_STRIDE + TextColumn.keyFrom, JobFlag.uniqueKey],
  [INT_STRIDE + TextColumn.dependsFrom, JobFlag.dependsOn],
  [INT_STRIDE + TextColumn.tagsFrom, JobFlag.tags],
]

const optionalNumbers: OptionalCells = [
  [NumColumn.delay, JobFlag.delay],
  [NumColumn.ttl, JobFlag.ttl],
  [NumColumn.timeout, JobFlag.timeout],
  [NumColumn.maxAttempts, JobFlag.maxAttempts],
  [NumColumn.backoff, JobFlag.backoff],
]
