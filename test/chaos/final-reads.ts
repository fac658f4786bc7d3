// What the server says when all is over: of each job, of each queue's dead letters, and its counters.

import type { Answer } from '../support/wire-client.ts'
import type { ChaosClient } from './client.ts'
import type { FinalJob, FinalReads, History, Totals } from './history.ts'

/** As many as one DLQ answer shows at most. */
const DEAD_MAX = 1000
const READS_AT_ONCE = 500

/** Null when the server was away in between. */
export async function readFinal(
  client: ChaosClient,
  ids: readonly number[],
  queues: readonly string[],
): Promise<FinalReads | null> {
  const jobs = new Map<number, FinalJob>()
  for (let from = 0; from < ids.length; from += READS_AT_ONCE) {
    const some = await readJobs(client, ids.slice(from, from + READS_AT_ONCE))
    if (some === null) return null
    for (const [id, job] of some) jobs.set(id, job)
  }
  const frames = queues.map((queue) => ({ cmd: 'DLQ', queue, count: DEAD_MAX }))
  const lists = await client.readAll(frames)
  const totals = await readTotals(client)
  if (lists === null || totals === null) return null
  const dead = new Map(queues.map((queue, i) => [queue, idsOf(lists[i])]))
  return { jobs, dead, totals, atMs: client.history.nowMs() }
}

export async function readTotals(client: ChaosClient): Promise<Totals | null> {
  const stats = (await client.command({ cmd: 'STATS' }))?.answer
  const metrics = (await client.command({ cmd: 'METRICS' }))?.answer.metrics
  if (stats === undefined || metrics === undefined) return null
  const { queued = 0, processing = 0, delayed = 0, dlq = 0 } = stats
  const pushed = metrics['total_pushed'] as number
  const completed = metrics['total_completed'] as number
  return { queued, processing, delayed, dlq, pushed, completed }
}

/** Every job that is known of. */
export function idsIn(history: History): number[] {
  const ids = new Set<number>()
  for (const op of history.ops) {
    if (op.f === 'push' && op.id !== 0) ids.add(op.id)
    if (op.f === 'pull') for (const { id } of op.jobs) ids.add(id)
  }
  return [...ids]
}

async function readJobs(
  client: ChaosClient,
  ids: readonly number[],
): Promise<Map<number, FinalJob> | null> {
  const states = await client.readAll(ids.map((id) => ({ cmd: 'GETSTATE', id })))
  const results = await client.readAll(ids.map((id) => ({ cmd: 'GETRESULT', id })))
  if (states === null || results === null) return null
  const jobs = new Map<number, FinalJob>()
  for (const [i, id] of ids.entries()) {
    const result = results[i]?.result ?? null
    const text = result === null ? '' : JSON.stringify(result)
    jobs.set(id, { state: states[i]?.state ?? '', result: text })
  }
  return jobs
}

function idsOf(answer: Answer | undefined): number[] {
  return (answer?.jobs ?? []).map(({ id }) => id)
}
