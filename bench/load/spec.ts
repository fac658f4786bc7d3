// What a load process can be asked to do, and what it answers. The orchestrator sends one `LoadSpec` at a time as a
// line of JSON; the load process answers with one `LoadResult` (see `load/main.ts`).
//
// Times are milliseconds by the monotonic clock; sizes are bytes.

export interface Address {
  host: string
  port: number
}

export type WireName = 'flashq' | 'beanstalkd'

/**
 * On a server with several workers: connections served by the owner of the queue; by another worker (the server may move
 * them to the owner, `docs/adr/0004-connections-move.md`); or by another worker for good, since they also use a queue of it.
 */
export type Side = 'right' | 'wrong' | 'pinned'

export interface PushSpec {
  kind: 'push'
  at: Address
  /** Every connection takes them in turn. */
  queues: string[]
  connections: number
  /** Frames that each connection keeps unanswered. */
  depth: number
  /** Jobs in a frame; 0 is PUSH instead of PUSHB. */
  batch: number
  dataBytes: number
  warmupMs: number
  measureMs: number
  /** Stop after this many jobs, whatever the time. */
  jobsMax?: number
  /** One frame per connection in this time instead of at once after a reply. */
  everyMs?: number
  side?: Side
}

/** PushBatch over gRPC, one call at a time on each connection. */
export interface GrpcPushSpec {
  kind: 'grpc-push'
  at: Address
  queue: string
  connections: number
  batch: number
  dataBytes: number
  warmupMs: number
  measureMs: number
}

/** POST of one job (`batch` 0) or of many, one request at a time on each connection. */
export interface HttpPushSpec {
  kind: 'http-push'
  at: Address
  queue: string
  connections: number
  batch: number
  dataBytes: number
  warmupMs: number
  measureMs: number
}

export interface DrainSpec {
  kind: 'drain'
  at: Address
  queues: string[]
  /** Jobs to take from each of `queues`; whole batches. */
  jobsPerQueue: number[]
  connections: number
  batch: number
  /** Every ACKB carries a result per job. */
  results: boolean
  side?: Side
}

/** Each connection: push one, pull one, acknowledge it, again. */
export interface CycleSpec {
  kind: 'cycle'
  wire: WireName
  at: Address
  /** One queue is shared by all connections; otherwise there must be one for each. */
  queues: string[]
  connections: number
  dataBytes: number
  warmupMs: number
  measureMs: number
  /** Tell how long a push took until its reply. */
  pushLatency?: boolean
}

/** Producers push singly while consumers wait in a pull, and acknowledge and pull again in one write. */
export interface RelaySpec {
  kind: 'relay'
  wire: WireName
  at: Address
  queue: string
  producers: number
  consumers: number
  dataBytes: number
  warmupMs: number
  measureMs: number
  /** Pushes are sent at this rate on a fixed schedule; absent: as fast as replies come. */
  ratePerSecond?: number
}

/** One small command again and again, one at a time. `untilStopped` with `everyMs` is a probe of the event loop. */
export interface AskSpec {
  kind: 'ask'
  at: Address
  cmd: 'STATS' | 'METRICS'
  everyMs: number
  times: number
  untilStopped: boolean
}

/** One subscriber of all events of some queues, which reads and drops them until stopped. */
export interface SubscribeSpec {
  kind: 'subscribe'
  at: Address
  queues: string[]
}

/** Clients of event streams over HTTP, which read and drop what they get until stopped. */
export interface StreamsSpec {
  kind: 'streams'
  /** Of HTTP. */
  at: Address
  path: string
  count: number
}

/** The product's own client: many pushes at once, or each awaited. */
export interface ClientSpec {
  kind: 'client'
  at: Address
  modulePath: string
  queue: string
  pushes: number
  concurrent: boolean
  dataBytes: number
}

export type LoadSpec =
  | PushSpec
  | GrpcPushSpec
  | HttpPushSpec
  | DrainSpec
  | CycleSpec
  | RelaySpec
  | AskSpec
  | SubscribeSpec
  | StreamsSpec
  | ClientSpec

export interface Percentiles {
  p50: number
  p99: number
  p999: number
  max: number
}

export interface LoadResult {
  /** Everything that was done, warm-up and tail included. */
  jobs: number
  /** Jobs a second within the measured window. */
  perSecond: number
  /** Jobs of each of `queues` (a push only). */
  perQueue?: number[]
  latencyMs?: Percentiles
  /** How late the generator itself sent, against its schedule. */
  lateMs?: Percentiles
  /** Lines received by a subscriber; events, by the first one of several streams. */
  lines?: number
  /** Received by all streams. */
  bytes?: number
  /** Events that the first stream was told it has missed. */
  dropped?: number
}
