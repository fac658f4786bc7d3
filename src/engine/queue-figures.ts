// How much is in each queue, for metrics: the largest ones by name, the rest as one.
//
// 1. What there is to keep of a scrape is bounded by `max`, however many queues there are. (Names are the clients', so
//    a label for each would let anybody fill the memory of whoever stores the metrics.)
// 2. A queue that is really called `other` is part of the rest.

import type { JobPage } from './job-store.ts'
import { rowOf } from './job-store.ts'
import type { Queue } from './queue.ts'
import type { ShardState } from './shard-state.ts'

export const OTHER_QUEUES = 'other'

export interface QueueFigures {
  readonly name: string
  waiting: number
  delayed: number
  active: number
  dlq: number
  parked: number
  /** How long the job that is next has been ready, in ms; 0 when none is. */
  oldestMs: number
}

/** `other` is the sum of all that are not in `top`; its `oldestMs` is the greatest. */
export interface TopQueues {
  readonly top: readonly QueueFigures[]
  readonly other: QueueFigures
  /** Queues that `other` is the sum of. */
  readonly otherCount: number
}

export function topQueues(states: readonly ShardState[], max: number, nowMs: number): TopQueues {
  return largest(figuresOf(states, nowMs), max)
}

/** The same of several workers; each queue is at one of them. */
export function mergeTopQueues(parts: readonly TopQueues[], max: number): TopQueues {
  const whole = largest(
    parts.flatMap(({ top }) => top),
    max,
  )
  let { otherCount } = whole
  for (const part of parts) {
    addTo(whole.other, part.other)
    otherCount += part.otherCount
  }
  return { ...whole, otherCount }
}

function* figuresOf(states: readonly ShardState[], nowMs: number): Generator<QueueFigures> {
  for (const state of states) {
    for (const queue of state.queuesByName.values()) {
      if (queue.used) yield figuresOfQueue(state, queue, nowMs)
    }
  }
}

function figuresOfQueue(state: ShardState, queue: Queue, nowMs: number): QueueFigures {
  const { name, ready, delayed, active, parked, dead } = queue
  const head = ready.peekSeq()
  const page = head < 0 ? undefined : state.jobs.find(head)
  const oldestMs = page === undefined ? 0 : Math.max(0, nowMs - readySince(page, rowOf(head)))
  return { name, waiting: ready.live, delayed, active, dlq: dead.size, parked, oldestMs }
}

function readySince(page: JobPage, row: number): number {
  return page.runAt[row] as number
}

/** Keeps a list of at most twice `max`, cut back whenever it is full: no queue costs more than a comparison or two. */
function largest(queues: Iterable<QueueFigures>, max: number): TopQueues {
  const other = emptyOther()
  let otherCount = 0
  let kept: QueueFigures[] = []
  const drop = (queue: QueueFigures): void => {
    addTo(other, queue)
    otherCount++
  }
  const cut = (): void => {
    kept.sort(bySizeAndName)
    for (const queue of kept.slice(max)) drop(queue)
    kept = kept.slice(0, max)
  }
  for (const queue of queues) {
    if (queue.name === OTHER_QUEUES) {
      drop(queue)
      continue
    }
    kept.push(queue)
    if (kept.length >= 2 * max + 1) cut()
  }
  cut()
  return { top: kept, other, otherCount }
}

function emptyOther(): QueueFigures {
  const name = OTHER_QUEUES
  return { name, waiting: 0, delayed: 0, active: 0, dlq: 0, parked: 0, oldestMs: 0 }
}

function addTo(sum: QueueFigures, queue: QueueFigures): void {
  sum.waiting += queue.waiting
  sum.delayed += queue.delayed
  sum.active += queue.active
  sum.dlq += queue.dlq
  sum.parked += queue.parked
  sum.oldestMs = Math.max(sum.oldestMs, queue.oldestMs)
}

function sizeOf({ waiting, delayed, active, dlq, parked }: QueueFigures): number {
  return waiting + delayed + active + dlq + parked
}

function bySizeAndName(a: QueueFigures, b: QueueFigures): number {
  const bySize = sizeOf(b) - sizeOf(a)
  if (bySize !== 0) return bySize
  return a.name < b.name ? -1 : 1
}
