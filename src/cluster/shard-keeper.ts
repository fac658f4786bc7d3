// The shards of this worker where their records are durable: each is taken from storage, recovered, run, and handed on.
//
//             claim      load        owned is durable
//   (granted) ─────▶ ● ───────▶ ● ──────────────────▶ serving ──giveUp──▶ leaving ──released──▶ (gone)
//                    └── fault: again, later            │  ▲
//                                             stalled:  │  │ resumed
//                                             nothing ──▼──┘ runs, and what waits too long is refused
//
// 1. A shard serves only when its whole past has been read, and its new owner is on record.
// 2. Whatever ends a shard here (fenced, refused by the database) drops its state whole; what was acknowledged is in storage.
// 3. Calls for one shard never overlap: each Kept has one task at a time.

import type { ShardId } from '../engine/job-id.ts'
import type { Clock, DurableLog } from '../engine/ports.ts'
import { type Refusal, refusals } from '../engine/refusal.ts'
import { Restore } from '../engine/restore.ts'
import { Shard } from '../engine/shard.ts'
import { type Claim, type Loaded, type Storage, StorageFault } from '../engine/storage-port.ts'
import type { Log } from './log.ts'
import type { ReplyHold } from './reply-hold.ts'
import { ShardClaims } from './shard-claims.ts'
import type { ShardRunner } from './shard-runner.ts'

/** Sequences are reserved in blocks of so many: a new owner skips what is left of one. */
const SEQUENCE_BLOCK = 2 ** 22
/** Ids have 12 digits from the first one on: lists of such are written fastest. */
const FIRST_SEQUENCE = 2 ** 32
/** Delivery tokens of one owner lie above those of all before it. */
const TOKENS_PER_EPOCH = 2 ** 32
/** How long a reply waits for a database that does not answer. */
const STALLED_MS_MAX = 5000
const RETRY_MS_MIN = 50
const RETRY_MS_MAX = 1000
/** Behind what no waiting repairs. */
const REFUSED_PAUSE_MS_MAX = 30_000
/** Shards that are loaded at the same time. */
const LOADS_MAX = 4
/** An append that is not answered for so long counts as a stall, whatever the storage waits for. */
const LATE_MS = 3000
const LATE_LOOK_MS = 500

/** The journal of one shard, with its checkpoints. */
export interface OwnedLog extends DurableLog {
  /** Resolves when everything appended so far is durable, or never will be. */
  drained(): Promise<unknown>
  /** The replies to all that is durable are sent: the next owner shall not doubt it. Resolves when that is on record. */
  confirm(): Promise<unknown>
  /** Resolves when nothing is on its way any more. */
  stop(): Promise<void>
}

export interface LogListener {
  durable(): void
  /** The database does not answer; it is asked again and again. */
  stalled(): void
  resumed(): void
  /** Somebody else owns the shard. */
  fenced(): void
  /** The database refuses what was appended; of what is not durable, nothing is stored if `isFound`, else who knows. */
  failed(fault: StorageFault, isFound: boolean): void
}

/** What all journals of this worker have gathered and not sent. */
interface Pending {
  readonly bytes: number
  readonly bytesMax: number
}

export interface KeeperOptions {
  readonly storage: Storage
  readonly runner: ShardRunner
  readonly hold: ReplyHold
  readonly clock: Clock
  readonly log: Log
  readonly pending: Pending
  openLog(claim: Claim, loaded: Loaded, listener: LogListener): OwnedLog
  /** Calls `each` for every record of a batch. */
  decodeBatch(bytes: Buffer, each: (record: Buffer) => void): void
  /** Whether the session is open at a worker that lives. */
  isHolderAlive(holder: number): boolean
  /** It serves, or halts: routes and held requests are to be looked at. */
  changed(): void
  /** For the primary. */
  serving(shards: readonly ShardId[]): void
  gone(shards: readonly ShardId[]): void
}

interface Kept {
  readonly shard: ShardId
  state: 'taking' | 'serving' | 'leaving'
  claim: Claim | null
  log: OwnedLog | null
  isStalled: boolean
  stallTimer: NodeJS.Timeout | null
  reservedTo: number
  /** While records wait: their journal's durable mark, and since when it stands there. */
  lateMark: number
  lateSinceMs: number
  /** Resolves when it is given up; null while it is not. */
  leaving: Promise<void> | null
}

