// What one run does, as it follows from its seed: queues, what is pushed to them, how consumers behave.

import { dataOf } from './evidence.ts'
import type { PushTerms } from './history.ts'
import type { Random } from './random.ts'

export interface Plan {
  readonly seed: number
  readonly producers: number
  readonly consumers: number
  /** Pushes of one producer, at most. */
  readonly pushesMax: number
  /** Jobs waiting above which producers pause. */
  readonly backlogMax: number
  readonly crons: number
  /** Clients that do what they should: nobody crashes, fails a job, is late, or cancels. */
  readonly gentle: boolean
}

export const plans = {
  /** Some ten thousand jobs: what `make test` can afford. */
  short: plan({ producers: 4, consumers: 8, pushesMax: 4000, backlogMax: 2000 }),
  gentle: plan({ producers: 4, consumers: 8, pushesMax: 4000, backlogMax: 200, gentle: true }),
  long: plan({ producers: 6, consumers: 16, pushesMax: 1_000_000, backlogMax: 5000 }),
} as const

function plan(size: Omit<Plan, 'seed' | 'crons' | 'gentle'> & Partial<Plan>): Omit<Plan, 'seed'> {
  // One for each second of the minute.
  return { crons: 60, gentle: false, ...size }
}

export const CONCURRENCY = 3
/** Jobs a second. */
export const RATE = 40

export type Kind = 'work' | 'order' | 'limit' | 'rate' | 'unique' | 'dead' | 'child' | 'pause'

/** Queues of each kind; the seed is in their names, so each run spreads them over the shards anew. */
const QUEUES: Readonly<Record<Kind, number>> = {
  work: 8,
  order: 2,
  limit: 1,
  rate: 1,
  unique: 2,
  dead: 2,
  child: 2,
  pause: 2,
}

export class Names {
  private readonly seed: number

  constructor(seed: number) {
    this.seed = seed
  }

  of(kind: Kind): string[] {
    return Array.from({ length: QUEUES[kind] }, (_, n) => `${kind}-${n}.${this.seed}`)
  }

  cron(second: number): string {
    return `s${second}.${this.seed}`
  }

  get cronQueue(): string {
    return `cron.${this.seed}`
  }

  all(): string[] {
    const kinds = Object.keys(QUEUES) as Kind[]
    return [...kinds.flatMap((kind) => this.of(kind)), this.cronQueue]
  }
}

/** Data that the server must take as bytes: what other stores refuse, alter or reorder. */
export const ODD_DATA = [
  '""',
  '"\\u0000"',
  '"\\ud800"',
  '1e400',
  '-0.0',
  '9007199254740993',
  '{"b":1,"a":2,"b":3}',
  '"\\/é\\u00e9"',
  '[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]',
]

const KINDS: readonly Kind[] = [
  ...new Array<Kind>(8).fill('work'),
  ...new Array<Kind>(3).fill('order'),
  'limit',
  'rate',
  'unique',
  'unique',
  'dead',
  'child',
  'child',
  'pause',
]

/** Without those whose pushes are refused as a matter of course. */
const GENTLE_KINDS = KINDS.filter((kind) => kind !== 'unique')

/** The jobs of one push: one, or now and then a batch for one queue. */
export function nextPush(
  random: Random,
  names: Names,
  newKey: () => string,
  parents: readonly number[],
  gentle: boolean,
): PushTerms[] {
  const kind = random.pick(gentle ? GENTLE_KINDS : KINDS)
  const queue = random.pick(names.of(kind))
  const isBatch = kind !== 'unique' && kind !== 'rate' && random.chance(0.2)
  const count = isBatch ? random.between(2, 40) : 1
  const jobs = Array.from({ length: count }, () => oneJob(random, kind, queue, newKey(), parents))
  return gentle ? jobs.map((job) => ({ ...job, ttlMs: 0, timeoutMs: 0 })) : jobs
}

function oneJob(
  random: Random,
  kind: Kind,
  queue: string,
  key: string,
  parents: readonly number[],
): PushTerms {
  const rest = random.chance(0.1)
    ? random.pick(ODD_DATA)
    : `"${'x'.repeat(random.below(random.chance(0.02) ? 20_000 : 200))}"`
  const isWork = kind === 'work'
  return {
    key,
    queue,
    data: dataOf(key, rest),
    priority: kind === 'order' || random.chance(0.1) ? random.below(3) : 0,
    delayMs: isWork && random.chance(0.15) ? random.between(20, 800) : 0,
    ttlMs: isWork && random.chance(0.05) ? random.between(50, 2000) : 0,
    timeoutMs: isWork && random.chance(0.05) ? random.between(300, 1000) : 0,
    backoffMs: random.chance(0.3) ? random.between(10, 200) : 0,
    maxAttempts: kind === 'dead' ? random.between(1, 2) : random.chance(0.2) ? 20 : 0,
    // A few pushes in a row compete for a few keys.
    uniqueKey:
      kind === 'unique' ? `${key.split('.').at(-1)?.slice(0, -1)}-${random.below(4)}` : null,
    dependsOn: kind === 'child' ? someOf(random, parents) : [],
  }
}

function someOf(random: Random, parents: readonly number[]): number[] {
  if (parents.length === 0) return []
  return Array.from({ length: random.between(1, 3) }, () => random.pick(parents))
}
