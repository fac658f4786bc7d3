// What the router and the links need of the runner of this worker's shards (`shard-runner.ts`).

import type { Command } from '../engine/command.ts'
import type { HeldSlots } from '../engine/held-slots.ts'
import type { Seq, ShardId } from '../engine/job-id.ts'
import type { ListShare } from '../engine/list/job-list.ts'
import type { JobQuery } from '../engine/list/job-query.ts'
import type { WriteJob } from '../engine/list/list-jobs.ts'
import type {
  CronInfo,
  Metrics,
  ParentMail,
  ParentOutcome,
  QueueInfo,
  Reply,
  Stats,
  Unwritten,
} from '../engine/ports.ts'
import type { RunnerFigures, ShardSums } from './shard-figures.ts'

export interface Runner extends ParentMail {
  own(shard: ShardId, firstSeq: Seq, reservedTo: Seq): void
  reserved(shard: ShardId, reservedTo: Seq): void
  disown(shard: ShardId): void
  owns(shard: ShardId): boolean
  /** Owned, and able to run commands now. */
  serves(shard: ShardId): boolean
  /** Bit per shard, as an unsigned number. */
  shardsOwned(): number
  /** Whether nothing would be lost if the shard were given away now. */
  isEmpty(shard: ShardId): boolean
  /** Runs it at once; of ids it runs those of its own shards. */
  execute(command: Command, reply: Reply, holder: number): void
  /** The same for a client of another worker; slots of limits that it frees are held (held-slots.ts). */
  executeAway(command: Command, reply: Reply, holder: number): void
  takeHeldSlots(): readonly HeldSlots[] | null
  freeSlots(held: readonly HeldSlots[]): void
  /** Serves waiting pulls. */
  handOver(): void
  giveBack(unwritten: Unwritten): void
  holderClosed(holder: number): void
  /** Its waiting pulls will not be answered; what it holds stays held. */
  forgetPulls(holder: number): void
  /** A session goes on under another number. */
  renameHolder(from: number, to: number): void
  /** All holders of that worker are gone. */
  workerGone(worker: number): void
  closeHolders(isGone: (holder: number) => boolean): void
  tell(child: number, parent: number, outcome: ParentOutcome): void
  /** Parked children ask their parents again, and crons send their ticks again. */
  askAgain(): void
  stats(): Stats
  metrics(): Metrics
  queues(): QueueInfo[]
  crons(): CronInfo[]
  sums(): ShardSums
  /** With the `queuesMax` largest queues by name. */
  figures(queuesMax: number): RunnerFigures
  /** Of its own shards, as far as one turn gets. */
  listJobs(query: JobQuery, write: WriteJob): ListShare
  jobCount(): number
  jobCountOf(shard: ShardId): number
  /** Every waiting pull is answered `draining`. */
  endWaits(): void
  start(): void
  stop(): void
}
