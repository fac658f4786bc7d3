// Makes a shard's state of what was stored: a checkpoint (snapshot.ts) and the journal's batches behind it.
//
//   meta ──▶ job, job, … ──▶ checkpointEnded ──▶ batch, batch, …        without a checkpoint: batches only
//
// 1. Rows may come in any order. What follows from them all (counters, what is ready, keys, holders) is derived in one
//    walk over the pages when they are through: quicker than job by job, and in order of the ids, which is how
//    ready queues are smallest.
// 2. Timers are left out: whoever serves the shard derives them (resume.ts), a checkpoint needs none.
// 3. What does not fit together is a fault (`corrupt`): a shard that is half loaded is never served.

import { type JobId, type Seq, type ShardId, seqOfId, shardOfId } from './job-id.ts'
import {
  type JobPage,
  JobState,
  openLeases,
  openOptions,
  openProgress,
  openResults,
  openStartedAt,
  openTokens,
  PAGE_BYTES,
  PAGE_ROWS,
  RowFlag,
  rowOf,
  stateNames,
} from './job-store.ts'
import type { Queue } from './queue.ts'
import { Replay } from './replay.ts'
import { readMeta } from './restore-meta.ts'
import { ShardState } from './shard-state.ts'
import type { Rest } from './snapshot.ts'
import { SpareMemory } from './spare-memory.ts'
import { type JobRow, type ShardReader, StorageFault } from './storage-port.ts'

/** Hands out the records of one batch, in order. */
export type BatchDecoder = (bytes: Buffer, each: (record: Buffer) => void) => void

/** Nothing was recorded before it. */
const FIRST_SEQ = 1

export class Restore implements ShardReader {
  readonly state: ShardState
  private readonly replay: Replay
  private readonly decode: BatchDecoder
  private stage: 'meta' | 'jobs' | 'batches' = 'meta'
  /** The queue of the last row. */
  private queue: Queue | undefined

  constructor(
    shard: ShardId,
    decode: BatchDecoder,
    spare: SpareMemory<JobPage> = new SpareMemory(PAGE_BYTES),
  ) {
    this.state = new ShardState(shard, FIRST_SEQ, spare)
    this.state.due.suspended = true
    this.replay = new Replay(this.state)
    this.decode = decode
  }

  meta(bytes: Buffer): void {
    this.enter('jobs', this.stage === 'meta')
    guarded('the meta of its checkpoint', this.state, () => readMeta(this.state, bytes))
  }

  job(row: JobRow): void {
    if (this.stage !== 'jobs') throw corrupt(this.state, `job ${row.id} is out of place`)
    const { state } = this
    const seq = seqOfId(row.id)
    if (shardOfId(row.id) !== state.shard || !state.wasIssued(seq) || state.jobs.find(seq)) {
      throw corrupt(state, `job ${row.id} is not of this checkpoint, or twice in it`)
    }
    if (this.queue?.name !== row.queue) this.queue = state.queuesByName.get(row.queue)
    if (this.queue === undefined) throw corrupt(state, `job ${row.id} is of an unknown queue`)
    const page = state.jobs.open(seq)
    const at = rowOf(seq)
    page.state[at] = stateOf(row.state)
    if (page.state[at] === JobState.none) throw corrupt(state, `job ${row.id} is in no state`)
    state.jobs.added(page, 1)
    page.flags[at] = 0
    page.queue[at] = this.queue.no
    setCells(page, at, row)
    setPayloads(state, page, seq, row)
    if (row.rest !== null) setRare(state, page, seq, row.rest)
  }

  checkpointEnded(): void {
    if (this.stage === 'batches') throw corrupt(this.state, 'its checkpoint ends twice')
    if (this.stage === 'jobs') deriveAll(this.state)
    this.stage = 'batches'
  }

  batch(bytes: Buffer): void {
    this.enter('batches', this.stage !== 'jobs')
    guarded('a batch of its journal', this.state, () => {
      this.decode(bytes, (record) => this.replay.apply(record))
    })
  }