export class ShardKeeper {
  private readonly options: KeeperOptions
  private readonly kept = new Map<ShardId, Kept>()
  /** Taken from another life, and that is not on record yet: its connections are gone, whatever a second claim says. */
  private readonly foreign = new Set<ShardId>()
  private readonly timers = new Set<NodeJS.Timeout>()
  /** More is pending than may be: nothing runs until the database has taken half of it. */
  private isFull = false
  /** Shards whose append is not answered. */
  private stalled = 0
  /** Taken, and not claimed yet. */
  private readonly claims: ShardClaims
  /** Ends in a row that the shard came to here before anything else was stored. */
  private readonly failures = new Map<ShardId, number>()
  private lateTimer: NodeJS.Timeout | null = null
  private loads = 0
  private waitingLoads: (() => void)[] = []
  private isStopped = false

  constructor(options: KeeperOptions) {
    this.options = options
    const { storage, log } = options
    this.claims = new ShardClaims({ storage, log, claimed: (claim) => void this.recover(claim) })
  }

  /** It serves: routes may lead here. */
  isServing(shard: ShardId): boolean {
    const kept = this.kept.get(shard)
    return kept?.state === 'serving' && !kept.isStalled && !this.isFull
  }

  /** Once a turn. */
  look(): void {
    const { bytes, bytesMax } = this.options.pending
    if (this.isFull || bytes <= bytesMax) return
    this.isFull = true
    this.options.log.warn({ bytes, bytesMax }, 'the database is too slow: producers wait for it')
    this.applyHalts()
  }

  /** These are granted; what is not kept yet is taken. */
  take(shards: readonly ShardId[]): void {
    const fresh = shards.filter((shard) => !this.kept.has(shard))
    if (fresh.length === 0 || this.isStopped) return
    this.lateTimer ??= setInterval(() => this.lookForLate(), LATE_LOOK_MS)
    for (const shard of fresh) this.keep(shard)
    this.claims.want(fresh)
  }

  /** Another node may have let shards go. */
  wake(): void {
    this.claims.wake()
  }

  /** Hands on: resolves when what they recorded is durable and somebody else may claim them. */
  async giveUp(shards: readonly ShardId[]): Promise<void> {
    await Promise.all(shards.map((shard) => this.leave(shard)))
  }

  /** All of them, at the end. */
  async stop(): Promise<void> {
    this.isStopped = true
    for (const timer of this.timers) clearTimeout(timer)
    this.timers.clear()
    await Promise.all([this.claims.stop(), this.giveUp([...this.kept.keys()])])
    if (this.lateTimer !== null) clearInterval(this.lateTimer)
  }

  /** The runner wants more sequences for a shard. */
  reserve(shard: ShardId): void {
    const kept = this.kept.get(shard)
    if (kept?.claim == null) return
    const { claim } = kept
    const to = kept.reservedTo + SEQUENCE_BLOCK
    this.options.storage.reserve(claim, to).then(
      (done) => {
        if (this.kept.get(shard) !== kept) return
        if (done === 'fenced') return this.drop(kept, refusals.notStored)
        kept.reservedTo = to
        this.options.runner.reserved(shard, to)
      },
      (fault: unknown) => this.later(RETRY_MS_MAX, fault, 'sequences', () => this.reserve(shard)),
    )
  }

  private keep(shard: ShardId): Kept {
    const kept: Kept = {
      shard,
      state: 'taking',
      claim: null,
      log: null,
      isStalled: false,
      stallTimer: null,
      reservedTo: 0,
      lateMark: 0,
      lateSinceMs: 0,
      leaving: null,
    }
    this.kept.set(shard, kept)
    return kept
  }

  private async recover(claim: Claim): Promise<void> {
    const { shard } = claim
    const kept = this.kept.get(shard)
    if (kept === undefined) return
    kept.claim = claim
    await this.loadTurn()
    try {
      if (kept.state === 'taking' && !this.isStopped) await this.load(kept, claim)
    } catch (fault) {
      await kept.log?.stop()
      kept.log = null
      if (this.kept.get(shard) === kept && kept.state === 'taking') this.recoverLater(kept, fault)
    } finally {
      this.loads--
      this.waitingLoads.shift()?.()
    }
  }

  /** A shard that can't be read stays away; the others serve. */
  private recoverLater(kept: Kept, fault: unknown): void {
    const { log } = this.options
    const { shard } = kept
    const isFinal = fault instanceof StorageFault && !fault.retryable && fault.code !== 'fenced'
    const pauseMs = this.pauseMsAfterFailure(shard, isFinal ? REFUSED_PAUSE_MS_MAX : RETRY_MS_MAX)
    const fields = { shard, err: fault, pauseMs }
    if (isFinal) log.error(fields, 'a shard can not be recovered: tried again, others are served')
    else log.warn(fields, 'recovering a shard failed: tried again')
    this.takeLater(kept, pauseMs)
  }

