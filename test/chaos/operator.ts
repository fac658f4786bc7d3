// Sets limits and crons at the start, pauses and retries during the storm, and ends the crons.

import { setTimeout as pause } from 'node:timers/promises'
import type { Asked, ChaosClient } from './client.ts'
import { readFinal, readTotals } from './final-reads.ts'
import type { CronOp, FinalReads, Fresh, QueueOp, Totals } from './history.ts'
import { CONCURRENCY, type Names, type Plan, RATE } from './plan.ts'
import type { Phase } from './producer.ts'
import type { Random } from './random.ts'
import { cronDataOf } from './rules-cron.ts'

const MINUTE_MS = 60_000
const AGAIN_MS = 50

const FRAMES = {
  pause: { cmd: 'PAUSE', key: null },
  resume: { cmd: 'RESUME', key: null },
  concurrency: { cmd: 'SETCONCURRENCY', key: 'limit' },
  rate: { cmd: 'RATELIMIT', key: 'limit' },
  retryDlq: { cmd: 'RETRYDLQ', key: 'id' },
  purgeDlq: { cmd: 'PURGEDLQ', key: 'id' },
} as const

export class Operator {
  private readonly client: ChaosClient
  private readonly names: Names
  private readonly plan: Plan

  constructor(client: ChaosClient, names: Names, plan: Plan) {
    this.client = client
    this.names = names
    this.plan = plan
  }

  async prepare(): Promise<void> {
    for (const queue of this.names.of('limit')) await this.surely('concurrency', queue, CONCURRENCY)
    for (const queue of this.names.of('rate')) await this.surely('rate', queue, RATE)
    for (let second = 0; second < this.plan.crons; second++) await this.cron(second)
  }

  async storm(random: Random, phase: Phase): Promise<void> {
    while (phase.storming) {
      await pause(random.between(50, 300))
      const queue = random.pick(this.names.of('pause'))
      const dead = random.pick(this.names.of('dead'))
      switch (random.below(4)) {
        case 0:
          await this.queue('pause', queue)
          break
        case 1:
          await this.queue('resume', queue)
          break
        case 2:
          await this.queue('retryDlq', dead)
          break
        default:
          await this.client.command({ cmd: 'STATS' })
      }
    }
  }

  /** Whatever was paused goes on. */
  async calm(): Promise<void> {
    for (const queue of this.names.of('pause')) await this.surely('resume', queue)
  }

  /** No more ticks. */
  async endCrons(): Promise<void> {
    for (let second = 0; second < this.plan.crons; second++) {
      const name = this.names.cron(second)
      const note = (asked: Asked): CronOp =>
        this.client.history.ask({ f: 'cronDelete', ...asked, ...this.tickTerms(second) })
      // Deleted by a try without an answer, it is not found by the next one.
      while ((await this.client.command({ cmd: 'CRONDELETE', name }, note)) === null) {
        if (this.client.lastCode === 'cron_not_found') break
        await pause(AGAIN_MS)
      }
    }
  }

  read(ids: readonly number[]): Promise<FinalReads | null> {
    return readFinal(this.client, ids, this.names.all())
  }

  totals(): Promise<Totals | null> {
    return readTotals(this.client)
  }

  private async cron(second: number): Promise<void> {
    const terms = this.tickTerms(second)
    const { name, queue } = terms
    const schedule = `${second} * * * * *`
    const frame = { cmd: 'CRON', name, queue, schedule, data: JSON.parse(cronDataOf(name)) }
    const note = (asked: Asked): CronOp =>
      this.client.history.ask({ f: 'cron', ...asked, ...terms })
    while ((await this.client.command(frame, note)) === null) await pause(AGAIN_MS)
  }

  /** Once a minute, at a second of its own. */
  private tickTerms(second: number): Omit<CronOp, 'f' | keyof Asked | Fresh> {
    const { names } = this
    const phaseMs = second * 1000
    return { name: names.cron(second), queue: names.cronQueue, everyMs: MINUTE_MS, phaseMs }
  }

  private async surely(f: QueueOp['f'], queue: string, value = 0): Promise<void> {
    while (!(await this.queue(f, queue, value))) await pause(AGAIN_MS)
  }

  private async queue(f: QueueOp['f'], queue: string, value = 0): Promise<boolean> {
    const { cmd, key } = FRAMES[f]
    const frame = key === null || value === 0 ? { cmd, queue } : { cmd, queue, [key]: value }
    const note = (asked: Asked): QueueOp => this.client.history.ask({ f, ...asked, queue, value })
    return (await this.client.command(frame, note)) !== null
  }
}
