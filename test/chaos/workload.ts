// A run: clients of every kind at once, chosen by the seed, and in the end the verdict over what they saw.
//
//   prepare ──▶ storm: producers, consumers, operator; faults from outside ──▶ calm: consumers finish ──▶ read, check
//
// The same seed gives each actor the same wishes. When they come about is for the machine to say.

import { setTimeout as pause } from 'node:timers/promises'
import { check, type Verdict } from './checker.ts'
import { ChaosClient, type Target } from './client.ts'
import { consume, type Habits } from './consumer.ts'
import type { Options } from './evidence.ts'
import { idsIn } from './final-reads.ts'
import { History } from './history.ts'
import { Operator } from './operator.ts'
import { Names, type Plan } from './plan.ts'
import { type Phase, produce } from './producer.ts'
import { Random } from './random.ts'

const DRAIN_MS_MAX = 60_000
const LOOK_MS = 100

export class Workload implements Phase {
  storming = true
  over = false
  readonly history = new History()
  readonly random: Random
  private readonly target: Target
  private readonly plan: Plan
  private readonly names: Names
  private readonly operator: Operator
  private readonly producing: Promise<void>[] = []
  private readonly rest: Promise<void>[] = []
  /** As the server last said. */
  private waiting = 0

  constructor(target: Target, plan: Plan) {
    this.target = target
    this.plan = plan
    this.random = new Random(plan.seed)
    this.names = new Names(plan.seed)
    this.operator = new Operator(this.client('operator'), this.names, plan)
  }

  backlog(): number {
    return this.waiting
  }

  async start(): Promise<void> {
    await this.operator.prepare()
    const { plan, names, random } = this
    for (let i = 0; i < plan.producers; i++) {
      this.producing.push(produce(this.client(`p${i}`), random.fork(), names, plan, this))
    }
    for (const habits of this.habits()) {
      const client = this.client(`c${this.rest.length}`)
      this.rest.push(consume(client, random.fork(), habits, this))
    }
    const operator = new Operator(this.client('meddler'), names, plan)
    if (!plan.gentle) this.producing.push(operator.storm(random.fork(), this))
    this.rest.push(this.watch())
  }

  /** Ends the storm, lets everything finish, and judges. Without `drain` the jobs stay as they are. */
  async finish(options: Partial<Options> = {}, drain = true): Promise<Verdict> {
    this.storming = false
    await Promise.all(this.producing)
    if (drain) {
      await this.operator.calm()
      await this.operator.endCrons()
      await this.drain()
    }
    this.over = true
    await Promise.all(this.rest)
    return check(this.history, options)
  }

  private habits(): Habits[] {
    const { names, plan } = this
    const shared = [names.of('work'), names.of('work'), names.of('unique'), names.of('child')]
    shared.push([...names.of('dead'), ...names.of('pause')])
    shared.push([...names.of('limit'), ...names.of('rate')], names.of('limit'))
    const some = Array.from({ length: plan.consumers }, (_, i): Habits => {
      return { queues: shared[i % shared.length] ?? [], steady: plan.gentle }
    })
    const alone = names.of('order').map((queue): Habits => ({ queues: [queue], steady: true }))
    return [...some, ...alone, { queues: [names.cronQueue], steady: true }]
  }

  private async watch(): Promise<void> {
    const operator = new Operator(this.client('watcher'), this.names, this.plan)
    while (!this.over) {
      const totals = await operator.totals()
      if (totals !== null) this.waiting = totals.queued + totals.processing
      await pause(LOOK_MS)
    }
  }

  /** Until every job is over, or time is: then the checker says what is left. */
  private async drain(): Promise<void> {
    const deadlineMs = this.history.nowMs() + DRAIN_MS_MAX
    while (this.history.nowMs() < deadlineMs) {
      const totals = await this.operator.totals()
      const left = totals === null ? 1 : totals.queued + totals.processing + totals.delayed
      if (left === 0) {
        const final = await this.operator.read(idsIn(this.history))
        if (final !== null) this.history.final = final
        const states = [...(final?.jobs.values() ?? [])].map(({ state }) => state)
        // Jobs with parents are free again a moment after these are done.
        if (final !== null && !states.some((state) => OPEN.includes(state))) return
      }
      await pause(LOOK_MS)
    }
    this.history.final = (await this.operator.read(idsIn(this.history))) ?? this.history.final
  }

  private client(name: string): ChaosClient {
    return new ChaosClient(name, this.target, this.history)
  }
}

const OPEN = ['waiting', 'delayed', 'active', 'waiting-children']
