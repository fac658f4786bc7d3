// Reads records back: the state of a replica or of a recovery comes from here and from nowhere else.

import { evolveCleared } from './evolve/cleared.ts'
import * as configured from './evolve/configured.ts'
import * as job from './evolve/job-changed.ts'
import { evolveOwned } from './evolve/owned.ts'
import { evolveCompletedRun } from './evolve/plain-run.ts'
import { evolveHolderRenamed, evolveLeaseExtended, evolvePulled } from './evolve/pulled.ts'
import { evolvePushed } from './evolve/pushed.ts'
import * as run from './evolve/run-ended.ts'
import * as webhook from './evolve/webhook-changed.ts'
import {
  INT_STRIDE,
  IntColumn,
  JobTable,
  NUM_STRIDE,
  RECORDED_INTS,
  TEXT_STRIDE,
} from './job-table.ts'
import { limits } from './limits.ts'
import type { SeqList } from './ports.ts'
import { RecordReader } from './record-bytes.ts'
import { RecordKind, removedAs } from './recorder.ts'
import type { ShardState } from './shard-state.ts'

const NO_BYTES = Buffer.alloc(0)

export class Replay {
  private readonly state: ShardState
  private readonly table = new JobTable()
  /** Jobs of the last record `pulled`. */
  readonly taken: SeqList = { seqs: new Float64Array(limits.pullCountMax), count: 0 }

  constructor(state: ShardState) {
    this.state = state
  }

  /** Applies one record; throws when it is not one. */
  apply(record: Buffer): void {
    const r = new RecordReader(record)
    const kind = r.u8()
    const isKnown =
      this.applyHot(kind, r) ||
      this.applyJob(kind, r) ||
      this.applyConfigured(kind, r) ||
      this.applyWebhook(kind, r)
    if (!isKnown) {
      throw new Error(`unknown kind of record: ${kind}`)
    }
  }

  private applyHot(kind: number, r: RecordReader): boolean {
    const { state } = this
    switch (kind) {
      case RecordKind.pushed:
        this.applyPushed(r)
        return true
      case RecordKind.pushedPlain:
        this.applyPlain(r)
        return true
      case RecordKind.pulled: {
        const queue = state.queueOf(r.u32())
        const pulled = {
          queue,
          count: r.u32(),
          nowMs: r.f64(),
          firstToken: r.f64(),
          leaseMs: r.f64(),
          holder: r.f64(),
        }
        evolvePulled(state, pulled, this.taken)
        return true
      }
      case RecordKind.completed: {
        const seq = r.f64()
        const nowMs = r.f64()
        const result = r.u8() === 0 ? null : r.raw()
        if (result === null) run.evolveCompleted(state, seq, nowMs, NO_BYTES, -1, -1)
        else run.evolveCompleted(state, seq, nowMs, result, 0, result.length)
        return true
      }
      case RecordKind.completedRun:
        evolveCompletedRun(state, r.f64(), r.u32(), r.f64())
        return true
      case RecordKind.retried:
        run.evolveRetried(state, r.f64(), r.f64(), r.f64(), r.textOrNull())
        return true
      case RecordKind.deadLettered:
        run.evolveDeadLettered(state, r.f64(), 0, r.textOrNull())
        return true
      case RecordKind.deadLetteredAt:
        run.evolveDeadLettered(state, r.f64(), r.f64(), r.textOrNull())
        return true
      case RecordKind.released:
        run.evolveReleased(state, r.f64())
        return true
    }
    return false
  }

  private applyJob(kind: number, r: RecordReader): boolean {
    const { state } = this
    switch (kind) {
      case RecordKind.removed:
        job.evolveRemoved(state, r.f64(), removedAs[r.u8()] as job.RemovedAs)
        return true
      case RecordKind.cleared:
        evolveCleared(state, r.u32(), r.u8(), r.f64(), r.f64())
        return true
      case RecordKind.evicted:
        job.evolveEvicted(state, r.u32())
        return true
      case RecordKind.promoted:
        job.evolvePromoted(state, r.f64())
        return true
      case RecordKind.promotedNow:
        job.evolvePromotedNow(state, r.f64(), r.f64())
        return true
      case RecordKind.parentDone:
        job.evolveParentDone(state, r.f64(), r.f64(), r.f64())
        return true
      case RecordKind.childAdded:
        job.evolveChildAdded(state, r.f64(), r.f64())
        return true
      case RecordKind.childrenTold:
        job.evolveChildrenTold(state, r.f64())
        return true
      case RecordKind.dlqRetried:
        job.evolveDlqRetried(state, r.f64(), r.f64())
        return true
      case RecordKind.progressed:
        job.evolveProgressed(state, r.f64(), r.u8(), r.textOrNull())
        return true
      case RecordKind.logged:
        job.evolveLogged(state, r.f64(), r.f64(), r.text())
        return true
      case RecordKind.leaseExtended:
        evolveLeaseExtended(state, r.f64(), r.f64(), r.f64())
        return true
      case RecordKind.confirmed:
        return true
      case RecordKind.holderRenamed:
        evolveHolderRenamed(state, r.f64(), r.f64())
        return true
    }
    return false
  }

