// Requests whose shard nobody can serve at the moment: between an owner's death and the next table.
//
// 1. Bounded in bytes, and each held until its deadline at most.
// 2. Requests of one shard leave in the order in which they came: while some are held, the next ones
//    of that shard are held behind them.

import { limits } from '../engine/limits.ts'
import type { Request } from './request.ts'

/** How long a command may wait for an owner. */
export const HELD_MS_MAX = 5000
const RETRY_MS = 50

export class Held {
  private requests: Request[] = []
  private bytes = 0
  private readonly perShard = new Uint32Array(limits.shards + 1)
  private timer: NodeJS.Timeout | null = null
  private readonly retry: () => void

  /** `retry` is called now and then while something is held. */
  constructor(retry: () => void) {
    this.retry = retry
  }

  get isEmpty(): boolean {
    return this.requests.length === 0
  }

  has(shard: number): boolean {
    return this.perShard[shard] !== 0
  }

  /** False when there is no room. The request has its line. */
  add(request: Request): boolean {
    const size = request.line?.length ?? 0
    if (this.bytes + size > limits.linkBacklogBytesMax) return false
    this.requests.push(request)
    this.bytes += size
    this.perShard[request.shard] = (this.perShard[request.shard] as number) + 1
    this.timer ??= setInterval(this.retry, RETRY_MS)
    return true
  }

  takeAll(): Request[] {
    const { requests } = this
    this.requests = []
    this.bytes = 0
    this.perShard.fill(0)
    if (this.timer !== null) clearInterval(this.timer)
    this.timer = null
    return requests
  }

  /** Drops what nobody waits for any more. */
  drop(isDead: (request: Request) => boolean): void {
    for (const request of this.takeAll()) if (!isDead(request)) this.add(request)
  }
}
