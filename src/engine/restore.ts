// Makes a shard's state of what was stored: a checkpoint (snapshot.ts) and the journal's batches behind it.
//
//   meta ──▶ job, job, … ──▶ checkpointEnded ──▶ batch, batch, …        without a checkpoint: batches only
//
// 1. Rows may come in any order. What follows from them all (counters, what is ready, keys, holders) is derived in one
//    walk over the pages when they are through: quicker than job by job, and in order of the ids, which is how
//    ready queues are smallest.
// 2. Timers are left out: whoever serves the shard derives them (resume.ts), a checkpoint needs none.
// 3. What does not fit together is a fault (`corrupt`): a shard that is half loaded is never served.

import { isConfirmation, isUnleasedDelivery, type Unconfirmed } from './confirmation.ts'
import { corrupt, guarded } from './corrupt.ts'
import { type JobId, type Seq, type ShardId, seqOfId, shardOfId } from './job-id.ts'
import { JobLog } from './job-log.ts'
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
  RowFlag,
  rowOf,
  stateNames,
} from './job-store.ts'
import type { Queue } from './queue.ts'
import { Replay } from './replay.ts'
import { deriveFromRows } from './restore-derived.ts'
import { readMeta } from './restore-meta.ts'
import { ShardState } from './shard-state.ts'
import type { Rest } from './snapshot.ts'
import { SpareMemory } from './spare-memory.ts'
import type { JobRow, ShardReader } from './storage-port.ts'

/** Hands out the records of one batch, in order. */
export type BatchDecoder = (bytes: Buffer, each: (record: Buffer) => void) => void

/** Nothing was recorded before it. */
const FIRST_SEQ = 1

export class Restore implements ShardReader {
  readonly state: ShardState
  private previousBatch: Unconfirmed[] = []
  private lastBatch: Unconfirmed[] = []
  private readonly replay: Replay
  private readonly decode: BatchDecoder
  private stage: 'meta' | 'jobs' | 'batches' = 'meta'
  /** As many as the meta says. */
  private rows = 0
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

  /** Jobs handed out without a lease that may have reached nobody. */
  get unconfirmed(): readonly Unconfirmed[] {
    return [...this.previousBatch, ...this.lastBatch]
  }

  meta(bytes: Buffer): void {
    this.enter('jobs', this.stage === 'meta')
    const read = (): number => readMeta(this.state, bytes)
    this.rows = guarded('the meta of its checkpoint', this.state, read)
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
    const { live } = this.state.jobs
    if (live !== this.rows) throw corrupt(this.state, `${live} of ${this.rows} jobs are there`)
    if (this.stage === 'jobs') deriveFromRows(this.state)
    this.stage = 'batches'
  }

  batch(bytes: Buffer): void {
    this.enter('batches', this.stage !== 'jobs')
    this.previousBatch = this.lastBatch
    this.lastBatch = []
    guarded('a batch of its journal', this.state, () => {
      this.decode(bytes, (record) => {
        this.replay.apply(record)
        if (isUnleasedDelivery(record)) this.noteDelivery()
        else if (isConfirmation(record)) this.noteConfirmation()
      })
    })
  }

  private noteDelivery(): void {
    const { taken } = this.replay
    for (let i = 0; i < taken.count; i++) {
      const seq = taken.seqs[i] as Seq
      const token = this.state.jobs.find(seq)?.token?.[rowOf(seq)] ?? 0
      this.lastBatch.push({ seq, token })
    }
  }

  private noteConfirmation(): void {
    this.previousBatch = []
    this.lastBatch = []
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
  const isActive = page.state[at] === JobState.active
  const token = isActive ? row.token : row.finishedAtMs
  if (token !== 0 || page.token !== null) openTokens(page)[at] = token
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
  if (rest.logs !== undefined) {
    rare.logs = new JobLog()
    for (const [atMs, line] of rest.logs) rare.logs.add(atMs, line)
    rare.logs.dropped = rest.logs_dropped ?? 0
  }
  state.jobs.weigh(rare)
}

function stateOf(name: string): JobState {
  const state = (stateNames as readonly string[]).indexOf(name)
  return (state === -1 ? JobState.none : state) as JobState
}
