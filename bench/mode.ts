// How long and how large: the full run, a quick look, and a tiny run that only proves that the benches still work.

export interface Mode {
  name: 'full' | 'quick' | 'tiny'
  /** Of every measured slice, without its warm-up. */
  sliceMs: number
  warmupMs: number
  /** Slices of each side of a comparison, taken in turn; medians are reported. */
  rounds: number
  /** Jobs of one drain of a server whose jobs are canned, so that need not be emptied. */
  echoDrainJobs: number
  /** Waiting jobs at which pushing is measured again. */
  backlogs: number[]
  /** Jobs of one slice of the backlog scenario: few, so that the empty server stays nearly empty. */
  backlogSliceJobs: number
  latencyRates: number[]
  /** Of one slice at one rate. */
  latencyMs: number
  latencyRounds: number
  statsAsked: number
  /** Pushes of one slice of the client scenario. */
  clientPushes: number
  /** Jobs for peers whose slices are counted in jobs. */
  peerJobs: number
  peers: boolean
  durable: DurableMode
}

/** Of the scenarios with PostgreSQL, whose many sides take turns. */
interface DurableMode {
  rounds: number
  latencyRounds: number
  /** Waiting jobs that are worked off in one go. */
  burnJobs: number
  /** Lives over which PostgreSQL's CPU is counted: enough for several checkpoints. */
  costJobs: number
  /** Under load without an old snapshot, and then with one held. */
  freeMs: number
  heldMs: number
  /** Waiting when a worker is killed. */
  failoverJobs: number
  failoverRounds: number
  /** Waiting when a server starts. */
  startJobs: number
}

/** `--long`. */
export const longHeldMs = 5 * 60_000

export const modes: Record<Mode['name'], Mode> = {
  full: {
    name: 'full',
    sliceMs: 1000,
    warmupMs: 200,
    rounds: 7,
    echoDrainJobs: 2_000_000,
    backlogs: [1_000_000, 10_000_000],
    backlogSliceJobs: 200_000,
    latencyRates: [1000, 5000, 20_000],
    latencyMs: 1500,
    latencyRounds: 3,
    statsAsked: 500,
    clientPushes: 10_000,
    peerJobs: 20_000,
    peers: true,
    durable: {
      rounds: 5,
      latencyRounds: 3,
      burnJobs: 200_000,
      costJobs: 2_000_000,
      freeMs: 30_000,
      heldMs: 60_000,
      failoverJobs: 100_000,
      failoverRounds: 3,
      startJobs: 1_000_000,
    },
  },
  quick: {
    name: 'quick',
    sliceMs: 300,
    warmupMs: 100,
    rounds: 3,
    echoDrainJobs: 500_000,
    backlogs: [1_000_000],
    backlogSliceJobs: 100_000,
    latencyRates: [1000, 5000],
    latencyMs: 700,
    latencyRounds: 1,
    statsAsked: 200,
    clientPushes: 10_000,
    peerJobs: 5000,
    peers: true,
    durable: {
      rounds: 2,
      latencyRounds: 1,
      burnJobs: 20_000,
      costJobs: 1_000_000,
      freeMs: 5000,
      heldMs: 10_000,
      failoverJobs: 100_000,
      failoverRounds: 1,
      startJobs: 200_000,
    },
  },
  tiny: {
    name: 'tiny',
    sliceMs: 100,
    warmupMs: 20,
    rounds: 1,
    echoDrainJobs: 50_000,
    backlogs: [20_000],
    backlogSliceJobs: 10_000,
    latencyRates: [1000],
    latencyMs: 100,
    latencyRounds: 1,
    statsAsked: 20,
    clientPushes: 200,
    peerJobs: 0,
    peers: false,
    durable: {
      rounds: 1,
      latencyRounds: 1,
      burnJobs: 20_000,
      costJobs: 10_000,
      freeMs: 500,
      heldMs: 500,
      failoverJobs: 1000,
      failoverRounds: 1,
      startJobs: 5000,
    },
  },
}
