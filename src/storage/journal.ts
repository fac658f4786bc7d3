// The journal of one shard, as its owner writes it: records in, batches out, one at a time.
//
//   append ─▶ gathering ─▶ full … ─▶ sending ─▶ storage          mark        records gathered, ever
//             └──── flush sends these, when nothing is under way    durableMark of these, how many storage has
//
// 1. Records become durable in the order of `append`, each once. `durableMark` covers a record only when storage
//    has said so: a reply that waits for its mark says the truth.
// 2. One append is under way. What was flushed meanwhile goes with the next one: that is group commit.
// 3. An append whose outcome is unknown is repeated with the same position, side and bytes until it is known.
// 4. A batch that is refused for good is bisected, unless an attempt of it may have happened: then nobody can
//    say which of its records are stored, until the shard is loaded anew.
// 5. After `fenced`, `failed` or `stop` nothing more is sent. `mark` goes on rising, `durableMark` does not, so
//    that no reply to a later command is released by mistake.
//
// Neighbours: `record-batch.ts` has the bytes, `backlog.ts` the bound, `checkpoints.ts` calls `rotate`.

import { limits } from '../engine/limits.ts'
import type { RecordLog } from '../engine/ports.ts'
import { isWithLast } from '../engine/record-order.ts'
import {
  type Appended,
  type Batch,
  type Claim,
  type Loaded,
  type Storage,
  StorageFault,
} from '../engine/storage-port.ts'
import type { Backlog } from './backlog.ts'
import { Bisection } from './bisection.ts'
import { Confirmations } from './confirmations.ts'
import { type BackOffTerms, backOffMs, type Delay } from './delay.ts'
import { bytesInBatch, HEADER_BYTES, type RecordBatchWriter } from './record-batch.ts'

const RETRY: BackOffTerms = { firstMs: 20, msMax: 500 }

export interface JournalListener {
  /** `durableMark` has risen. */
  durable(shard: number): void
  /** Storage does not answer, or not now: retried until it does. Told once. */
  stalled(shard: number, fault: StorageFault): void
  /** The stall is over. */
  resumed(shard: number): void
  /** Somebody else owns the shard: what was not durable is dropped here. */
  fenced(shard: number): void
  /**
   * Storage refuses for good. What was not durable is dropped here; the shard must be claimed and loaded anew.
   * When the journal could find the record, it is number `durableMark + 1` and `isFound` is true.
   */
  failed(shard: number, fault: StorageFault, isFound: boolean): void
  /** Nothing more is sent, for one of these reasons or because it was stopped. Told once. */
  ended(shard: number): void
}

export interface JournalOptions {
  readonly claim: Claim
  readonly storage: Pick<Storage, 'append'>
  /** What the shard was loaded from. */
  readonly loaded: Pick<Loaded, 'position' | 'side' | 'journalBytes'>
  readonly backlog: Backlog
  readonly listener: JournalListener
  readonly delay: Delay
  /** In [0, 1). */
  readonly random: () => number
  readonly batchBytesMax?: number
}

interface Drain {
  readonly mark: number
  readonly resolve: (isDurable: boolean) => void
}

export class Journal implements RecordLog {
  readonly claim: Claim
  mark = 0
  durableMark = 0
  /** Gathered or under way, before they are packed. */
  pendingBytes = 0
  /** Of the newest durable batch. */
  lastPosition: number
  /** Of durable batches behind the last checkpoint, before they were packed. */
  journalBytes: number
  /** Where the next new batch goes. */
  side: number
  isEnded = false

  private readonly options: JournalOptions
  private readonly batchBytesMax: number
  private readonly confirmations: Confirmations
  private gathering: RecordBatchWriter | null = null
  /** Before `gathering`, oldest first. */
  private readonly full: RecordBatchWriter[] = []
  private flushedMark = 0
  /** Of the record appended last. */
  private lastKind = 0