  private enter(stage: 'jobs' | 'batches', allowed: boolean): void {
    if (!allowed) throw corrupt(this.state, `${stage} are out of place`)
    this.stage = stage
  }
}

/** Of the row's numbers. Cells of a page that few jobs need are cleared: pages are re-used. */
function setCells(page: JobPage, at: number, row: JobRow): void {
  page.priority[at] = row.priority
  page.attempts[at] = row.attempts
  page.maxAttempts[at] = row.maxAttempts
  page.createdAt[at] = row.createdAtMs
  page.runAt[at] = row.runAtMs
  if (row.startedAtMs !== 0 || page.startedAt !== null) openStartedAt(page)[at] = row.startedAtMs
  if (row.token !== 0 || page.token !== null) openTokens(page)[at] = row.token
  if (row.progress !== 0 || page.progress !== null) openProgress(page)[at] = row.progress
  if (row.backoffMs !== 0 || row.ttlMs !== 0 || row.timeoutMs !== 0 || page.options !== null) {
    const options = openOptions(page)
    options.backoff[at] = row.backoffMs
    options.ttl[at] = row.ttlMs
    options.timeout[at] = row.timeoutMs
  }
  if (row.leaseMs === 0 && row.holder === 0) return
  const leases = openLeases(page)
  leases.lengthMs[at] = row.leaseMs
  leases.untilMs[at] = row.leaseUntilMs
  leases.timerMs[at] = row.leaseUntilMs + 1
  leases.holder[at] = row.holder
  if (row.leaseMs !== 0) page.flags[at] = (page.flags[at] as number) | RowFlag.leased
  if (row.holder !== 0) page.flags[at] = (page.flags[at] as number) | RowFlag.held
}

function setPayloads(state: ShardState, page: JobPage, seq: Seq, row: JobRow): void {
  const { payloads } = state
  const { data, result } = row
  const at = rowOf(seq)
  payloads.put(data, 0, data.length, seq, 1)
  payloads.addLive(payloads.slabNo, data.length)
  page.slab[at] = payloads.slabNo
  page.from[at] = payloads.offset
  page.length[at] = data.length
  if (result === null) return
  payloads.put(result, 0, result.length, seq, 1)
  payloads.addLive(payloads.slabNo, result.length)
  const results = openResults(page)
  results.slab[at] = payloads.slabNo
  results.from[at] = payloads.offset
  results.length[at] = result.length
  page.flags[at] = (page.flags[at] as number) | RowFlag.result
}

function setRare(state: ShardState, page: JobPage, seq: Seq, text: string): void {
  const rest = guarded('the rest of a job', state, () => JSON.parse(text) as Rest)
  const rare = state.jobs.openRare(page, seq)
  rare.uniqueKey = rest.unique_key ?? null
  rare.dependsOn = rest.depends_on ?? null
  rare.openParents = rest.waits_for === undefined ? null : new Set<JobId>(rest.waits_for)
  rare.tags = rest.tags ?? null
  rare.message = rest.message ?? null
  rare.error = rest.error ?? null
  state.jobs.weigh(rare)
}

/** What follows from all rows together. */
function deriveAll(state: ShardState): void {
  const ready = new ReadyRuns(state)
  const held: [token: number, holder: number, seq: Seq][] = []
  let completed = 0
  let dead = 0
  for (const page of state.jobs.pagesInOrder()) {
    for (let at = 0; at < PAGE_ROWS; at++) {
      const rowState = page.state[at] as JobState
      if (rowState === JobState.none) continue
      const queue = state.queueOf(page.queue[at] as number)
      switch (rowState) {
        case JobState.waiting:
          ready.add(page, at)
          continue
        case JobState.delayed:
          queue.delayed++
          state.delayed++
          break
        case JobState.active:
          queue.active++
          state.active++
          if (((page.flags[at] as number) & RowFlag.held) !== 0) held.push(heldBy(page, at))
          break
        case JobState.parked:
          queue.parked++
          state.parked++
          state.parkedSeqs.add(page.firstSeq + at)
          break
        case JobState.completed:
          queue.finished++
          state.finishedBytes += keptBytes(page, at)
          completed++
          continue
        case JobState.failed:
          dead++
          if (!queue.dead.has(page.firstSeq + at))
            throw corrupt(state, 'a dead letter is in no list')
          break
      }
    }
  }
  ready.end()
  state.dead = dead
  // In the order of their delivery, which is the order in which they are given back.
  held.sort((a, b) => a[0] - b[0])
  for (const [, holder, seq] of held) state.holders.add(holder, seq)
  deriveKeys(state)
  checkLists(state, completed)
}

