// What a storage gives back of a shard, and what there is to store: the records of a real one.

import { Restore } from '../../src/engine/restore.ts'
import type { ShardState } from '../../src/engine/shard-state.ts'
import { jobRows } from '../../src/engine/snapshot.ts'
import { dumpState } from '../../src/engine/state-dump.ts'
import type { Batch, JobRow, ShardReader } from '../../src/engine/storage-port.ts'
import { RecordBatchWriter, readRecordBatch } from '../../src/storage/record-batch.ts'
import { EngineHarness, queueOfShard } from './engine-harness.ts'

export function batchAt(position: number, side: number, records: readonly Buffer[]): Batch {
  const writer = new RecordBatchWriter()
  for (const record of records) writer.append(record)
  return { position, side, count: records.length, bytes: writer.seal() }
}

export function textBatch(position: number, side: number, ...records: string[]): Batch {
  return batchAt(
    position,
    side,
    records.map((record) => Buffer.from(record)),
  )
}

/** Keeps what it is given, in order. */
export class Collector implements ShardReader {
  readonly calls: string[] = []
  readonly rows: JobRow[] = []
  /** As text. */
  readonly records: string[] = []

  meta(): void {
    this.called('meta')
  }

  job(row: JobRow): void {
    this.called('job')
    this.rows.push(copyOf(row))
  }

  checkpointEnded(): void {
    this.called('checkpointEnded')
  }

  batch(bytes: Buffer): void {
    this.called('batch')
    readRecordBatch(bytes, (record) => void this.records.push(record.toString()))
  }

  private called(what: string): void {
    if (this.calls.at(-1) !== what) this.calls.push(what)
  }
}

export function restoreOf(shard: number): Restore {
  return new Restore(shard, readRecordBatch)
}

/** In order of id, as the state would be stored. */
export function rowsOf(state: ShardState): JobRow[] {
  return sortedById(Array.from(jobRows(state), copyOf))
}

export function sortedById(rows: readonly JobRow[]): JobRow[] {
  return [...rows].sort((a, b) => a.id - b.id)
}

function copyOf(row: JobRow): JobRow {
  const result = row.result === null ? null : Buffer.from(row.result)
  return { ...row, data: Buffer.from(row.data), result }
}

/** A shard with jobs in every state, whose records can be stored in pieces. */
export class LivingShard {
  readonly shard: number
  readonly queue: string
  readonly engine = new EngineHarness({ records: true, retention: { count: 3 } })
  private stored = 0

  constructor(shard: number) {
    this.shard = shard
    this.queue = queueOfShard(shard)
  }

  get state(): ShardState {
    return this.engine.shardOf(this.queue).state
  }

  dump(): string {
    return dumpState(this.state)
  }

  /** Records since the last call. */
  newRecords(): Buffer[] {
    const all = this.engine.records[this.shard] as Buffer[]
    const fresh = all.slice(this.stored)
    this.stored = all.length
    return fresh
  }

  /** Jobs come into every state, others leave; different ones each round. */
  live(round: number): void {
    const { engine: q, queue } = this
    const odd = `${queue}-${round}`
    q.pull(queue, { lease: 60_000, release_on_close: true })
    q.push(queue, { round, odd: 'NUL \u0000, half \ud800, ü' }, { priority: -3, tags: ['a\u0000'] })
    q.push(queue, odd, { unique_key: `key ${round} \u0000 \ud800`, backoff: 5, max_attempts: 9 })
    q.push(queue, 1e308, { delay: 1e9 + round, ttl: 2e9, timeout: 3e9 })
    q.push(queue, 'child', { depends_on: [q.push(queue, 'parent', { delay: 5e9 })] })
    const done = q.push(queue, 'done', { priority: 100 })
    q.pull(queue)
    q.ack(done, { result: { done, text: '\u0000' } })
    const dead = q.push(queue, 'dead', { priority: 100, max_attempts: 1 })
    q.pull(queue, { token: true })
    q.fail(dead, 'böse \u0000 \ud800')
    const busy = q.push(queue, 'busy', { priority: 100 })
    q.pull(queue, { token: true, lease: 60_000, release_on_close: true }, 2 ** 40 + round)
    q.send({ cmd: 'PROGRESS', id: busy, progress: 40, message: 'half \u0000' })
    q.send({ cmd: 'SETCONCURRENCY', queue, limit: 1000 + round })
    q.send({ cmd: 'RATELIMIT', queue, limit: 5000 + round })
    const cron = { cmd: 'CRON', name: queue, queue, schedule: '0 0 1 1 *', data: { round } }
    q.send({ ...cron, priority: round })
    q.advance(10)
  }
}
