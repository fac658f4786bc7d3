// What survives, as the rest of the server sees it: `src/storage` implements it, `src/cluster` calls it.
//
//   claim ──▶ load ──▶ append, append, … ──▶ release          per shard, one owner at a time, fenced by its epoch
//
// 1. Everything that can fail rejects with a StorageFault. A retryable one means: nobody knows whether it happened,
//    call again with the same arguments until it resolves.
// 2. A call for a claim that is no longer the newest one resolves to 'fenced' and has changed nothing.

import type { Seq, ShardId } from './job-id.ts'

const NO_BYTES = Buffer.alloc(0)

/** The right to write for a shard, until somebody claims it anew. */
export interface Claim {
  readonly shard: ShardId
  /** Rises with each claim of the shard. */
  readonly epoch: number
}

export class StorageFault extends Error {
  override readonly name = 'StorageFault'
  /** A SQLSTATE, a code of Node, or one of ours (`corrupt`, `schema_newer`, …). */
  readonly code: string
  /** The same call may succeed later. */
  readonly retryable: boolean

  constructor(code: string, text: string, retryable: boolean, cause?: unknown) {
    super(text, { cause })
    this.code = code
    this.retryable = retryable
  }
}

/** One append: what a shard recorded in one or more turns. */
export interface Batch {
  /** 1 for the first one of a shard, then one more each. */
  readonly position: number
  /** Which of the two sides of the journal it goes to; a retry names the same. */
  readonly side: number
  /** Records in it. */
  readonly count: number
  /** `record-batch.ts`. */
  readonly bytes: Buffer
}

export type Appended = 'durable' | 'fenced'

/** A job as it is stored, outside of any shard. Scratch: valid only during the call that passes it. */
export interface JobRow {
  id: number
  queue: string
  /** Of `stateNames`: waiting, delayed, active, completed, failed, waiting-children. */
  state: string
  priority: number
  attempts: number
  maxAttempts: number
  /** Unix ms; `startedAtMs` and `finishedAtMs` 0 when there is none. */
  createdAtMs: number
  runAtMs: number
  startedAtMs: number
  /** Of completed jobs, and of failed ones where it is known. */
  finishedAtMs: number
  /** 0 = not given. */
  backoffMs: number
  ttlMs: number
  timeoutMs: number
  progress: number
  /** Of active jobs; 0 = none. */
  token: number
  leaseMs: number
  leaseUntilMs: number
  holder: number
  /** JSON text, byte for byte as pushed; result null when there is none. Views, not copies. */
  data: Buffer
  result: Buffer | null
  /** What few jobs have, as JSON, or null: unique key, dependencies, tags, message, error, log. */
  rest: string | null
}

export function emptyJobRow(): JobRow {
  return {
    id: 0,
    queue: '',
    state: '',
    priority: 0,
    attempts: 0,
    maxAttempts: 0,
    createdAtMs: 0,
    runAtMs: 0,
    startedAtMs: 0,
    finishedAtMs: 0,
    backoffMs: 0,
    ttlMs: 0,
    timeoutMs: 0,
    progress: 0,
    token: 0,
    leaseMs: 0,
    leaseUntilMs: 0,
    holder: 0,
    data: NO_BYTES,
    result: null,
    rest: null,
  }
}

/** Receives what survived of one shard, in this order; the engine's `restore.ts` is one. */
export interface ShardReader {
  /** Of the checkpoint, when there is one: first. */
  meta(bytes: Buffer): void
  /** Each job of the checkpoint, in any order, completed ones included. */
  job(row: JobRow): void
  /** When the checkpoint is through, or there is none: once, before the journal. */
  checkpointEnded(): void
  /** Each batch of the journal behind it, in order. */
  batch(bytes: Buffer): void
}

export interface Loaded {
  /** Of the newest batch; the next one is one more. */
  readonly position: number
  /** The side to append to. */
  readonly side: number
  /** No batch is on the other side. */
  readonly otherSideEmpty: boolean
  /** Of the records in the journal that was read, however they are stored. */
  readonly journalBytes: number
  /** Of the checkpoint's rows. */
  readonly checkpointBytes: number
  /** Sequences below it may have been given out. */
  readonly reservedTo: Seq
  /** The previous owner was a worker of another node, or of an earlier life of this one. */
  readonly foreign: boolean
}

/** One worker's way to what survives. */
export interface Storage {
  start(): Promise<void>
  /** Ends what is under way; claims stay as they are. */
  stop(): Promise<void>
  /** Takes those of these shards that nobody else may hold; a hung owner's session is ended. */
  claim(shards: readonly ShardId[]): Promise<readonly Claim[]>
  /** Gives it up: anybody may claim it at once. */
  release(claim: Claim): Promise<void>
  load(claim: Claim, into: ShardReader): Promise<Loaded>
  append(claim: Claim, batch: Batch): Promise<Appended>
  /** Sequences below `to` may be given out from now on. */
  reserve(claim: Claim, to: Seq): Promise<Appended>
  /** Makes a checkpoint that covers the journal up to `covered`; `checkpoint.ts` says when. */
  checkpoint(claim: Claim, covered: number): Promise<CheckpointMade | 'fenced'>
  /** Empties a side of the journal that a checkpoint covers. False: a reader is in the way, try later. */
  emptySide(claim: Claim, side: number): Promise<boolean>
}

export interface CheckpointMade {
  readonly generation: number
  readonly jobs: number
  readonly bytes: number
}
