// Pulls jobs and ends their runs: mostly well, sometimes late, twice, badly, or not at all.

import { setTimeout as pause } from 'node:timers/promises'
import type { ChaosClient } from './client.ts'
import type { PullOp, RunOp, Seen } from './history.ts'
import type { Phase } from './producer.ts'
import type { Random } from './random.ts'

const WAIT_MS = 100
const STEADY_LEASE_MS = 3000

export interface Habits {
  readonly queues: readonly string[]
  /** Only ever acknowledges. */
  readonly steady: boolean
}

export async function consume(
  client: ChaosClient,
  random: Random,
  habits: Habits,
  phase: Phase,
): Promise<void> {
  while (!phase.over) {
    const steady = habits.steady || !phase.storming
    // One job at a time, where order matters.
    const isAlone = habits.queues.length === 1
    const terms = {
      queue: random.pick(habits.queues),
      count: isAlone || random.chance(0.3) ? 0 : random.between(1, 30),
      leaseMs: steady ? STEADY_LEASE_MS : random.between(300, 3000),
      waitMs: isAlone ? WAIT_MS : random.below(WAIT_MS),
      releaseOnClose: !steady && random.chance(0.2),
    }
    const jobs = await client.pull(terms)
    if (jobs.length === 0) continue
    if (steady) await endWell(client, jobs)
    else await endSomehow(client, random, jobs, terms)
  }
}

async function endWell(client: ChaosClient, jobs: readonly Seen[]): Promise<void> {
  const [first] = jobs
  if (jobs.length > 1) await client.ackAll(jobs, resultOf)
  else if (first !== undefined) await client.ack(first, resultOf(first))
}

type Terms = Pick<PullOp, 'leaseMs'>

async function endSomehow(
  client: ChaosClient,
  random: Random,
  jobs: readonly Seen[],
  terms: Terms,
): Promise<void> {
  if (random.chance(0.03)) return client.crash()
  if (random.chance(0.5)) {
    await endWell(client, jobs)
    if (random.chance(0.1)) await endWell(client, jobs)
    return
  }
  // Later ones of a batch wait for earlier ones, some of them beyond their lease.
  for (const job of jobs) {
    await endOne(client, random, job, terms)
    if (random.chance(0.005)) return client.crash()
  }
}

async function endOne(
  client: ChaosClient,
  random: Random,
  job: Seen,
  { leaseMs }: Terms,
): Promise<RunOp | null> {
  const deadly = job.queue.startsWith('dead') ? 0.5 : 0.08
  if (random.chance(deadly)) return client.fail(job, 'it went wrong')
  switch (random.below(40)) {
    case 0:
      await pause(leaseMs + random.below(200))
      return client.ack(job, resultOf(job))
    case 1:
    case 2:
      await client.heartbeat(job, leaseMs)
      await pause(random.below(50))
      return client.ack(job, resultOf(job))
    case 3:
      return client.release(job)
    case 4:
      await client.ack(job, resultOf(job))
      return random.chance(0.5) ? client.ack(job, resultOf(job)) : client.fail(job, 'too late')
    case 5:
      // Forgotten: its lease ends it.
      return null
    default:
      return client.ack(job, resultOf(job))
  }
}

/** Names the run, so that the result that stays is known to be of an ack that was sent. */
function resultOf({ id, token }: { readonly id: number; readonly token: number }): string {
  return `{"of":${id},"by":${token}}`
}