  private applyConfigured(kind: number, r: RecordReader): boolean {
    const { state } = this
    switch (kind) {
      case RecordKind.queueOpened:
        configured.evolveQueueOpened(state, r.u32(), r.text())
        return true
      case RecordKind.queueClosed:
        configured.evolveQueueClosed(state, r.u32())
        return true
      case RecordKind.queueReset:
        configured.evolveQueueReset(state, r.u32())
        return true
      case RecordKind.paused:
        configured.evolvePaused(state, r.u32(), r.u8() === 1)
        return true
      case RecordKind.rateLimited:
        configured.evolveRateLimited(state, r.u32(), limitOrNull(r.f64()), r.f64())
        return true
      case RecordKind.concurrencySet:
        configured.evolveConcurrencySet(state, r.u32(), limitOrNull(r.f64()))
        return true
      case RecordKind.cronSet:
        configured.evolveCronSet(state, {
          name: r.text(),
          queue: r.text(),
          data: r.text(),
          schedule: r.text(),
          priority: r.f64(),
          nextRunMs: r.f64(),
        })
        return true
      case RecordKind.cronRemoved:
        configured.evolveCronRemoved(state, r.text())
        return true
      case RecordKind.cronFired:
        configured.evolveCronFired(state, r.text(), r.f64())
        return true
      case RecordKind.cronTicked:
        configured.evolveCronTicked(state, r.text(), r.f64())
        return true
      case RecordKind.owned:
        evolveOwned(state, r.f64(), r.f64())
        return true
    }
    return false
  }

  private applyWebhook(kind: number, r: RecordReader): boolean {
    const { state } = this
    switch (kind) {
      case RecordKind.webhooksSet:
        webhook.evolveWebhooksSet(state, r.text())
        return true
      case RecordKind.deliveriesAdded: {
        const noted = { kind: r.uint(), seq: r.f64(), nowMs: r.f64(), error: r.textOrNull() }
        const webhooks = Array.from({ length: r.uint() }, () => r.uint())
        webhook.evolveDeliveriesAdded(state, { ...noted, webhooks })
        return true
      }
      case RecordKind.deliveryFailed:
        webhook.evolveDeliveryFailed(state, r.uint(), r.f64())
        return true
      case RecordKind.deliveryEnded:
        webhook.evolveDeliveryEnded(state, r.uint())
        return true
      case RecordKind.webhookHealth:
        webhook.evolveWebhookHealth(state, r.uint(), r.f64())
        return true
    }
    return false
  }

  private applyPlain(r: RecordReader): void {
    const { state, table } = this
    const queue = state.queueOf(r.u32())
    const firstSeq = r.f64()
    const count = r.u32()
    const nowMs = r.f64()
    const bytes = r.raw()
    const { ints } = table
    let to = 0
    for (let done = 0; done < count; ) {
      const alike = r.uint()
      const gap = r.uint()
      const size = r.uint()
      if (alike === 0 || done + alike > count) throw new RangeError('pushed record: too many jobs')
      for (const end = done + alike; done < end; done++) {
        const at = done * INT_STRIDE
        ints[at + IntColumn.dataFrom] = to + gap
        to += gap + size
        ints[at + IntColumn.dataTo] = to
        ints[at + IntColumn.flags] = 0
      }
    }
    if (to !== bytes.length) throw new RangeError('pushed record: data do not match the jobs')
    table.flagsSeen = 0
    evolvePushed(state, { queue, firstSeq, count, nowMs, bytes, table, rows: null })
  }

  private applyPushed(r: RecordReader): void {
    const { state, table } = this
    const queue = state.queueOf(r.u32())
    const firstSeq = r.f64()
    const count = r.u32()
    const nowMs = r.f64()
    table.flagsSeen = r.u32()
    const shift = r.u32()
    const ints = r.raw()
    const nums = r.raw()
    const bytes = r.raw()
    for (let row = 0; row < count; row++) {
      const at = row * RECORDED_INTS
      const cell = (column: number): number => ints.readInt32LE((at + column) * 4)
      for (let i = 0; i < INT_STRIDE; i++) {
        table.ints[row * INT_STRIDE + i] = isExtent(i) ? cell(i) - shift : cell(i)
      }
      for (let i = 0; i < TEXT_STRIDE; i++) {
        table.texts[row * TEXT_STRIDE + i] = cell(INT_STRIDE + i) - shift
      }
    }
    for (let i = 0; i < nums.length / 8; i++) table.nums[i] = nums.readDoubleLE(i * 8)
    if (nums.length !== 0 && nums.length !== count * NUM_STRIDE * 8) {
      throw new RangeError('pushed record: options do not match the jobs')
    }
    evolvePushed(state, { queue, firstSeq, count, nowMs, bytes, table, rows: null })
  }
}

/** An offset into the frame. */
function isExtent(column: number): boolean {
  return column === IntColumn.dataFrom || column === IntColumn.dataTo
}

function limitOrNull(value: number): number | null {
  return value < 0 ? null : value
}
