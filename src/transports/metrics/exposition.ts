// One scrape: the samples of all workers added up, and written in Prometheus' text format.
//
//   worker 0 ─┐
//   worker 1 ─┼─▶ MetricsPart each ─▶ aggregate (prom-client) + queues (merged here) ─▶ text
//   worker 2 ─┘
//
// `prom-client` adds, orders labels, escapes and writes. Its counters and histograms are not used: they find a series by
// a hash of its labels at each observation, which a frame of the line protocol has no time for.
//
// Queues are merged apart, because which of them are named is decided over all workers.

import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue } from 'prom-client'
import { mergeTopQueues, type QueueFigures, type TopQueues } from '../../engine/queue-figures.ts'
import { metricNames } from './catalogue.ts'
import { type Family, Samples } from './samples.ts'

export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export interface MetricsPart {
  readonly families: readonly Family[]
  readonly queues: TopQueues
  /** Of the last minute: completions, and the sum of what they took. */
  readonly recentCount: number
  readonly recentSumMs: number
}

export async function exposition(
  parts: readonly MetricsPart[],
  ofNode: { readonly silentWorkers: number; readonly consumers: number },
  queuesMax: number,
): Promise<string> {
  const own = new Samples()
  own.put('flashq_workers_silent', ofNode.silentWorkers)
  own.put('flashq_workers_active', ofNode.consumers)
  own.put('flashq_latency_ms', meanLatencyMs(parts))
  putQueues(
    own,
    mergeTopQueues(
      parts.map(({ queues }) => queues),
      queuesMax,
    ),
  )
  const families = [...parts.flatMap((part) => part.families), ...own.all()]
  // They are written in the order in which they are met.
  families.sort((a, b) => metricNames.indexOf(a.name) - metricNames.indexOf(b.name))
  const registry = AggregatorRegistry.aggregate([families] as unknown as MetricObject[])
  return registry.metrics()
}

function meanLatencyMs(parts: readonly MetricsPart[]): number {
  const count = parts.reduce((sum, part) => sum + part.recentCount, 0)
  const sumMs = parts.reduce((sum, part) => sum + part.recentSumMs, 0)
  return count === 0 ? 0 : Math.round((sumMs / count) * 100) / 100
}

type MetricObject = MetricObjectWithValues<MetricValue<string>>

function putQueues(into: Samples, { top, other, otherCount }: TopQueues): void {
  for (const queue of top) putQueue(into, queue)
  if (otherCount > 0) putQueue(into, other)
  into.put('flashq_queues_in_other', otherCount)
}

function putQueue(into: Samples, figures: QueueFigures): void {
  const { name: queue, waiting, delayed, active, dlq, parked, oldestMs } = figures
  into.put('flashq_queue_jobs', waiting + delayed, { queue, state: 'pending' })
  into.put('flashq_queue_jobs', active, { queue, state: 'processing' })
  into.put('flashq_queue_jobs', dlq, { queue, state: 'dlq' })
  into.put('flashq_queue_depth', waiting, { queue, state: 'waiting' })
  into.put('flashq_queue_depth', delayed, { queue, state: 'delayed' })
  into.put('flashq_queue_depth', active, { queue, state: 'active' })
  into.put('flashq_queue_depth', dlq, { queue, state: 'dlq' })
  into.put('flashq_queue_depth', parked, { queue, state: 'waiting-children' })
  into.put('flashq_queue_oldest_waiting_seconds', oldestMs / 1000, { queue })
}
