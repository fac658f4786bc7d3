// What the driver of a peer can be asked to do: the two halves of a job's life, in batches.

export type PeerSpec =
  | {
      op: 'push'
      port: number
      queue: string
      connections: number
      batch: number
      dataBytes: number
      measureMs: number
    }
  | {
      op: 'take'
      port: number
      queue: string
      connections: number
      batch: number
      /** Handlers at a time, where the peer has that notion. */
      concurrency: number
      jobs: number
    }
  /** Forget all jobs and close all connections. */
  | { op: 'reset'; port: number }

export interface PeerResult {
  jobs: number
  perSecond: number
}
