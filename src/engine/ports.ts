// What the rooms need of one another. The engine imports nothing; transports, cluster and storage
// implement or call these, and `server.ts` wires them.
//
//   transports ──Gate──▶ cluster ──▶ engine ──Reply──▶ transports
//   cluster ──WireCodec──▶ transports       engine ──EventSink──▶ transports
//   engine ──ParentMail──▶ cluster          engine ──RecordLog──▶ storage, replicas

import type { ByteWriter } from './byte-writer.ts'
import type { Command } from './command.ts'
import type { JobId, Seq, ShardId } from './job-id.ts'
import type { JobLog } from './job-log.ts'
import type { JobStore, StateName } from './job-store.ts'
import type { PayloadStore } from './payload-store.ts'
import type { Refusal } from './refusal.ts'
import { Door } from './traffic.ts'
import type { WebhookLetter } from './webhook-ports.ts'

/** Where the jobs of a reply or an event are read from; valid only during the call that passes it. */
export interface JobSource {
  readonly shard: ShardId
  readonly jobs: JobStore
  readonly payloads: PayloadStore
  /** By the number in a job's `queue` cell. */
  queueName(queueNo: number): string
}

/** The sequences of some jobs: `seqs[0..count)`. Scratch, valid only during the call that passes it. */
export interface SeqList {
  readonly seqs: Float64Array
  count: number
}

export interface ItemRefusal {
  /** Position in the request. */
  readonly index: number
  readonly refusal: Refusal
}

export interface Stats {
  queued: number
  processing: number
  delayed: number
  dlq: number
}

export interface QueueInfo {
  name: string
  pending: number
  processing: number
  dlq: number
  paused: boolean
  rate_limit: number | null
  concurrency_limit: number | null
  /** Index of the worker process that owns the queue. */
  worker?: number
}

export interface Metrics {
  total_pushed: number
  total_completed: number
  total_failed: number
  /** Completions in the last full 10 s window, per second. */
  jobs_per_second: number
  /** Mean of (ack - push) over the last 60 s; `latency_count` jobs. */
  avg_latency_ms: number
  latency_count: number
  queues: QueueInfo[]
}

export interface CronInfo {
  name: string
  queue: string
  /** Raw JSON text. */
  data: string
  schedule: string
  priority: number
  next_run: number
}

/**
 * One command's way back to its client. Exactly one call answers. Whatever is passed is read
 * before the call returns, so the caller may re-use it.
 */
export interface Reply {
  ok(): void
  refused(refusal: Refusal): void
  pushed(id: JobId): void
  /** PUSHB: `count` accepted jobs, ids firstId, firstId + 32, … */
  pushedBatch(firstId: JobId, count: number, refused: readonly ItemRefusal[]): void
  /** ACKB, HEARTBEAT, RELEASE, RETRYDLQ, PURGEDLQ: `{"ok":true,"ids":[count]}`. */
  counted(count: number, refused: readonly ItemRefusal[]): void
  /** PULL: the one job now delivered, or none when the wait is over. */
  pulled(source: JobSource, list: SeqList, delivery: Delivery | null): void
  /** PULLB, and DLQ with `delivery` null. */
  pulledBatch(source: JobSource, list: SeqList, delivery: Delivery | null): void
  /** GETJOB; `seq` -1 when the job's body is not there (any more). */
  jobAndState(source: JobSource, seq: Seq, state: StateName): void
  /** GETJOB `full`: the same, and how the job ended. */
  jobInFull(source: JobSource, seq: Seq, state: StateName): void
  state(id: JobId, state: StateName): void
  /** GETRESULT: raw JSON in `bytes[from..to)`, or null. */
  result(id: JobId, bytes: Buffer | null, from: number, to: number): void
  progress(id: JobId, progress: number, message: string | null): void
  /** GETLOGS; null: none. */
  logs(id: JobId, logs: JobLog | null): void
  stats(stats: Stats): void
  metrics(metrics: Metrics, worker: number): void
  queues(queues: readonly QueueInfo[]): void
  crons(crons: readonly CronInfo[]): void
  /** LISTJOBS: each job as `WireCodec.listed` wrote it; `cursor` null at the end of the list. */
  jobs(bodies: readonly Buffer[], cursor: string | null): void
  /** What only webhooks answer: `"name":VALUE`, nothing of it secret. */
  named(name: 'id' | 'webhook' | 'webhooks' | 'deliveries', value: unknown): void
}

/** Jobs handed to a consumer in one reply: their tokens are firstToken, firstToken + 1, … */
export interface Delivery {
  readonly firstToken: number
  /** Whether the reply shows the tokens. */
  readonly showToken: boolean
}

