// A connection that comes from another worker: it is announced, and its socket follows. See leaving.ts.
//
// 1. Its subscriptions hear from the announcement on, its pulls are asked when it is here.
// 2. If it does not come with a socket, what its replies would have handed over goes back.

import type { Socket } from 'node:net'
import type { Gate, Session } from '../../engine/ports.ts'
import { type ConnectionState, isPull, readState } from './moving.ts'
import { Subscriptions } from './subscriptions.ts'

export class Arriving {
  readonly session: Session
  readonly state: ConnectionState
  readonly subscriber: Subscriptions
  private readonly gate: Gate
  private readonly onSocket: (socket: Socket, arriving: Arriving) => void

  /** `state` must stay as it is. */
  constructor(
    state: Buffer,
    session: Session,
    gate: Gate,
    onSocket: (socket: Socket, arriving: Arriving) => void,
  ) {
    this.session = session
    this.state = readState(state)
    this.gate = gate
    this.onSocket = onSocket
    this.subscriber = new Subscriptions(gate, this.state.subscriptions)
  }

  arrived(socket: Socket | null): void {
    if (socket !== null) return this.onSocket(socket, this)
    for (const owed of this.state.owed) {
      if (!isPull(owed) && owed.handed !== null) this.gate.giveBack(owed.handed)
    }
    this.dropped()
  }

  dropped(): void {
    this.subscriber.removeAll()
    this.gate.sessionClosed(this.session)
    this.gate.turnEnded()
  }
}
