// Made-up rows of `job`, for the tests of the checkpoint.

import fc from 'fast-check'
import type { JobRow, ShardReader } from '../../src/engine/storage-port.ts'

const STATES = ['waiting', 'delayed', 'active', 'completed', 'failed', 'waiting-children']

const momentMs = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 8.64e15, noNaN: true }))
const count = fc.oneof(fc.nat(5), fc.integer({ min: 0, max: 0xffff_ffff }))
const blob = fc.oneof(
  fc.constant(Buffer.from('null')),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
)

export const jobRow: fc.Arbitrary<JobRow> = fc.record({
  id: fc.oneof(fc.nat(1000), fc.maxSafeNat()),
  queue: fc.constantFrom('mail', 'почта', 'a.b-c_d', 'q'.repeat(256), '𐐀'.repeat(64)),
  state: fc.constantFrom(...STATES),
  priority: fc.integer(),
  attempts: count,
  maxAttempts: count,
  createdAtMs: momentMs,
  runAtMs: momentMs,
  startedAtMs: momentMs,
  finishedAtMs: momentMs,
  backoffMs: momentMs,
  ttlMs: momentMs,
  timeoutMs: momentMs,
  progress: fc.nat(100),
  token: fc.maxSafeNat(),
  leaseMs: momentMs,
  leaseUntilMs: momentMs,
  holder: fc.maxSafeNat(),
  data: blob,
  result: fc.option(blob),
  rest: fc.option(fc.string({ unit: 'grapheme', maxLength: 100 })),
})

/** Keeps what it is handed, and in which order. */
export class KeptRows implements ShardReader {
  metaBytes: Buffer | null = null
  readonly rows: JobRow[] = []
  readonly batches: Buffer[] = []
  readonly calls: string[] = []

  meta(bytes: Buffer): void {
    this.note('meta')
    this.metaBytes = Buffer.from(bytes)
  }

  job(row: JobRow): void {
    this.note('job')
    const { data, result } = row
    this.rows.push({
      ...row,
      data: Buffer.from(data),
      result: result === null ? null : Buffer.from(result),
    })
  }

  checkpointEnded(): void {
    this.note('ended')
  }

  batch(bytes: Buffer): void {
    this.note('batch')
    this.batches.push(Buffer.from(bytes))
  }

  /** Runs of the same call count once. */
  private note(call: string): void {
    if (this.calls.at(-1) !== call) this.calls.push(call)
  }
}