/** The same, kept by whoever must still write the reply: if it cannot, `Gate.giveBack` undoes it. */
export interface Unwritten {
  readonly shard: ShardId
  readonly seqs: Float64Array
  readonly firstToken: number
}

/**
 * The place of one reply line in a connection's (or link's) output. `open` gives the writer to append
 * to; until `close` nothing else may write there. Opened and closed once, within one call.
 */
export interface ReplySlot {
  /**
   * Set within `submit`, before `open`, by whoever builds or forwards the reply: the frame has a `reqId`, so
   * its line may overtake those of earlier frames, and does not hold back later ones. False until then.
   */
  unordered: boolean
  open(): ByteWriter
  /** `handed`: the jobs this line hands over, or null. */
  close(handed: Unwritten | null): void
}

/** One client connection, as far as the shards care. */
export interface Session {
  /** `holder-number.ts`. Jobs and waiting pulls are held in its name. */
  readonly holder: number
  /** Bit per worker, this one included, that ran a command of this session; kept by the gate. */
  workersUsed: number
  /** The other worker that all of its last `awayCount` commands went to; kept by the gate. */
  away: number
  awayCount: number
  /** It was served by another worker before: whatever is held in its name may be anywhere. */
  readonly hasMoved: boolean
  /** It is about to go to another worker: its waiting pulls were forgotten, and none may wait anew. */
  leaving: boolean
  /** What its client came through. */
  door: Door
}

/** A session that nothing is known of yet. */
export function newSession(holder: number, hasMoved = false, door: Door = Door.server): Session {
  return { holder, workersUsed: 0, away: -1, awayCount: 0, hasMoved, leaving: false, door }
}

/** The transports' way in. */
export interface Gate {
  /**
   * Runs one frame (no newline). Bytes are read before it returns or copied. Commands of route `connection`
   * (AUTH, SUBSCRIBE, UNSUBSCRIBE) never come here.
   */
  submit(bytes: Buffer, from: number, to: number, slot: ReplySlot, session: Session): void
  /** The caller has handed in what it had: waiting pulls are served now, after the replies above. */
  turnEnded(): void
  /** Jobs of a reply that could not be written return to their queue, uncounted. */
  giveBack(unwritten: Unwritten): void
  /** Its waiting pulls are forgotten; jobs pulled with `release_on_close` return. */
  sessionClosed(session: Session): void
  /**
   * Events of `queue`, wherever it lives, go to the subscriber until `unsubscribe`. `done`: from now on it
   * misses none (or it has unsubscribed before).
   */
  subscribe(queue: string, events: number, subscriber: Subscriber, done: () => void): void
  unsubscribe(queue: string, subscriber: Subscriber): void
  /** The numbered events of all workers, for the streams of this one. */
  readonly feed: Feed
}

/** In the place of a queue's name: the events of every queue. Not a name that a queue may have. */
export const ALL_QUEUES = '*'

/** Receives rendered event lines, newline included, each valid until `event` returns. Drops when it is full. */
export interface Subscriber {
  event(line: Buffer): void
}

/** Where a node listens; null = not at all. To be opened: 0 = any free port. */
export interface DoorPorts {
  readonly tcp: number
  readonly http: number | null
  readonly grpc: number | null
}

/** What the cluster needs of the wire: to read a frame and to answer in its format. */
export interface WireCodec {
  /** Fills `into` from one frame, or says why it is not a command (then `into.reqIdFrom` may still be set). */
  scan(bytes: Buffer, from: number, to: number, into: Command): Refusal | null
  /**
   * The op and the routing key (queue, id, first of ids, or name) of a frame in the order that clients write
   * it, without validating the rest; false when it is not in that order, and only `scan` can tell.
   */
  peek(bytes: Buffer, from: number, to: number, into: Command): boolean
  reply(command: Command, slot: ReplySlot): Reply
  /** One job of a list, with its state and, once it is finished, how it ended. */
  listed(out: ByteWriter, source: JobSource, seq: Seq): void
}

export const EventKind = {
  pushed: 1,
  completed: 2,
  failed: 4,
  progress: 8,
  timeout: 16,
  retrying: 32,
  cancelled: 64,
  expired: 128,
} as const
export type EventKind = (typeof EventKind)[keyof typeof EventKind]
export type EventName = keyof typeof EventKind

/** Called only while somebody listens on the worker; reads what it needs before it returns. */
export interface EventSink {
  /** False while nobody listens to anything: then nothing else is called. */
  readonly listening: boolean
  /** True when events of this queue are wanted at all. */
  wants(queue: string, kind: EventKind): boolean
  event(kind: EventKind, source: JobSource, seq: Seq, nowMs: number, error: string | null): void
  /** The same for `count` jobs of one queue. */
  events(kind: EventKind, source: JobSource, firstSeq: Seq, count: number, nowMs: number): void
}

