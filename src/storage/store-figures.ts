// What a worker's journals and checkpoints come to, in numbers, for metrics and health.

import type { LatencyCells } from '../engine/latency-cells.ts'
import type { Backlog } from './backlog.ts'
import type { Journal } from './journal.ts'
import type { MeasuredAppends } from './measured-appends.ts'

export interface StoreFigures {
  readonly appendLatency: LatencyCells
  readonly appendedBytes: number
  readonly unknownCommits: number
  readonly fencedWrites: number
  readonly backlogBytes: number
  readonly behindCheckpointBytes: number
  /** Of the oldest checkpoint that has journal behind it; 0 when none has. */
  readonly checkpointAgeMs: number
  readonly checkpoints: number
  readonly checkpointFailures: number
  /** Shards whose journal waits for the database. */
  readonly stalled: number
}

/** The journals that are open, and what happened to them. */
export class StoreAccount {
  checkpoints = 0
  checkpointFailures = 0
  private readonly appends: MeasuredAppends
  private readonly backlog: Backlog
  private readonly nowMs: () => number
  private readonly journals = new Map<number, Journal>()
  private readonly stalled = new Set<number>()
  /** When the last checkpoint was made, or the shard was loaded. */
  private readonly checkpointMs = new Map<number, number>()

  constructor(appends: MeasuredAppends, backlog: Backlog, nowMs: () => number) {
    this.appends = appends
    this.backlog = backlog
    this.nowMs = nowMs
  }

  opened(journal: Journal): void {
    const { shard } = journal.claim
    this.journals.set(shard, journal)
    this.stalled.delete(shard)
    this.checkpointMs.set(shard, this.nowMs())
  }

  ended(shard: number): void {
    this.journals.delete(shard)
    this.stalled.delete(shard)
    this.checkpointMs.delete(shard)
  }

  setStalled(shard: number, isStalled: boolean): void {
    if (isStalled) this.stalled.add(shard)
    else this.stalled.delete(shard)
  }

  checkpointMade(shard: number): void {
    this.checkpoints++
    if (this.journals.has(shard)) this.checkpointMs.set(shard, this.nowMs())
  }

  figures(): StoreFigures {
    const { appends, backlog } = this
    const nowMs = this.nowMs()
    let behindCheckpointBytes = 0
    let checkpointAgeMs = 0
    for (const [shard, { journalBytes }] of this.journals) {
      behindCheckpointBytes += journalBytes
      if (journalBytes === 0) continue
      checkpointAgeMs = Math.max(checkpointAgeMs, nowMs - (this.checkpointMs.get(shard) ?? nowMs))
    }
    return {
      appendLatency: appends.latency,
      appendedBytes: appends.bytes,
      unknownCommits: appends.unknown,
      fencedWrites: appends.fenced,
      backlogBytes: backlog.bytes,
      behindCheckpointBytes,
      checkpointAgeMs,
      checkpoints: this.checkpoints,
      checkpointFailures: this.checkpointFailures,
      stalled: this.stalled.size,
    }
  }
}
