// What the driver of a peer can be asked to do: the two halves of a job's life in batches or one by one, and jobs at a fixed rate.

import type { Percentiles } from '../load/spec.ts'

export type PeerSpec =
  | {
      op: 'push'
      /** Of the peer's server, or of the database that it keeps its jobs in. */
      url: string
      queue: string
      /** Calls at a time; each has a connection. */
      connections: number
      /** Jobs in a call; 1 = the peer's call for a single job. */
      batch: number
      dataBytes: number
      measureMs: number
      /** Stop after so many jobs, whatever the time. */
      jobsMax?: number
    }
  | {
      op: 'take'
      url: string
      queue: string
      connections: number
      batch: number
      /** Handlers at a time, where the peer has that notion. */
      concurrency: number
      jobs: number
    }
  /** Jobs singly on a fixed schedule, to consumers that wait for them. */
  | {
      op: 'relay'
      url: string
      queue: string
      ratePerSecond: number
      dataBytes: number
      warmupMs: number
      measureMs: number
    }
  /** Forget all jobs and close all connections. */
  | { op: 'reset'; url: string }

export interface PeerResult {
  jobs: number
  perSecond: number
  /** Of a relay. What never came counts with the time it was waited for. */
  latencyMs?: Percentiles
  /** Of a relay: jobs that had not come when it was given up. */
  missing?: number
}