  private takeLater(kept: Kept, pauseMs: number): void {
    const { shard } = kept
    this.after(pauseMs, () => {
      if (this.kept.get(shard) === kept && kept.state === 'taking') this.claims.want([shard])
    })
  }

  private pauseMsAfterFailure(shard: ShardId, msMax: number): number {
    const failures = (this.failures.get(shard) ?? 0) + 1
    this.failures.set(shard, failures)
    return Math.min(RETRY_MS_MIN * 2 ** failures, msMax)
  }

  private async load(kept: Kept, claim: Claim): Promise<void> {
    const { storage, runner, clock, log: logger, isHolderAlive, decodeBatch } = this.options
    const startMs = clock.nowMs()
    const restore = new Restore(claim.shard, decodeBatch, runner.spareMemory)
    const loaded = await storage.load(claim, restore)
    if (loaded.foreign) this.foreign.add(claim.shard)
    const { state } = restore
    const firstSeq = Math.max(loaded.reservedTo, state.nextSeq, FIRST_SEQUENCE)
    kept.reservedTo = firstSeq + SEQUENCE_BLOCK
    const reserved = await storage.reserve(claim, kept.reservedTo)
    if (kept.state !== 'taking') return
    if (reserved === 'fenced') throw new StorageFault('fenced', 'taken by another worker', false)
    const log = this.options.openLog(claim, loaded, this.listenerOf(kept))
    kept.log = log
    const shard = Shard.resume(state, kept.reservedTo, runner.portsFor(log))
    const isForeign = this.foreign.has(claim.shard)
    const isAlive = (holder: number): boolean => {
      const now = runner.sessionNow(holder)
      return !isForeign && now !== null && isHolderAlive(now)
    }
    shard.ownedFrom(
      firstSeq,
      claim.epoch * TOKENS_PER_EPOCH,
      isAlive,
      clock.nowMs(),
      restore.unconfirmed,
    )
    log.flush()
    await log.drained()
    if (kept.state !== 'taking' || this.kept.get(claim.shard) !== kept) return
    if (log.durableMark !== log.mark) throw new StorageFault('unsettled', 'not on record', true)
    this.foreign.delete(claim.shard)
    kept.state = 'serving'
    if (this.isFull) runner.halt(claim.shard)
    runner.adopt(shard, log, isHolderAlive)
    const jobs = state.jobs.live
    const ms = clock.nowMs() - startMs
    const fields = { shard: claim.shard, epoch: claim.epoch, jobs, ms }
    if (jobs > 0) logger.info(fields, 'a shard was recovered')
    else logger.debug(fields, 'an empty shard was taken')
    this.options.changed()
    this.options.serving([claim.shard])
  }

  private listenerOf(kept: Kept): LogListener {
    const { hold } = this.options
    return {
      durable: () => {
        if (kept.state === 'serving') this.failures.delete(kept.shard)
        this.go(kept)
        if (kept.log !== null) hold.durable(kept.log)
        if (this.isFull) this.lookForRoom()
      },
      stalled: () => this.halt(kept),
      resumed: () => this.go(kept),
      fenced: () => {
        this.options.log.warn({ shard: kept.shard }, 'another worker owns the shard: given up')
        this.drop(kept, refusals.notStored)
      },
      failed: (fault, isFound) => this.failed(kept, fault, isFound),
    }
  }

  private lookForRoom(): void {
    const { bytes, bytesMax } = this.options.pending
    if (bytes > bytesMax / 2) return
    this.isFull = false
    this.applyHalts()
  }

  /** The runner halts what does not serve, and goes on with the rest. */
  private applyHalts(): void {
    const { runner, changed } = this.options
    for (const { shard, state } of this.kept.values()) {
      if (state !== 'serving') continue
      if (this.isServing(shard)) runner.go(shard)
      else runner.halt(shard)
    }
    changed()
  }

  /** A stall shows late where appends wait for one another: how long nothing became durable tells sooner. */
  private lookForLate(): void {
    const nowMs = this.options.clock.nowMs()
    for (const kept of this.kept.values()) {
      const { log } = kept
      if (log === null || log.durableMark === log.mark) {
        kept.lateSinceMs = 0
      } else if (kept.lateSinceMs === 0 || kept.lateMark !== log.durableMark) {
        kept.lateMark = log.durableMark
        kept.lateSinceMs = nowMs
      } else if (nowMs - kept.lateSinceMs >= LATE_MS) this.halt(kept)
    }
  }

