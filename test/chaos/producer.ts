// Pushes what the plan says, as long as the run lasts, and cancels some of it.

import { setTimeout as pause } from 'node:timers/promises'
import type { ChaosClient } from './client.ts'
import { type Names, nextPush, type Plan } from './plan.ts'
import type { Random } from './random.ts'

/** Pushed lately: what children may depend on, and cancels may hit. */
const RECENT_MAX = 64

export interface Phase {
  /** Storm: everybody misbehaves. Then consumers only consume, until all is done. */
  readonly storming: boolean
  readonly over: boolean
  /** Jobs that are pushed and not finished, about. */
  backlog(): number
}

interface Recent {
  readonly id: number
  readonly queue: string
}

export async function produce(
  client: ChaosClient,
  random: Random,
  names: Names,
  plan: Plan,
  phase: Phase,
): Promise<void> {
  const recent: Recent[] = []
  let keys = 0
  const newKey = (): string => `${client.name}.${plan.seed}.${keys++}`
  while (phase.storming && keys < plan.pushesMax) {
    if (phase.backlog() > plan.backlogMax) {
      await pause(20)
      continue
    }
    const parents = recent.map(({ id }) => id)
    const pushed = await client.pushAll(nextPush(random, names, newKey, parents, plan.gentle))
    for (const { id, queue, outcome } of pushed) {
      if (outcome === 'ok') recent.push({ id, queue })
    }
    recent.splice(0, recent.length - RECENT_MAX)
    const [first] = recent
    if (!plan.gentle) {
      if (first !== undefined && random.chance(0.02)) await client.cancel(random.pick(recent))
      if (random.chance(0.01)) client.crash()
    }
    await pause(random.below(12))
  }
}
