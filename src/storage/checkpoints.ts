// When a checkpoint is made, and what follows from it: one worker's shards, one checkpoint at a time.
//
//   due ─▶ rotate, if the other side is empty ─▶ drained ─▶ checkpoint ─▶ empty the side not appended to
//                                                   └ failed: later           └ a reader is in the way: later
//
// 1. Due is a shard whose journal behind the last checkpoint is larger than both `bytesMin` and what that
//    checkpoint wrote: what checkpoints cost is bounded by what appends cost.
// 2. Appends wait for none of this, and are unharmed by its failures.
// 3. A side is rotated to only when it is empty, so what lies on the other one is older, and all of it is covered
//    by a checkpoint that is made after the rotation.
// 4. Whoever is fenced stops: the checkpoints of a shard are its owner's.
//
// Neighbours: the owner of the journals calls `look` when one has become longer; ADR 6 says why.

import {
  type CheckpointMade,
  type Loaded,
  type Storage,
  StorageFault,
} from '../engine/storage-port.ts'
import { type BackOffTerms, backOffMs, type Delay } from './delay.ts'
import type { Journal } from './journal.ts'

const RETRY_CHECKPOINT: BackOffTerms = { firstMs: 1000, msMax: 60_000 }
const RETRY_EMPTYING: BackOffTerms = { firstMs: 500, msMax: 10_000 }

interface CheckpointListener {
  checkpointMade(shard: number, made: CheckpointMade): void
  /** It is tried again, later. */
  checkpointFailed(shard: number, fault: StorageFault): void
}

export interface CheckpointOptions {
  readonly storage: Pick<Storage, 'checkpoint' | 'emptySide'>
  /** Less journal than that is not worth a checkpoint. */
  readonly bytesMin: number
  readonly listener: CheckpointListener
  readonly delay: Delay
  /** In [0, 1). */
  readonly random: () => number
}

interface Entry {
  readonly journal: Journal
  /** Of the last checkpoint. */
  checkpointBytes: number
  otherSideEmpty: boolean
  /** Of the other side, by now: only a reader can be in the way of emptying it. */
  isCovered: boolean
  isQueued: boolean
  /** In a row, of what is tried again. */
  failures: number
  cancelRetry: (() => void) | null
  /** The last checkpoint failed: the next one waits for the retry, however long the journal becomes. */
  isBackingOff: boolean
}

export class Checkpoints {
  private readonly options: CheckpointOptions
  private readonly entries = new Map<number, Entry>()
  private readonly queue: Entry[] = []
  private isRunning = false
  private running: Promise<void> = Promise.resolve()

  constructor(options: CheckpointOptions) {
    this.options = options
  }

  /** Looks after a shard that was loaded, until `remove`. */
  add(journal: Journal, loaded: Loaded): void {
    this.remove(journal.claim.shard)
    this.entries.set(journal.claim.shard, {
      journal,
      checkpointBytes: loaded.checkpointBytes,
      otherSideEmpty: loaded.otherSideEmpty,
      isCovered: false,
      isQueued: false,
      failures: 0,
      cancelRetry: null,
      isBackingOff: false,
    })
    this.look(journal.claim.shard)
  }

  /** The shard has another owner, or soon will. A checkpoint under way may still be made: it does no harm. */
  remove(shard: number): void {
    this.entries.get(shard)?.cancelRetry?.()
    this.entries.delete(shard)
  }

  /** Its journal has become longer. Cheap. */
  look(shard: number): void {
    const entry = this.entries.get(shard)
    if (entry === undefined || entry.isQueued || entry.isBackingOff) return
    if (this.isDue(entry)) this.enqueue(entry)
  }

  /** Makes no more; resolves when the one under way has ended. Stop the journals first: it may wait for one. */
  async stop(): Promise<void> {
    for (const shard of [...this.entries.keys()]) this.remove(shard)
    await this.running
  }

  private isDue({ journal, checkpointBytes }: Entry): boolean {
    return journal.journalBytes > Math.max(this.options.bytesMin, checkpointBytes)
  }

  private enqueue(entry: Entry): void {
    entry.cancelRetry?.()
    entry.cancelRetry = null
    entry.isQueued = true
    this.queue.push(entry)
    if (!this.isRunning) this.running = this.run()
  }

  private async run(): Promise<void> {
    this.isRunning = true
    for (let entry = this.queue.shift(); entry !== undefined; entry = this.queue.shift()) {
      if (this.isCurrent(entry)) await this.work(entry)
      entry.isQueued = false
    }
    this.isRunning = false
  }

  private async work(entry: Entry): Promise<void> {
    try {
      if (this.isDue(entry)) await this.make(entry)
      if (this.isCurrent(entry) && entry.isCovered) await this.emptyOther(entry)
    } catch (fault) {
      // Anything else is a bug, and nobody's to handle.
      if (!(fault instanceof StorageFault)) throw fault
      if (!this.isCurrent(entry)) return
      entry.isBackingOff = true
      this.retryLater(entry, RETRY_CHECKPOINT)
      this.options.listener.checkpointFailed(entry.journal.claim.shard, fault)
    }
  }

  private async make(entry: Entry): Promise<void> {
    const { journal } = entry
    const { claim } = journal
    if (entry.otherSideEmpty) {
      journal.rotate(1 - journal.side)
      entry.otherSideEmpty = false
    }
    // From here on nothing new goes to the other side, and what was on its way there is stored.
    if (!(await journal.drained()) || !this.isCurrent(entry)) return
    const covered = journal.lastPosition
    const coveredBytes = journal.journalBytes
    const made = await this.options.storage.checkpoint(claim, covered)
    if (!this.isCurrent(entry)) return
    if (made === 'fenced') return this.remove(claim.shard)
    journal.covered(coveredBytes)
    entry.checkpointBytes = made.bytes
    entry.isCovered = true
    this.succeeded(entry)
    this.options.listener.checkpointMade(claim.shard, made)
  }

  private async emptyOther(entry: Entry): Promise<void> {
    const { journal } = entry
    const isEmpty = await this.options.storage.emptySide(journal.claim, 1 - journal.side)
    if (!this.isCurrent(entry)) return
    if (!isEmpty) return this.retryLater(entry, RETRY_EMPTYING)
    entry.otherSideEmpty = true
    entry.isCovered = false
    this.succeeded(entry)
  }

  private succeeded(entry: Entry): void {
    entry.failures = 0
    entry.isBackingOff = false
  }

  private retryLater(entry: Entry, terms: BackOffTerms): void {
    const { delay, random } = this.options
    entry.failures++
    entry.cancelRetry = delay(backOffMs(terms, entry.failures, random), () => {
      entry.cancelRetry = null
      this.enqueue(entry)
    })
  }

  private isCurrent(entry: Entry): boolean {
    return this.entries.get(entry.journal.claim.shard) === entry && !entry.journal.isEnded
  }
}
