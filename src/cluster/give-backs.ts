// Jobs whose reply could not be written, on their way back to their queues, wherever their shards are by then.
//
//   giveBack ──▶ at the end of the turn ──▶ a shard of this worker, or a link to its owner
//                         ▲                   │ nobody serves it
//                         └── owners change ──┴▶ homeless (durable shards only: in memory such jobs are gone anyway)
//
// A reply fails within a call of the runner, which is not re-entered: hence the end of the turn.

import type { Unwritten } from '../engine/ports.ts'
import { NOBODY } from './assignment.ts'
import type { Turn } from './outbox.ts'
import type { Routes } from './routes.ts'
import type { Runner } from './runner.ts'

export interface GiveBacksDeps {
  readonly routes: Pick<Routes, 'me' | 'ownerOf'>
  readonly runner: Pick<Runner, 'giveBack'>
  readonly turn: Pick<Turn, 'schedule'>
  readonly isDurable: boolean
  linkTo(worker: number): { giveBack(unwritten: Unwritten): void } | null
}

export class GiveBacks {
  private readonly deps: GiveBacksDeps
  private waiting: Unwritten[] = []
  private homeless: Unwritten[] = []

  constructor(deps: GiveBacksDeps) {
    this.deps = deps
  }

  get homelessJobs(): number {
    return this.homeless.reduce((sum, { seqs }) => sum + seqs.length, 0)
  }

  add(unwritten: Unwritten): void {
    this.waiting.push(unwritten)
    this.deps.turn.schedule()
  }

  turnEnded(): void {
    const { waiting } = this
    if (waiting.length === 0) return
    this.waiting = []
    for (const each of waiting) this.send(each)
  }

  /** The homeless may be served again. */
  ownersChanged(): void {
    if (this.homeless.length === 0) return
    this.waiting.push(...this.homeless)
    this.homeless = []
    this.deps.turn.schedule()
  }

  private send(unwritten: Unwritten): void {
    const { routes, runner, isDurable } = this.deps
    const owner = routes.ownerOf(unwritten.shard)
    if (owner === routes.me) return runner.giveBack(unwritten)
    const link = owner === NOBODY ? null : this.deps.linkTo(owner)
    if (link !== null) link.giveBack(unwritten)
    else if (isDurable) this.homeless.push(unwritten)
  }
}
