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
const RECOVERY_PAUSE_MS_MAX = 30_000
/** Shards that are loaded at the same time. */
const LOADS_MAX = 4

/** The journal of one shard, with its checkpoints. */
export interface OwnedLog extends DurableLog {
  /** Resolves when everything appended so far is durable, or never will be. */
  drained(): Promise<unknown>
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
export interface Pending {
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
  /** Recoveries in a row that failed. */
  failures: number
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
  private readonly unclaimed = new Set<ShardId>()
  private isClaiming = false
  private claimTimer: NodeJS.Timeout | null = null
  private claimPauseMs = RETRY_MS_MIN
  private loads = 0
  private waitingLoads: (() => void)[] = []
  private isStopped = false

  constructor(options: KeeperOptions) {
    this.options = options
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
    for (const shard of fresh) {
      this.kept.set(shard, {
        shard,
        state: 'taking',
        claim: null,
        log: null,
        isStalled: false,
        stallTimer: null,
        reservedTo: 0,
        failures: 0,
      })
      this.unclaimed.add(shard)
    }
    this.claimWaiting()
  }

  /** Another node may have let shards go. */
  wake(): void {
    this.claimWaiting()
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
    if (this.claimTimer !== null) clearTimeout(this.claimTimer)
    await this.giveUp([...this.kept.keys()])
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

  private claimLater(ms: number): void {
    this.claimTimer ??= setTimeout(() => this.claimWaiting(), ms)
  }

  private claimWaiting(): void {
    if (this.claimTimer !== null) clearTimeout(this.claimTimer)
    this.claimTimer = null
    if (this.isClaiming || this.isStopped || this.unclaimed.size === 0) return
    this.isClaiming = true
    const { storage, log } = this.options
    storage.claim([...this.unclaimed]).then(
      (claims) => {
        for (const claim of claims) {
          this.unclaimed.delete(claim.shard)
          void this.recover(claim)
        }
        this.claimed()
      },
      (fault: unknown) => {
        if (!this.isStopped) log.warn({ err: fault }, 'claiming shards failed: tried again')
        this.claimed()
      },
    )
  }

  /** What could not be had is asked for again, at longer and longer intervals. */
  private claimed(): void {
    this.isClaiming = false
    if (this.unclaimed.size === 0) {
      this.claimPauseMs = RETRY_MS_MIN
      return
    }
    this.claimLater(this.claimPauseMs)
    this.claimPauseMs = Math.min(this.claimPauseMs * 2, RETRY_MS_MAX)
  }

  private async recover(claim: Claim): Promise<void> {
    const { shard } = claim
    const kept = this.kept.get(shard)
    if (kept === undefined || kept.state !== 'taking') return
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
    const pauseMs = Math.min(RETRY_MS_MIN * 2 ** ++kept.failures, RECOVERY_PAUSE_MS_MAX)
    const isFinal = fault instanceof StorageFault && !fault.retryable && fault.code !== 'fenced'
    const fields = { shard, err: fault, pauseMs }
    if (isFinal) log.error(fields, 'a shard can not be recovered: tried again, others are served')
    else log.warn(fields, 'recovering a shard failed: tried again')
    this.after(pauseMs, () => {
      if (this.kept.get(shard) !== kept || kept.state !== 'taking') return
      this.unclaimed.add(shard)
      this.claimWaiting()
    })
  }

  private async load(kept: Kept, claim: Claim): Promise<void> {
    const { storage, runner, clock, log: logger, isHolderAlive, decodeBatch } = this.options
    const startMs = clock.nowMs()
    const restore = new Restore(claim.shard, decodeBatch, runner.spareMemory)
    const loaded = await storage.load(claim, restore)
    const { state } = restore
    const firstSeq = Math.max(loaded.reservedTo, state.nextSeq, FIRST_SEQUENCE)
    kept.reservedTo = firstSeq + SEQUENCE_BLOCK
    const reserved = await storage.reserve(claim, kept.reservedTo)
    if (reserved === 'fenced' || kept.state !== 'taking') return this.forget(kept)
    const log = this.options.openLog(claim, loaded, this.listenerOf(kept))
    kept.log = log
    const shard = Shard.resume(state, kept.reservedTo, runner.portsFor(log))
    if (loaded.foreign) this.foreign.add(claim.shard)
    const isAlive = this.foreign.has(claim.shard) ? () => false : isHolderAlive
    shard.ownedFrom(firstSeq, claim.epoch * TOKENS_PER_EPOCH, isAlive, clock.nowMs())
    log.flush()
    await log.drained()
    if (kept.state !== 'taking' || this.kept.get(claim.shard) !== kept) return
    if (log.durableMark !== log.mark) throw new StorageFault('unsettled', 'not on record', true)
    this.foreign.delete(claim.shard)
    kept.state = 'serving'
    kept.failures = 0
    runner.adopt(shard, log)
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
    const { shard, log: journal } = kept
    const { log, hold } = this.options
    log.error({ shard, err: fault }, 'the database refuses what a shard did: it is read anew')
    if (journal !== null && isFound) {
      const first = fault.code === 'lost' ? refusals.unavailable : refusals.storageRefused
      hold.drop(journal, refusals.unavailable, first)
    } else if (journal !== null) hold.drop(journal, refusals.notStored)
    this.forget(kept)
    this.take([shard])
  }

  private drop(kept: Kept, refusal: Refusal): void {
    if (kept.log !== null) this.options.hold.drop(kept.log, refusal)
    this.forget(kept)
    this.options.gone([kept.shard])
  }

  private forget(kept: Kept): void {
    const { runner } = this.options
    if (this.kept.get(kept.shard) !== kept) return
    this.kept.delete(kept.shard)
    this.unclaimed.delete(kept.shard)
    if (kept.isStalled) this.stalled--
    if (kept.stallTimer !== null) clearTimeout(kept.stallTimer)
    this.bounceWaits(kept)
    runner.disown(kept.shard)
    void kept.log?.stop()
    this.options.changed()
  }

  private async leave(shard: ShardId): Promise<void> {
    const kept = this.kept.get(shard)
    if (kept === undefined || kept.state === 'leaving') return
    const { storage, log, hold, runner } = this.options
    kept.state = 'leaving'
    runner.halt(shard)
    this.options.changed()
    this.bounceWaits(kept)
    if (kept.log !== null) {
      kept.log.flush()
      await kept.log.drained()
      await kept.log.stop()
      hold.durable(kept.log)
      hold.drop(kept.log, refusals.notStored)
    }
    if (kept.claim !== null) {
      await storage.release(kept.claim).catch((fault: unknown) => {
        log.warn(
          { shard, err: fault },
          'a shard could not be released: it is free when the lease ends',
        )
      })
    }
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
