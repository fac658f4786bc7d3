// What a connection needs to go to another worker, and what goes with it. The cluster implements the first
// (cluster/moves.ts) and carries the second without looking into it.

import type { Socket } from 'node:net'
import { deserialize, serialize } from 'node:v8'
import type { Session, Subscriber, Unwritten } from '../../engine/ports.ts'
import type { ConnectedConsumer } from '../consumers/consumers.ts'
import type { Asked } from './first-look.ts'
import type { StandingKeys } from './standing.ts'

/** An announced connection. */
export interface Departure {
  /** Its socket, paused, with nothing unsent. `done`: it arrived, or is lost. */
  hand(socket: Socket, done: () => void): void
  /** It stays, or has closed. */
  off(): void
}

export interface Moves {
  /** The worker that the session needs, else any other one; -1 when there is none. */
  target(session: Session): number
  /** Its waiting pulls wait no more. `done`: those that have been answered are, the others will never be. */
  forgetPulls(session: Session, done: () => void): void
  /**
   * `answer(true)`: the socket may follow, and no further event comes here; `answer(false)`, until `hand`: it
   * can't go there, and what it was subscribed to must be again. Null: the same, at once.
   */
  announce(
    to: number,
    session: Session,
    subscriber: Subscriber,
    state: Buffer,
    answer: (ready: boolean) => void,
  ): Departure | null
}

/** A pull that waits: it is asked again. */
export interface KeptPull {
  /** As it is numbered among those of its connection. */
  readonly serial: number
  readonly asked: Asked
  /** Its reply has no place in the line of replies. */
  readonly unordered: boolean
  /** A line that asks for the same, with what is left of its `wait`. Ends in a newline. */
  readonly line: Buffer
}

/** A reply that waits for the one before it. */
export interface KeptReply {
  readonly bytes: Buffer
  readonly handed: Unwritten | null
}

export interface ConnectionState {
  readonly standing: StandingKeys
  /** In the order of their requests, those that are `unordered` last. */
  readonly owed: readonly (KeptPull | KeptReply)[]
  /** What was read and not run. */
  readonly rest: Buffer
  /** Queue and mask. */
  readonly subscriptions: readonly (readonly [string, number])[]
  /** What it is among the consumers; null when it is none. */
  readonly consumer: ConnectedConsumer | null
}

export function isPull(owed: KeptPull | KeptReply): owed is KeptPull {
  return 'line' in owed
}

/** Both ends are processes of one node and one version: what `readState` reads is what was written. */
export function writeState(state: ConnectionState): Buffer {
  return serialize(state)
}

/** Lies in `bytes`, which so must stay. */
export function readState(bytes: Buffer): ConnectionState {
  return deserialize(bytes) as ConnectionState
}
