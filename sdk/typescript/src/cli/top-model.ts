// What `top` knows: the newest numbers, and how fast they change.

import type { Metrics, QueueInfo, QueueStats } from '../job.ts'

export interface Snapshot {
  readonly atMs: number
  readonly queues: readonly QueueInfo[]
  readonly stats: QueueStats
  readonly metrics: Metrics
}

export interface QueueRow extends QueueInfo {
  /** By which the depth grows a second; null until it is known. */
  readonly growth: number | null
}

export interface TopTotals {
  readonly pushed: number | null
  readonly completed: number | null
  readonly failed: number | null
}

export const SORTS = ['name', 'pending', 'active', 'dlq', 'growth'] as const
export type Sort = (typeof SORTS)[number]

/** Rates are over the last this many snapshots, so that they are calm. */
const SNAPSHOTS_MAX = 5

export class TopModel {
  #snapshots: Snapshot[] = []

  add(snapshot: Snapshot): void {
    const last = this.#snapshots.at(-1)
    // A server that was started again counts from nothing.
    const restarted =
      last !== undefined && snapshot.metrics.total_pushed < last.metrics.total_pushed
    this.#snapshots = restarted ? [snapshot] : [...this.#snapshots, snapshot].slice(-SNAPSHOTS_MAX)
  }

  get newest(): Snapshot | null {
    return this.#snapshots.at(-1) ?? null
  }

  /** Per second. */
  totals(): TopTotals {
    const rate = (read: (metrics: Metrics) => number): number | null => {
      const span = this.#span()
      if (span === null) return null
      const [from, to, seconds] = span
      return (read(to.metrics) - read(from.metrics)) / seconds
    }
    return {
      pushed: rate((metrics) => metrics.total_pushed),
      completed: rate((metrics) => metrics.total_completed),
      failed: rate((metrics) => metrics.total_failed),
    }
  }

  rows(sort: Sort): QueueRow[] {
    const span = this.#span()
    const before = new Map(span?.[0].queues.map((queue) => [queue.name, queue.pending]))
    const rows = (this.newest?.queues ?? []).map((queue): QueueRow => {
      const was = before.get(queue.name)
      const known = span !== null && was !== undefined
      return { ...queue, growth: known ? (queue.pending - was) / span[2] : null }
    })
    return rows.sort((one, other) => order(sort, one, other) || compare(one.name, other.name))
  }

  #span(): [from: Snapshot, to: Snapshot, seconds: number] | null {
    const [from] = this.#snapshots
    const to = this.newest
    if (from === undefined || to === null || to.atMs <= from.atMs) return null
    return [from, to, (to.atMs - from.atMs) / 1000]
  }
}

/** Names upwards, numbers downwards. */
function order(sort: Sort, one: QueueRow, other: QueueRow): number {
  switch (sort) {
    case 'name':
      return 0
    case 'pending':
      return other.pending - one.pending
    case 'active':
      return other.processing - one.processing
    case 'dlq':
      return other.dlq - one.dlq
    case 'growth':
      return (other.growth ?? 0) - (one.growth ?? 0)
  }
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}
