// The sessions of a worker's clients, whatever door they come through: each in a holder's number of its own.

import { type HolderOrigin, holderOf } from '../engine/holder-number.ts'
import { newSession, type Session } from '../engine/ports.ts'
import { Door } from '../engine/traffic.ts'

export class Sessions {
  private readonly origin: HolderOrigin
  private count = 0

  constructor(origin: HolderOrigin) {
    this.origin = origin
  }

  /** `hasMoved`: it was served by another worker before. */
  next(hasMoved = false, door: Door = Door.server): Session {
    return newSession(holderOf(this.origin, ++this.count), hasMoved, door)
  }
}
