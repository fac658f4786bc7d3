// Reads what `metaOf` (snapshot.ts) wrote, into a fresh state.

import { RateLimiter } from './rate-limiter.ts'
import { RecordReader } from './record-bytes.ts'
import type { ShardState } from './shard-state.ts'
import { META_VERSION, QueueFlag } from './snapshot.ts'

const NO_BYTES = Buffer.alloc(0)

/** Returns how many rows go with it. */
export function readMeta(state: ShardState, bytes: Buffer): number {
  const r = new RecordReader(bytes)
  const version = r.u8()
  if (version !== META_VERSION) throw new Error(`meta of version ${version}`)
  const shard = r.uint()
  if (shard !== state.shard) throw new Error(`meta of shard ${shard}`)
  const rows = r.uint()
  state.firstSeq = r.uint()
  state.nextSeq = r.uint()
  state.nextToken = r.f64()
  state.totalPushed = r.uint()
  state.totalCompleted = r.uint()
  state.totalFailed = r.uint()
  state.gaps.read(r)
  state.outcomes.read(r)
  const free: number[] = []
  for (let left = r.uint(); left > 0; left--) free.push(r.uint())
  for (let left = r.uint(); left > 0; left--) readQueue(r, state)
  state.freeQueueNos.push(...free)
  readCrons(r, state)
  for (let left = r.uint(); left > 0; left--) {
    const seq = r.uint()
    state.childrenOf.set(seq, new Set(readSteps(r)))
  }
  readFinished(r, state)
  if (!r.atEnd) readWebhooks(r, state)
  if (!r.atEnd) throw new Error('meta is longer than it should be')
  return rows
}

function readQueue(r: RecordReader, state: ShardState): void {
  const queue = state.openQueue(r.uint(), r.text())
  const flags = r.u8()
  queue.paused = (flags & QueueFlag.paused) !== 0
  queue.used = (flags & QueueFlag.used) !== 0
  if ((flags & QueueFlag.rate) !== 0) {
    queue.rate = new RateLimiter(r.f64(), 0)
    queue.rate.restore(r.f64(), r.f64())
  }
  if ((flags & QueueFlag.concurrency) !== 0) queue.concurrency = r.f64()
  for (const seq of readSteps(r)) queue.dead.add(seq)
}

function readCrons(r: RecordReader, state: ShardState): void {
  state.nextCronNo = r.uint()
  for (let left = r.uint(); left > 0; left--) {
    const no = r.uint()
    const name = r.text()
    const queue = r.text()
    const data = r.text()
    const text = r.text()
    const schedule = { text, everyMs: r.f64() }
    const priority = r.f64()
    const nextRunMs = r.f64()
    const terms = { no, name, queue, data, text, schedule, priority }
    const cron = { ...terms, nextRunMs, sentMs: 0, timerMs: nextRunMs }
    state.crons.set(name, cron)
    state.cronsByNo.set(no, cron)
  }
  for (let left = r.uint(); left > 0; left--) state.cronTicks.set(r.text(), r.f64())
}

function readWebhooks(r: RecordReader, { webhooks, outbox, failingSince }: ShardState): void {
  webhooks.set(r.text())
  for (let left = r.uint(); left > 0; left--) failingSince.set(r.uint(), r.f64())
  const nextNo = r.uint()
  let body = NO_BYTES
  for (let left = r.uint(); left > 0; left--) {
    const head = { no: r.uint(), webhook: r.uint(), event: r.text(), createdAtMs: r.f64() }
    const times = { attempts: r.uint(), nextMs: r.f64(), timerMs: 0 }
    // The meta's bytes are the caller's: they are copied.
    if (r.u8() === 1) body = Buffer.from(r.raw())
    outbox.add({ ...head, ...times, body })
  }
  outbox.nextNo = nextNo
}

function* readSteps(r: RecordReader): Generator<number> {
  let last = 0
  for (let left = r.uint(); left > 0; left--) {
    last += r.sint()
    yield last
  }
}

function readFinished(r: RecordReader, state: ShardState): void {
  const total = r.uint()
  let end = 0
  let finishedAtMs = -1
  while (state.finished.count < total) {
    const seq = end + r.sint()
    const cell = r.uint()
    const count = Math.floor(cell / 2)
    if (cell % 2 === 0) finishedAtMs = r.f64()
    state.finished.add(seq, finishedAtMs, r.uint(), count)
    end = seq + count
  }
}