/** Jobs that are ready, gathered to runs of the same queue, priority and time. */
class ReadyRuns {
  private readonly state: ShardState
  private first: Seq = -1
  private count = 0
  private queueNo = 0
  private priority = 0
  private runAt = 0

  constructor(state: ShardState) {
    this.state = state
  }

  add(page: JobPage, at: number): void {
    const seq = page.firstSeq + at
    const queueNo = page.queue[at] as number
    const priority = page.priority[at] as number
    const runAt = page.runAt[at] as number
    if (
      seq === this.first + this.count &&
      queueNo === this.queueNo &&
      priority === this.priority &&
      runAt === this.runAt
    ) {
      this.count++
      return
    }
    this.end()
    this.first = seq
    this.count = 1
    this.queueNo = queueNo
    this.priority = priority
    this.runAt = runAt
  }

  end(): void {
    const { state, first, count, priority, runAt } = this
    if (count === 0) return
    state.queueOf(this.queueNo).ready.addRun(first, count, priority, runAt)
    state.waiting += count
    this.count = 0
  }
}

/** A key is held until its job is finished; a dead letter holds its own. */
function deriveKeys(state: ShardState): void {
  for (const [seq, { uniqueKey }] of state.jobs.rare) {
    if (uniqueKey === null) continue
    const page = state.jobs.get(seq)
    const at = rowOf(seq)
    if (page.state[at] === JobState.completed) continue
    state.queueOf(page.queue[at] as number).keys.set(uniqueKey, seq)
  }
}

/** The meta's lists name these very jobs. */
function checkLists(state: ShardState, completed: number): void {
  let listed = 0
  for (const queue of state.queuesByName.values()) listed += queue.dead.size
  if (listed !== state.dead) throw corrupt(state, 'dead letters are missing')
  if (completed !== state.finished.count) throw corrupt(state, 'finished jobs are missing')
  state.finished.eachRun((first, count) => {
    for (let seq = first; seq < first + count; seq++) {
      if (state.jobs.stateOf(seq) !== JobState.completed) {
        throw corrupt(state, 'a finished job is missing')
      }
    }
  })
}

function heldBy(page: JobPage, at: number): [token: number, holder: number, seq: Seq] {
  return [page.token?.[at] as number, page.leases?.holder[at] as number, page.firstSeq + at]
}

function keptBytes(page: JobPage, at: number): number {
  const hasResult = ((page.flags[at] as number) & RowFlag.result) !== 0
  return (page.length[at] as number) + (hasResult ? (page.results?.length[at] as number) : 0)
}

function stateOf(name: string): JobState {
  const state = (stateNames as readonly string[]).indexOf(name)
  return (state === -1 ? JobState.none : state) as JobState
}

/** What `action` throws is a fault of what was stored. */
function guarded<T>(what: string, state: ShardState, action: () => T): T {
  try {
    return action()
  } catch (error) {
    if (error instanceof StorageFault) throw error
    throw corrupt(state, `${what} can't be read`, error)
  }
}

function corrupt(state: ShardState, text: string, cause?: unknown): StorageFault {
  return new StorageFault('corrupt', `shard ${state.shard}: ${text}`, false, cause)
}