  private sending: Batch | null = null
  /** What `sending` has in `pendingBytes`. */
  private sendingSize = 0
  /** Has the bytes of `sending`; null while a bisection has them. */
  private sendingWriter: RecordBatchWriter | null = null
  private isUnderWay = false
  /** Failed attempts of `sending`, outcome unknown. */
  private faults = 0
  private isStalled = false
  private cancelRetry: (() => void) | null = null
  private bisection: Bisection | null = null

  private drains: Drain[] = []
  private stops: (() => void)[] = []

  constructor(options: JournalOptions) {
    this.options = options
    this.claim = options.claim
    this.batchBytesMax = options.batchBytesMax ?? limits.journalBatchBytesMax
    this.confirmations = new Confirmations(this, options.delay)
    this.lastPosition = options.loaded.position
    this.side = options.loaded.side
    this.journalBytes = options.loaded.journalBytes
  }

  /** Copies the record. It is not on its way before `flush`. */
  append(record: Buffer): void {
    this.mark++
    if (this.isEnded) return
    const size = bytesInBatch(record)
    let writer = this.gathering
    const isFull = writer !== null && writer.byteLength + size > this.batchBytesMax
    if (writer !== null && isFull && !isWithLast(record, this.lastKind)) {
      this.full.push(writer)
      writer = null
    }
    if (writer === null) {
      writer = this.options.backlog.takeWriter()
      this.gathering = writer
    }
    this.lastKind = record[0] as number
    writer.append(record)
    this.confirmations.appended(record)
    this.pendingBytes += size
    this.options.backlog.bytes += size
  }

  /** Everything gathered so far goes, now or behind what is under way. */
  flush(): void {
    this.flushedMark = this.mark
    if (this.sending === null) this.sendNext()
  }

  /** Batches that are new from now on go to that side. */
  rotate(side: number): void {
    this.side = side
  }

  /** A checkpoint covers so many of `journalBytes`. */
  covered(bytes: number): void {
    this.journalBytes -= bytes
  }

  /** Flushes; resolves when that is durable: true. Or when the journal has ended: whether it is. */
  drained(): Promise<boolean> {
    this.flush()
    const { mark } = this
    if (this.durableMark >= mark || this.isQuiet()) {
      return Promise.resolve(this.durableMark >= mark)
    }
    return new Promise((resolve) => this.drains.push({ mark, resolve }))
  }

  /** The replies to all that is durable are sent; resolves when that is on record, where it matters. */
  confirm(): Promise<void> {
    return this.confirmations.confirm()
  }

  /** Sends no more; resolves when the append under way is settled. Use `drained` before, to lose nothing. */
  stop(): Promise<void> {
    this.end()
    if (this.isQuiet()) return Promise.resolve()
    return new Promise((resolve) => this.stops.push(resolve))
  }

  private isQuiet(): boolean {
    return this.isEnded && !this.isUnderWay
  }

  private sendNext(): void {
    if (this.isEnded || this.flushedMark <= this.durableMark) return
    const position = this.lastPosition + 1
    const { bisection } = this
    if (bisection !== null) {
      const { count, side } = bisection
      this.sendingSize = bisection.size
      this.sending = { position, side, count, bytes: bisection.seal() }
    } else {
      const writer = this.takeOldest()
      this.sendingWriter = writer
      this.sendingSize = writer.byteLength - HEADER_BYTES
      this.sending = { position, side: this.side, count: writer.count, bytes: writer.seal() }
    }
    this.attempt()
  }

  private takeOldest(): RecordBatchWriter {
    const writer = this.full.shift() ?? this.gathering
    if (writer === null) throw new Error('records were gathered, and are nowhere')
    if (writer === this.gathering) this.gathering = null
    return writer
  }

  private readonly attempt = (): void => {
    const { sending } = this
    if (sending === null) throw new Error('there is nothing to send')
    this.cancelRetry = null
    this.isUnderWay = true
    this.options.storage.append(this.claim, sending).then(this.onAppended, this.onFault)
  }

