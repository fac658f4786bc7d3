// All that a shard knows: what the records made of it, and what can be derived from that.
//
// Only the functions in `evolve/` change it, each for one kind of record, so that owner, replica and
// recovery come to the same state from the same records (`state-dump.ts` compares it whole).
// The exceptions are not state: waiting pulls (queue.ts), timers that are derived (`due`), compaction.

import type { CronSchedule } from './cron-schedule.ts'
import { DueHeap } from './due-heap.ts'
import { FinishedRing } from './finished-ring.ts'
import { Holders } from './holders.ts'
import type { JobId, Seq, ShardId } from './job-id.ts'
import {
  type JobPage,
  JobState,
  JobStore,
  PAGE_BYTES,
  RowFlag,
  rowOf,
  type StateName,
} from './job-store.ts'
import { Outbox } from './outbox.ts'
import { Outcomes } from './outcomes.ts'
import { PayloadStore } from './payload-store.ts'
import type { JobSource } from './ports.ts'
import { Queue } from './queue.ts'
import { SeqGaps } from './seq-gaps.ts'
import { SpareMemory } from './spare-memory.ts'
import { Webhooks } from './webhooks.ts'

export interface Cron {
  readonly no: number
  readonly name: string
  readonly queue: string
  /** Raw JSON text. */
  readonly data: string
  readonly text: string
  readonly schedule: CronSchedule
  readonly priority: number
  /** The first tick that is not known to have fired. */
  nextRunMs: number
  /** Not state: the tick that is on its way to its queue's shard, 0 when none is. */
  sentMs: number
  /** Not state: when its one timer that counts is due. */
  timerMs: number
}

export class ShardState implements JobSource {
  readonly shard: ShardId
  readonly jobs: JobStore
  readonly payloads: PayloadStore
  readonly due = new DueHeap()
  readonly outcomes = new Outcomes()
  readonly gaps = new SeqGaps()
  readonly finished = new FinishedRing()
  /** Payload bytes of finished jobs that are still kept. */
  finishedBytes = 0

  readonly queuesByName = new Map<string, Queue>()
  private readonly queues: (Queue | undefined)[] = []
  /** Numbers of closed queues; the last one is used next. */
  readonly freeQueueNos: number[] = []

  readonly crons = new Map<string, Cron>()
  readonly cronsByNo = new Map<number, Cron>()
  nextCronNo = 0
  /** Last accepted tick by cron name: a tick is taken once. */
  readonly cronTicks = new Map<string, number>()

  readonly webhooks = new Webhooks()
  readonly outbox = new Outbox()
  /** Of the webhooks' home: those at which nothing arrives, and since when. */
  readonly failingSince = new Map<number, number>()

  /** Children to be told when a job of this shard ends. */
  readonly childrenOf = new Map<Seq, Set<JobId>>()
  /** Jobs of this shard that wait for parents. */
  readonly parkedSeqs = new Set<Seq>()

  readonly holders = new Holders((seq, holder) => this.isHeldBy(seq, holder))

  /** Jobs before it belong to an earlier life of this shard and are unknown. */
  firstSeq: Seq
  nextSeq: Seq
  nextToken = 1

  waiting = 0
  delayed = 0
  active = 0
  parked = 0
  dead = 0
  totalPushed = 0
  totalCompleted = 0
  totalFailed = 0

  constructor(shard: ShardId, firstSeq: Seq, spare = new SpareMemory<JobPage>(PAGE_BYTES)) {
    this.jobs = new JobStore(spare)
    this.payloads = new PayloadStore(spare)
    this.shard = shard
    this.firstSeq = firstSeq
    this.nextSeq = firstSeq
  }

  queueOf(queueNo: number): Queue {
    return this.queues[queueNo] as Queue
  }

  findQueue(queueNo: number): Queue | undefined {
    return this.queues[queueNo]
  }

  queueName(queueNo: number): string {
    return this.queueOf(queueNo).name
  }

  /** The number that the next new queue will have. */
  nextQueueNo(): number {
    return this.freeQueueNos.at(-1) ?? this.queues.length
  }

  openQueue(no: number, name: string): Queue {
    if (this.freeQueueNos.at(-1) === no) this.freeQueueNos.pop()
    const queue = new Queue(no, name, this.jobs)
    this.queues[no] = queue
    this.queuesByName.set(name, queue)
    return queue
  }

  closeQueue(queue: Queue): void {
    this.queuesByName.delete(queue.name)
    this.queues[queue.no] = undefined
    this.freeQueueNos.push(queue.no)
  }

  /** The wire's state of a job, also of one whose body is gone. */
  stateName(seq: Seq): StateName {
    switch (this.jobs.stateOf(seq)) {
      case JobState.waiting:
        return 'waiting'
      case JobState.delayed:
        return 'delayed'
      case JobState.active:
        return 'active'
      case JobState.completed:
        return 'completed'
      case JobState.failed:
        return 'failed'
      case JobState.parked:
        return 'waiting-children'
      case JobState.none:
        return this.wasIssued(seq) && this.outcomes.get(seq) === 'completed'
          ? 'completed'
          : 'unknown'
    }
  }

  wasIssued(seq: Seq): boolean {
    return seq >= this.firstSeq && seq < this.nextSeq && !this.gaps.has(seq)
  }

  private isHeldBy(seq: Seq, holder: number): boolean {
    const page = this.jobs.find(seq)
    if (page === undefined) return false
    const row = rowOf(seq)
    return (
      page.state[row] === JobState.active &&
      ((page.flags[row] as number) & RowFlag.held) !== 0 &&
      page.leases?.holder[row] === holder
    )
  }
}
