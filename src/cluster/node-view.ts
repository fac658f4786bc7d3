// What a worker lets its doors see of itself and of its node, for metrics and health.

import type { Survey } from '../engine/survey-port.ts'
import type { ClusterFigures } from './cluster-figures.ts'
import type { RunnerFigures, ShardSums } from './shard-figures.ts'

export interface NodeView {
  readonly survey: Survey
  cluster(): ClusterFigures
  /** Of this worker's shards; with the `queuesMax` largest queues by name. */
  shards(queuesMax: number): RunnerFigures
  sums(): ShardSums
  /** How long the lease of the node lasts without a renewal; null where there is no database. */
  leaseLeftMs(): number | null
}