  private readonly onAppended = (outcome: Appended): void => {
    this.isUnderWay = false
    if (outcome === 'durable') this.onDurable()
    else this.onFenced()
  }

  private onDurable(): void {
    const { sending, options } = this
    if (sending === null) throw new Error('an append is settled that was not under way')
    this.sending = null
    this.lastPosition = sending.position
    this.durableMark += sending.count
    this.journalBytes += HEADER_BYTES + this.sendingSize
    this.pendingBytes -= this.sendingSize
    options.backlog.bytes -= this.sendingSize
    this.letGo()
    const wasStalled = this.isStalled
    this.faults = 0
    this.isStalled = false
    if (this.isEnded) this.settle()
    // The next append begins before the replies are written, so that storage does not wait for them.
    else this.sendNext()
    if (wasStalled) options.listener.resumed(this.claim.shard)
    this.resolveDrains()
    options.listener.durable(this.claim.shard)
    this.confirmations.durable()
  }

  /** The bytes of a durable batch may be used again, unless an earlier attempt could still be reading them. */
  private letGo(): void {
    if (this.sendingWriter !== null && this.faults === 0) {
      this.options.backlog.giveWriter(this.sendingWriter)
    }
    this.sendingWriter = null
    if (this.bisection === null) return
    this.bisection.durable()
    if (this.bisection.count === 0) this.bisection = null
  }

  private onFenced(): void {
    const wasEnded = this.isEnded
    this.end()
    if (!wasEnded) this.options.listener.fenced(this.claim.shard)
  }

  private readonly onFault = (fault: unknown): void => {
    // Anything else is a bug, and nobody's to handle.
    if (!(fault instanceof StorageFault)) throw fault
    this.isUnderWay = false
    if (this.isEnded) this.settle()
    else if (fault.retryable) this.retryLater(fault)
    else if (this.faults === 0 && this.divide()) this.sendNext()
    else this.fail(fault)
  }

  private retryLater(fault: StorageFault): void {
    const { options } = this
    this.faults++
    this.cancelRetry = options.delay(backOffMs(RETRY, this.faults, options.random), this.attempt)
    if (this.isStalled) return
    this.isStalled = true
    options.listener.stalled(this.claim.shard, fault)
  }

  /** What is sent is refused: a smaller part of it is next. False when it is a single record. */
  private divide(): boolean {
    const { sending } = this
    if (sending === null || sending.count === 1) return false
    if (this.bisection !== null) this.bisection.refused()
    else this.bisection = new Bisection(sending.bytes, sending.side)
    this.sending = null
    this.sendingWriter = null
    return true
  }

  private fail(fault: StorageFault): void {
    const isFound = this.faults === 0
    this.end()
    this.options.listener.failed(this.claim.shard, fault, isFound)
  }

  private end(): void {
    if (!this.isEnded) this.options.listener.ended(this.claim.shard)
    this.isEnded = true
    this.confirmations.stop()
    this.cancelRetry?.()
    this.cancelRetry = null
    if (!this.isUnderWay) this.settle()
  }

  /** Ended, and nothing is under way: what is left is dropped. */
  private settle(): void {
    this.sending = null
    this.sendingWriter = null
    this.bisection = null
    this.gathering = null
    this.full.length = 0
    this.options.backlog.bytes -= this.pendingBytes
    this.pendingBytes = 0
    this.resolveDrains()
    for (const resolve of this.stops.splice(0)) resolve()
  }

  private resolveDrains(): void {
    if (this.drains.length === 0) return
    const isOver = this.isQuiet()
    const drains = this.drains
    this.drains = []
    for (const drain of drains) {
      const isDurable = this.durableMark >= drain.mark
      if (isDurable || isOver) drain.resolve(isDurable)
      else this.drains.push(drain)
    }
  }
}
