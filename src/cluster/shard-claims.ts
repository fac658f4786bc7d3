// Shards that are wanted and not claimed yet: asked for again until they are had.
//
//   want ─▶ claim ─▶ had ─▶ `claimed`            not had, or a fault: again, at longer and longer intervals; `wake`: at once
//                    └─▶ nobody wants it any more: `release`
//
// One call is under way at a time, for all of them.

import type { ShardId } from '../engine/job-id.ts'
import type { Claim, Storage } from '../engine/storage-port.ts'
import type { Log } from './log.ts'

const PAUSE_MS_MIN = 50
const PAUSE_MS_MAX = 1000

export interface ClaimsOptions {
  readonly storage: Pick<Storage, 'claim' | 'release'>
  readonly log: Log
  claimed(claim: Claim): void
}

export class ShardClaims {
  private readonly options: ClaimsOptions
  private readonly wanted = new Set<ShardId>()
  private calling: Promise<void> | null = null
  private timer: NodeJS.Timeout | null = null
  private pauseMs = PAUSE_MS_MIN
  private isStopped = false

  constructor(options: ClaimsOptions) {
    this.options = options
  }

  want(shards: readonly ShardId[]): void {
    for (const shard of shards) this.wanted.add(shard)
    this.ask()
  }

  forget(shard: ShardId): void {
    this.wanted.delete(shard)
  }

  /** Some may be free now. */
  wake(): void {
    this.ask()
  }

  /** Resolves when no call is under way, and what it brought is free again. */
  async stop(): Promise<void> {
    this.isStopped = true
    this.wanted.clear()
    if (this.timer !== null) clearTimeout(this.timer)
    await this.calling
  }

  /** Never rejects: what can't be told is free when the lease of this node ends. */
  async release(claim: Claim): Promise<void> {
    const { storage, log } = this.options
    await storage.release(claim).catch((fault: unknown) => {
      const fields = { shard: claim.shard, err: fault }
      log.warn(fields, 'a shard could not be released: it is free when the lease ends')
    })
  }

  private ask(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    if (this.calling !== null || this.isStopped || this.wanted.size === 0) return
    const { storage, log } = this.options
    this.calling = storage.claim([...this.wanted]).then(
      (claims) => this.answered(claims),
      (fault: unknown) => {
        if (!this.isStopped) log.warn({ err: fault }, 'claiming shards failed: tried again')
        return this.answered([])
      },
    )
  }

  private async answered(claims: readonly Claim[]): Promise<void> {
    this.calling = null
    const strays: Claim[] = []
    for (const claim of claims) {
      if (this.wanted.delete(claim.shard)) this.options.claimed(claim)
      else strays.push(claim)
    }
    if (this.wanted.size === 0) this.pauseMs = PAUSE_MS_MIN
    else {
      this.timer = setTimeout(() => this.ask(), this.pauseMs)
      this.pauseMs = Math.min(this.pauseMs * 2, PAUSE_MS_MAX)
    }
    await Promise.all(strays.map((claim) => this.release(claim)))
  }
}
