// A connection on its way to another worker, seen from where it was. Its client notices nothing.
//
//   begin: reading has stopped, no frame runs
//   ┌───────────┐ all but waiting ┌────────────┐ none of them  ┌──────────┐ every byte    ┌───────────┐
//   │ answering │────────────────▶│ forgetting │──────────────▶│ flushing │──────────────▶│ announced │
//   └───────────┘ pulls answered  └────────────┘ can be        └──────────┘ with the      └───────────┘
//                                                answered now               kernel              │ ready there
//                                     ┌────────┐ every event line with the kernel  ┌───────┐    │
//                                     │ handed │◀──────────────────────────────────│ ready │◀───┘
//                                     └────────┘                                   └───────┘
//
// 1. Up to `handed` it can stay: then its pulls are asked again here, and frames run on (`Host.stays`).
// 2. What a pull got before it was forgotten is sent from here, in its place; so nothing is delivered twice and nothing
//    given back. What it has not got it is asked for again there, with what is left of its `wait`.
// 3. Event lines are sent from here until the other worker has taken the subscriptions over, and whole.
//
// Next: moving.ts for what goes along, arriving.ts for the other side.

import type { Socket } from 'node:net'
import type { Session } from '../../engine/ports.ts'
import type { Departure, Moves } from './moving.ts'
import type { Output } from './output.ts'
import type { ReplyQueue } from './reply-queue.ts'
import type { Subscriptions } from './subscriptions.ts'

/** The connection. */
export interface Host {
  readonly session: Session
  readonly replies: ReplyQueue
  readonly output: Output
  readonly subscriptions: Subscriptions
  /** All that goes along. */
  pack(): Buffer
  /** It is over here: whatever is left goes along. */
  release(): Socket
  /** It can't go. */
  stays(): void
  /** It arrived, or is lost. */
  left(): void
}

type Step = 'answering' | 'forgetting' | 'flushing' | 'announced' | 'ready' | 'over'

export class Leaving {
  private readonly host: Host
  private readonly moves: Moves
  private readonly to: number
  private step: Step = 'answering'
  private departure: Departure | null = null

  constructor(host: Host, moves: Moves, to: number) {
    this.host = host
    this.moves = moves
    this.to = to
  }

  /** Something was answered or written, or it begins. */
  advance(): void {
    const { host } = this
    if (this.step === 'answering' && host.replies.onlyPullsWait) {
      this.step = 'forgetting'
      if (host.replies.owed === 0) this.forgotten()
      else this.moves.forgetPulls(host.session, () => this.forgotten())
    }
    if (this.step !== 'flushing' && this.step !== 'ready') return
    if (this.step === 'ready') host.subscriptions.tellDropped()
    host.output.send()
    if (host.output.unsentBytes > 0) return
    if (this.step === 'flushing') this.announce()
    else this.hand()
  }

  /** It stays or has closed, and does not hear of this any more. */
  cancel(): void {
    this.step = 'over'
    this.departure?.off()
  }

  private forgotten(): void {
    if (this.step !== 'forgetting') return
    this.step = 'flushing'
    this.advance()
  }

  private announce(): void {
    const { session, subscriptions } = this.host
    this.step = 'announced'
    const state = this.host.pack()
    const answer = (ready: boolean): void => this.answered(ready)
    this.departure = this.moves.announce(this.to, session, subscriptions, state, answer)
    if (this.departure === null) this.answered(false)
  }

  private answered(ready: boolean): void {
    if (this.step !== 'announced' && this.step !== 'ready') return
    if (ready) {
      this.step = 'ready'
      return this.advance()
    }
    this.step = 'over'
    this.host.stays()
  }

  private hand(): void {
    const { host, departure } = this
    this.step = 'over'
    departure?.hand(host.release(), () => host.left())
  }
}
