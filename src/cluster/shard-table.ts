// The primary's table: who owns each shard, since which epoch, and which sequences it may give out.
//
//   sequences of a shard   …───────┬──────── block ────────┬──────── block ────────┬───▶
//                               firstSeq                                       reservedTo
//                               (of the present owner)                    (granted so far)
//
// 1. Sequences are granted in blocks before they are used. A new owner starts at the high-water mark of
//    all grants, so no id is ever used twice, whatever its predecessor did with its grant.
// 2. A fresh node starts its sequences from the calendar, 262,144 a second: without anything on disk, ids of
//    a restarted node still lie above those of the node before, unless a shard took more than that on average.
// 3. `version` rises with every change; workers are told whole tables, and the newest one wins.

import type { Seq, ShardId } from '../engine/job-id.ts'
import { limits } from '../engine/limits.ts'
import { fillGaps, NOBODY, surpluses } from './assignment.ts'

/** Half a second of the calendar: what a new owner skips of its predecessor's grant is soon caught up with. */
const BLOCK_MIN: Seq = 2 ** 17
const BLOCK_MAX: Seq = 2 ** 22
/** A shard that comes back for more sooner than this gets so many times as much: it takes up to 16 million jobs a second. */
const BLOCK_MS_MIN = 250
const BLOCK_GROWTH = 8
const SEQUENCES_PER_SECOND = 2 ** 18
const FIRST_DAY_MS = Date.UTC(2026, 0, 1)

/** What a shard's owner must know to run it. */
export interface Grant {
  readonly shard: ShardId
  readonly firstSeq: Seq
  /** Exclusive. */
  readonly reservedTo: Seq
}

export class ShardTable {
  version = 1
  private owners: number[] = new Array<number>(limits.shards).fill(NOBODY)
  /** Its owner has it: until then nobody is told of the owner. */
  private readonly serving: boolean[] = new Array<boolean>(limits.shards).fill(false)
  /** Owners begin to serve when they say so, not when they are named. */
  private readonly isDurable: boolean
  private readonly epochs: number[] = new Array<number>(limits.shards).fill(0)
  private readonly firstSeqs: Seq[]
  private readonly reservedTos: Seq[]
  private readonly blocks: Seq[] = new Array<Seq>(limits.shards).fill(BLOCK_MIN)
  private readonly grantedAtMs: number[] = new Array<number>(limits.shards).fill(0)

  constructor(nowMs: number, isDurable = false) {
    this.isDurable = isDurable
    const start = firstSequence(nowMs)
    this.firstSeqs = new Array<Seq>(limits.shards).fill(start)
    this.reservedTos = new Array<Seq>(limits.shards).fill(start)
  }

  /** Gives every shard without a live owner a new one; returns those that have one now. */
  reassign(live: readonly number[], takers: readonly number[] = live): ShardId[] {
    const next = fillGaps(this.owners, live, takers)
    const moved: ShardId[] = []
    for (let shard = 0; shard < next.length; shard++) {
      const owner = next[shard] as number
      if (owner === this.owners[shard]) continue
      this.version++
      this.owners[shard] = owner
      this.serving[shard] = !this.isDurable
      if (owner === NOBODY) continue
      this.grantTo(shard)
      moved.push(shard)
    }
    return moved
  }

  /** The owner has recovered it. */
  served(shard: ShardId, worker: number): void {
    if (this.owners[shard] !== worker || this.serving[shard] === true) return
    this.serving[shard] = true
    this.version++
  }

  /** The owner has let go of it. */
  release(shard: ShardId, worker: number): void {
    if (this.owners[shard] !== worker) return
    this.owners[shard] = NOBODY
    this.serving[shard] = false
    this.version++
  }

  /** One more block for a shard whose owner runs out of sequences. */
  reserve(shard: ShardId, worker: number, nowMs: number): void {
    if (this.owners[shard] !== worker) return
    const block = this.blocks[shard] as Seq
    const isSoon = nowMs - (this.grantedAtMs[shard] as number) < BLOCK_MS_MIN
    this.blocks[shard] = isSoon ? Math.min(block * BLOCK_GROWTH, BLOCK_MAX) : block
    this.grantedAtMs[shard] = nowMs
    this.reservedTos[shard] = this.reservedTo(shard) + (this.blocks[shard] as Seq)
    this.version++
  }

  /** Who is alive has changed, and perhaps nobody's shards: workers are told nevertheless. */
  membersChanged(): void {
    this.version++
  }

  get allServed(): boolean {
    return this.serving.every(Boolean)
  }

  get someServed(): boolean {
    return this.serving.some(Boolean)
  }

  surpluses(live: readonly number[]): Map<number, number> {
    return surpluses(this.owners, live)
  }

  /** Those that serve. */
  ownersNow(): number[] {
    return this.owners.map((owner, shard) => (this.serving[shard] === true ? owner : NOBODY))
  }

  epochsNow(): number[] {
    return [...this.epochs]
  }

  shardsOf(worker: number): ShardId[] {
    const shards: ShardId[] = []
    for (let shard = 0; shard < limits.shards; shard++) {
      if (this.owners[shard] === worker) shards.push(shard)
    }
    return shards
  }

  grantsOf(worker: number): Grant[] {
    return this.shardsOf(worker).map((shard) => ({
      shard,
      firstSeq: this.firstSeqs[shard] as Seq,
      reservedTo: this.reservedTo(shard),
    }))
  }

  private grantTo(shard: ShardId): void {
    this.epochs[shard] = (this.epochs[shard] as number) + 1
    this.firstSeqs[shard] = this.reservedTo(shard)
    this.blocks[shard] = BLOCK_MIN
    this.reservedTos[shard] = this.reservedTo(shard) + BLOCK_MIN
  }

  private reservedTo(shard: ShardId): Seq {
    return this.reservedTos[shard] as Seq
  }
}

/** At least 1: a clock before 2026 is wrong, and sequence 0 of shard 0 would be id 0. */
function firstSequence(nowMs: number): Seq {
  return Math.max(1, Math.floor((nowMs - FIRST_DAY_MS) / 1000) * SEQUENCES_PER_SECOND)
}