  private halt(kept: Kept): void {
    if (kept.isStalled) return
    const { log, hold } = this.options
    kept.isStalled = true
    if (this.stalled++ === 0) log.warn({}, 'the database does not answer: commands wait for it')
    kept.stallTimer = setTimeout(() => {
      kept.stallTimer = null
      if (kept.log !== null) hold.refuseReplies(kept.log, refusals.notStored)
    }, STALLED_MS_MAX)
    this.applyHalts()
  }

  private go(kept: Kept): void {
    if (!kept.isStalled) return
    kept.isStalled = false
    this.stalled--
    if (kept.stallTimer !== null) clearTimeout(kept.stallTimer)
    kept.stallTimer = null
    if (this.stalled === 0) this.options.log.info({}, 'the database answers again')
    this.applyHalts()
  }

  /** The database took what came before and refuses the next: the shard is read anew without it. */
  private failed(kept: Kept, fault: StorageFault, isFound: boolean): void {
    const { shard, state } = kept
    if (this.kept.get(shard) !== kept) return
    this.options.log.error(
      { shard, err: fault },
      'the database refuses what a shard did: it is read anew',
    )
    const first = fault.code === 'lost' ? refusals.unavailable : refusals.storageRefused
    if (isFound) this.end(kept, refusals.unavailable, first)
    else this.end(kept, refusals.notStored)
    if (state === 'leaving' || this.isStopped) return
    const isFirst = !this.failures.has(shard)
    const pauseMs = this.pauseMsAfterFailure(shard, REFUSED_PAUSE_MS_MAX)
    this.takeLater(this.keep(shard), isFirst ? 0 : pauseMs)
  }

  private drop(kept: Kept, refusal: Refusal): void {
    this.end(kept, refusal)
    this.options.gone([kept.shard])
  }

  /** Nothing that it did since its last durable record counts. */
  private end(kept: Kept, refusal: Refusal, first = refusal): void {
    const { hold, runner } = this.options
    if (this.kept.get(kept.shard) !== kept) return
    // What has run in a turn that is not over is refused with the rest.
    runner.halt(kept.shard)
    runner.handOver()
    if (kept.log !== null) hold.drop(kept.log, refusal, first)
    this.forget(kept)
  }

  private forget(kept: Kept): void {
    const { runner } = this.options
    if (this.kept.get(kept.shard) !== kept) return
    this.kept.delete(kept.shard)
    this.claims.forget(kept.shard)
    if (kept.isStalled) this.stalled--
    if (kept.stallTimer !== null) clearTimeout(kept.stallTimer)
    this.bounceWaits(kept)
    runner.disown(kept.shard)
    void kept.log?.stop()
    if (this.isFull) this.lookForRoom()
    this.options.changed()
  }

  private leave(shard: ShardId): Promise<void> {
    const kept = this.kept.get(shard)
    if (kept === undefined) return Promise.resolve()
    kept.leaving ??= this.handOn(kept)
    return kept.leaving
  }

  private async handOn(kept: Kept): Promise<void> {
    const { hold, runner } = this.options
    kept.state = 'leaving'
    this.claims.forget(kept.shard)
    if (runner.serves(kept.shard)) runner.finishWorkOf(kept.shard)
    runner.halt(kept.shard)
    this.options.changed()
    this.bounceWaits(kept)
    if (kept.log !== null) {
      kept.log.flush()
      await kept.log.drained()
      await kept.log.confirm()
      await kept.log.stop()
      hold.durable(kept.log)
      hold.drop(kept.log, refusals.notStored)
    }
    if (kept.claim !== null) await this.claims.release(kept.claim)
    this.forget(kept)
  }

  /** Waiting pulls are asked again where the shard goes. */
  private bounceWaits(kept: Kept): void {
    const { hold, runner } = this.options
    hold.isBouncing = true
    runner.endWaitsOf(kept.shard)
    hold.isBouncing = false
  }

  /** Resolves when one more shard may be loaded. */
  private async loadTurn(): Promise<void> {
    if (this.loads >= LOADS_MAX) {
      await new Promise<void>((resolve) => this.waitingLoads.push(resolve))
    }
    this.loads++
  }

  private later(ms: number, fault: unknown, what: string, again: () => void): void {
    if (!this.isStopped) this.options.log.warn({ err: fault }, `${what} failed: tried again`)
    this.after(ms, again)
  }

  private after(ms: number, then: () => void): void {
    if (this.isStopped) return
    const timer = setTimeout(() => {
      this.timers.delete(timer)
      then()
    }, ms)
    this.timers.add(timer)
  }
}
