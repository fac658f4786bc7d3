// What a worker knows of its node and its links, in numbers, for metrics and health.

export interface LinkFigures {
  readonly sentBytes: number
  readonly receivedBytes: number
  /** Not taken by the kernel yet. */
  readonly backlogBytes: number
  /** Not answered, waiting pulls among them. */
  readonly openRequests: number
}

export interface ClusterFigures {
  readonly incarnation: number
  /** Live ones. */
  readonly workers: number
  /** Of 32, as this worker knows it. */
  readonly shardsServed: number
  /** By shard; rises when it gets another owner. */
  readonly epochs: readonly number[]
  readonly links: LinkFigures
  /** Jobs that could not be delivered and wait for somebody who owns their shard. */
  readonly homelessJobs: number
}
