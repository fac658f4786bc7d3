// A storage whose appends a test settles one by one, and that keeps what it has stored as PostgreSQL would:
// a position once, whatever the caller was told.

import {
  type Appended,
  type Batch,
  type Claim,
  StorageFault,
} from '../../src/engine/storage-port.ts'
import { readRecordBatch } from '../../src/storage/record-batch.ts'

export type Outcome = 'durable' | 'lost' | 'lost-reply' | 'refused' | 'fenced'

export interface StoredBatch {
  readonly side: number
  readonly records: readonly string[]
}

export class AppendDesk {
  readonly stored = new Map<number, StoredBatch>()
  /** Every attempt, in order. */
  readonly attempts: Batch[] = []
  /** The append that is under way. */
  batch: Batch | null = null
  private resolve: (appended: Appended) => void = () => {}
  private reject: (fault: StorageFault) => void = () => {}

  append(_claim: Claim, batch: Batch): Promise<Appended> {
    if (this.batch !== null) throw new Error('two appends are under way')
    this.batch = batch
    this.attempts.push({ ...batch, bytes: Buffer.from(batch.bytes) })
    return new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }

  /** Settles the append; what follows from it has happened when this resolves. */
  async settle(outcome: Outcome): Promise<void> {
    const { batch } = this
    if (batch === null) throw new Error('no append is under way')
    this.batch = null
    if (outcome === 'durable' || outcome === 'lost-reply') this.store(batch)
    if (outcome === 'durable' || outcome === 'fenced') this.resolve(outcome)
    else this.reject(faultOf(outcome))
    await turnOfPromises()
  }

  /** In order of position. */
  records(): string[] {
    return [...this.stored].sort(([a], [b]) => a - b).flatMap(([, { records }]) => [...records])
  }

  private store(batch: Batch): void {
    if (this.stored.has(batch.position)) return
    const records = recordsOf(batch.bytes)
    if (records.length !== batch.count) throw new Error('the count is wrong')
    this.stored.set(batch.position, { side: batch.side, records })
  }
}

export function recordsOf(bytes: Buffer): string[] {
  const records: string[] = []
  readRecordBatch(bytes, (record) => void records.push(record.toString()))
  return records
}

/** Until every promise that is settled by now has been heard. */
async function turnOfPromises(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

function faultOf(outcome: Outcome): StorageFault {
  if (outcome === 'refused') return new StorageFault('22P05', 'cannot be stored', false)
  return new StorageFault('08006', 'connection lost', true)
}
