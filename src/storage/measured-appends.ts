// Appends, measured: how long, how much, how often without an answer or refused by the fence.
//
// It stands between the journals of a worker and storage, and changes nothing.

import { LatencyCells } from '../engine/latency-cells.ts'
import {
  type Appended,
  type Batch,
  type Claim,
  type Storage,
  StorageFault,
} from '../engine/storage-port.ts'

export class MeasuredAppends implements Pick<Storage, 'append'> {
  readonly latency = new LatencyCells()
  bytes = 0
  /** Nobody knows whether they happened until they are repeated. */
  unknown = 0
  fenced = 0
  private readonly storage: Pick<Storage, 'append'>
  private readonly nowMs: () => number

  /** `nowMs`: of a monotonic clock. */
  constructor(storage: Pick<Storage, 'append'>, nowMs: () => number = () => performance.now()) {
    this.storage = storage
    this.nowMs = nowMs
  }

  async append(claim: Claim, batch: Batch): Promise<Appended> {
    const sentMs = this.nowMs()
    const { length } = batch.bytes
    try {
      const outcome = await this.storage.append(claim, batch)
      this.latency.observe(this.nowMs() - sentMs)
      if (outcome === 'fenced') this.fenced++
      else this.bytes += length
      return outcome
    } catch (fault) {
      if (fault instanceof StorageFault && fault.retryable) this.unknown++
      throw fault
    }
  }
}
