// What the commands of a shard work with: its state, the recorder that changes it, the waiting pulls, the moment,
// and the ports to the outside.

import type { Clearing } from './clearing.ts'
import type { EventCounts } from './event-counts.ts'
import type { SlotHold } from './held-slots.ts'
import type { Seq } from './job-id.ts'
import type { JobPage } from './job-store.ts'
import type { JobWatch } from './job-watch.ts'
import { limits } from './limits.ts'
import { OutgoingEvents } from './outgoing-events.ts'
import type { EventKind, EventSink, ParentMail, RecordLog, SeqList } from './ports.ts'
import type { Queue } from './queue.ts'
import { checkQueueName } from './queue-name.ts'
import type { RateWindow } from './rate-window.ts'
import { Recorder } from './recorder.ts'
import { type Refusal, refusals } from './refusal.ts'
import type { ShardState } from './shard-state.ts'
import type { SpareMemory } from './spare-memory.ts'
import { WaitingPulls } from './waiting-pull.ts'
import { WebhookHome } from './webhook-home.ts'
import type { WebhookPorts } from './webhook-ports.ts'

/** How long finished jobs stay readable, per shard. */
export interface Retention {
  readonly count: number
  readonly ageMs: number
  readonly bytes: number
}

/** Shared by the shards of one worker. */
export interface Memory {
  /** Above the limit: pushes are refused, everything that frees memory goes on. */
  full: boolean
}

export interface ShardPorts {
  readonly mail: ParentMail
  readonly events: EventSink
  readonly log: RecordLog | null
  readonly memory: Memory
  readonly slots: SlotHold
  readonly spare: SpareMemory<JobPage>
  /** Completions and their latency in ms. */
  readonly latency: RateWindow
  readonly counts: EventCounts
  readonly watch?: JobWatch | undefined
  readonly retention: Retention
  readonly webhooks: WebhookPorts
}

/** Queues beyond which idle ones are looked for; doubles with the number in use. */
const IDLE_SWEEP_MIN = 1024

export class ShardContext {
  readonly state: ShardState
  readonly ports: ShardPorts
  readonly record: Recorder
  readonly waits = new WaitingPulls()
  readonly outgoing: OutgoingEvents
  /** Of shard 0 only. */
  readonly home = new WebhookHome()
  /** Queues whose waiting pulls may be served at the end of the turn. */
  dirty: Queue[] = []
  /** The turn's moment. */
  nowMs = 0
  /** Sequences below it may be given out. */
  seqLimit: Seq
  draining = false
  /** Queues that are being cleared, first come first served. */
  readonly clearings: Clearing[] = []
  /** When the timer of the oldest finished job is due; 0 when none is set. */
  retentionTimerMs = 0
  readonly taken: SeqList = { seqs: new Float64Array(limits.pullCountMax), count: 0 }
  private idleSweepAt = IDLE_SWEEP_MIN

  constructor(state: ShardState, ports: ShardPorts, seqLimit: Seq) {
    this.state = state
    this.ports = ports
    this.record = new Recorder(state, ports.log)
    this.outgoing = new OutgoingEvents(state, this.record, ports)
    this.seqLimit = seqLimit
  }

  /** The queue of that name, opened when the name is good. */
  openQueue(name: string): Queue | Refusal {
    const known = this.state.queuesByName.get(name)
    if (known !== undefined) return known
    const refusal = checkQueueName(name)
    if (refusal !== null) return refusal
    if (this.state.queuesByName.size >= this.idleSweepAt) this.closeIdleQueues()
    if (this.state.queuesByName.size >= limits.queuesPerShardMax) {
      return refusals.limitExceeded('queues in a shard', limits.queuesPerShardMax)
    }
    return this.record.queueOpened(name)
  }

  /** Why `count` more jobs can't be taken in, or null. */
  refuseWork(count: number): Refusal | null {
    if (this.ports.memory.full) return refusals.memoryFull
    return this.state.nextSeq + count > this.seqLimit ? refusals.unavailable : null
  }

  /** Something about the queue changed that may let a waiting pull be served. */
  markDirty(queue: Queue): void {
    if (queue.dirty || queue.waits.size === 0) return
    queue.dirty = true
    this.dirty.push(queue)
  }

  /** `count` runs of the queue have ended. */
  slotsFreed(queue: Queue, count: number): void {
    const { slots } = this.ports
    if (queue.concurrency === null || !slots.away) return this.markDirty(queue)
    queue.heldSlots += count
    slots.add({ shard: this.state.shard, queue, count })
  }

  emit(kind: EventKind, queue: Queue, seq: Seq, error: string | null = null): void {
    if ((this.state.webhooks.mask & kind) !== 0) {
      this.outgoing.note(kind, queue.name, seq, this.nowMs, error)
    }
    const { events, counts } = this.ports
    counts.note(kind)
    if (events.listening && events.wants(queue.name, kind)) {
      events.event(kind, this.state, seq, this.nowMs, error)
    }
  }

  /** The same of consecutive jobs of one queue. */
  emitRun(kind: EventKind, queue: Queue, firstSeq: Seq, count: number): void {
    if ((this.state.webhooks.mask & kind) !== 0) {
      for (let seq = firstSeq; seq < firstSeq + count; seq++) {
        this.outgoing.note(kind, queue.name, seq, this.nowMs, null)
      }
    }
    const { events } = this.ports
    if (events.listening && events.wants(queue.name, kind)) {
      events.events(kind, this.state, firstSeq, count, this.nowMs)
    }
  }

  private closeIdleQueues(): void {
    for (const queue of [...this.state.queuesByName.values()]) {
      if (queue.isIdle() && !queue.dirty) this.record.queueClosed(queue)
    }
    this.idleSweepAt = Math.max(IDLE_SWEEP_MIN, 2 * this.state.queuesByName.size)
  }
}

export function isRefusal(value: object): value is Refusal {
  return 'code' in value
}
