// Jobs to be rendered: the real store and payloads, filled by hand.

import { jobIdOf, type Seq } from '../../src/engine/job-id.ts'
import {
  JobState,
  JobStore,
  openOptions,
  openProgress,
  openResults,
  openStartedAt,
  type RareFields,
  RowFlag,
  rowOf,
} from '../../src/engine/job-store.ts'
import { PayloadStore } from '../../src/engine/payload-store.ts'
import type { JobSource, SeqList } from '../../src/engine/ports.ts'

export interface JobSpec {
  queue?: string
  /** Raw JSON. */
  data?: string
  priority?: number
  createdAt?: number
  runAt?: number
  startedAt?: number
  attempts?: number
  maxAttempts?: number
  backoff?: number
  ttl?: number
  timeout?: number
  progress?: number
  /** Raw JSON. */
  result?: string
  rare?: Partial<RareFields>
}

export const NOW_MS = 1_760_000_000_123

export class FakeJobSource implements JobSource {
  readonly shard = 5
  readonly jobs = new JobStore()
  readonly payloads = new PayloadStore()
  private readonly names: string[] = []
  private nextSeq: Seq

  constructor(firstSeq: Seq = 1000) {
    this.nextSeq = firstSeq
  }

  queueName(queueNo: number): string {
    return this.names[queueNo] ?? ''
  }

  add(spec: JobSpec = {}): Seq {
    const seq = this.nextSeq++
    const { jobs } = this
    const page = jobs.open(seq)
    const row = rowOf(seq)
    page.state[row] = JobState.active
    jobs.added(page, 1)
    page.queue[row] = this.queueNo(spec.queue ?? 'orders')
    page.priority[row] = spec.priority ?? 0
    page.createdAt[row] = spec.createdAt ?? NOW_MS
    page.runAt[row] = spec.runAt ?? spec.createdAt ?? NOW_MS
    page.attempts[row] = spec.attempts ?? 0
    page.maxAttempts[row] = spec.maxAttempts ?? 0
    const data = this.put(seq, spec.data ?? '{"n":1}')
    page.slab[row] = data.slab
    page.from[row] = data.from
    page.length[row] = data.length
    if (spec.startedAt !== undefined) openStartedAt(page)[row] = spec.startedAt
    if (spec.progress !== undefined) openProgress(page)[row] = spec.progress
    if (spec.backoff || spec.ttl || spec.timeout) {
      const options = openOptions(page)
      options.backoff[row] = spec.backoff ?? 0
      options.ttl[row] = spec.ttl ?? 0
      options.timeout[row] = spec.timeout ?? 0
    }
    if (spec.result !== undefined) {
      const result = this.put(seq, spec.result)
      const results = openResults(page)
      results.slab[row] = result.slab
      results.from[row] = result.from
      results.length[row] = result.length
      page.flags[row] = (page.flags[row] ?? 0) | RowFlag.result
    }
    if (spec.rare !== undefined) Object.assign(jobs.openRare(page, seq), spec.rare)
    return seq
  }

  list(...seqs: Seq[]): SeqList {
    return { seqs: Float64Array.from([...seqs, -1, -1]), count: seqs.length }
  }

  /** JOB as it must look on the wire. */
  expected(seq: Seq, spec: JobSpec = {}, token?: number): string {
    const { rare = {} } = spec
    const createdAt = spec.createdAt ?? NOW_MS
    const rest = JSON.stringify({
      priority: spec.priority ?? 0,
      created_at: createdAt,
      run_at: spec.runAt ?? createdAt,
      started_at: spec.startedAt ?? 0,
      attempts: spec.attempts ?? 0,
      max_attempts: spec.maxAttempts ?? 0,
      backoff: spec.backoff ?? 0,
      ttl: spec.ttl ?? 0,
      timeout: spec.timeout ?? 0,
      unique_key: rare.uniqueKey ?? null,
      depends_on: rare.dependsOn ?? [],
      progress: spec.progress ?? 0,
      progress_msg: rare.message ?? null,
      tags: JSON.parse(rare.tags ?? '[]'),
      ...(token === undefined ? {} : { token }),
    })
    const id = jobIdOf(seq, this.shard)
    const queue = JSON.stringify(spec.queue ?? 'orders')
    return `{"id":${id},"queue":${queue},"data":${spec.data ?? '{"n":1}'},${rest.slice(1)}`
  }

  private put(seq: Seq, text: string): { slab: number; from: number; length: number } {
    const bytes = Buffer.from(text)
    const { payloads } = this
    payloads.put(bytes, 0, bytes.length, seq, 1)
    payloads.addLive(payloads.slabNo, bytes.length)
    return { slab: payloads.slabNo, from: payloads.offset, length: bytes.length }
  }

  private queueNo(name: string): number {
    const no = this.names.indexOf(name)
    return no >= 0 ? no : this.names.push(name) - 1
  }
}