/** The two halves of an event, for whoever must wait in between: only for events that `wants` wants. */
export interface EventLines extends EventSink {
  /** Its bytes are the caller's. `hasNote`: streams may be told it. */
  prepare(
    kind: EventKind,
    source: JobSource,
    seq: Seq,
    nowMs: number,
    error: string | null,
    hasNote: boolean,
  ): PreparedEvent
  /** Of `count` events, how many the streams may be told: the first ones. */
  admit(queue: string, kind: EventKind, count: number, nowMs: number): number
  publish(event: PreparedEvent): void
}

export interface PreparedEvent {
  readonly queue: string
  readonly kind: EventKind
  /** For subscribers; null when there are none. */
  readonly line: Buffer | null
  /** For streams; null when there are none, or more than they can be told. */
  readonly note: Buffer | null
}

/** Numbers the events that streams show, and keeps them a while (`cluster/chronicle.ts`). */
export interface NoteSink {
  /** How many of so many may be noted. The others are not to be rendered, and are left out. */
  admit(count: number, nowMs: number): number
  /** So many were not noted. */
  leaveOut(count: number): void
  /** `note` is JSON, and kept. */
  note(kind: EventKind, queue: string, note: Buffer): void
}

/** The events that one worker numbers, from when it began to: the next time is another one. */
export interface FeedStream {
  readonly worker: number
  readonly beganMs: number
}

/** Where one stream is. Events are numbered from 1 without gaps. */
export interface FeedPosition {
  readonly stream: FeedStream
  /** The last one that its worker does not have any more. */
  readonly floor: number
  /** The last one that it has told. */
  readonly head: number
  /** It has told everything since its worker began to serve. */
  readonly isComplete: boolean
}

/** The events of all workers, as far as one worker wants to hear of them. */
export interface Feed {
  /** Who is told from now on. */
  listener: FeedListener | null
  /**
   * Every kind of `kinds` (0: none) of that queue, or of `ALL_QUEUES`. `done`: every worker that is alive has been
   * told, and has said where it is.
   */
  hear(queue: string, kinds: number, done: () => void): void
}

/** Events of one stream come in order, each once, beginning with all that its worker still has. */
export interface FeedListener {
  /** False: events are to wait at their workers, which may leave some out. */
  readonly hasRoom: boolean
  /** Before anything else of a stream, and again whenever more of it is to be heard. */
  positioned(position: FeedPosition): void
  /** `note` is JSON, valid until the call returns. */
  told(stream: FeedStream, seq: number, kind: EventKind, queue: string, note: Buffer): void
  /** `count` events up to `seq` were not told, because there were too many. */
  skipped(stream: FeedStream, seq: number, count: number): void
  /** From `seq` on less was asked for: nobody can go on from before it. */
  broken(stream: FeedStream, seq: number): void
  /** Its worker is gone. `isWhole`: it has told everything. */
  ended(stream: FeedStream, isWhole: boolean): void
}

/** How a parent ended, or that it has not. */
export type ParentOutcome = 'open' | 'completed' | 'failed' | 'cancelled' | 'expired' | 'unknown'

/**
 * Between shards, wherever they live. Each message may arrive twice, or not at all: then it is sent again. `tell`,
 * `cronTaken` and those about webhooks must not arrive unless what their shard recorded before survives.
 */
export interface ParentMail {
  /** Tell `child` when `parent` ends. */
  ask(parent: JobId, child: JobId): void
  tell(child: JobId, parent: JobId, outcome: ParentOutcome): void
  /** A cron of some shard is due: push (name, tick) to its queue's shard, which takes a tick once. */
  cronTick(tick: CronTick): void
  /** To the cron's shard: the queue's shard has the tick. */
  cronTaken(name: string, tickMs: number): void
  webhook(letter: WebhookLetter): void
}

export interface CronTick {
  readonly name: string
  readonly tickMs: number
  readonly queue: string
  readonly data: string
  readonly priority: number
}

/** Where a shard's records go, when anybody keeps them. */
export interface RecordLog {
  /** Its bytes are valid only during the call. */
  append(record: Buffer): void
}

/** The same where they are made durable: a reply leaves when the records it depends on are. */
export interface DurableLog extends RecordLog {
  /** Records appended so far. */
  readonly mark: number
  /** How many of them are durable. */
  readonly durableMark: number
  /** What was appended is made durable as soon as may be. */
  flush(): void
}

export interface Clock {
  /** Unix ms; never goes back. */
  nowMs(): number
}
