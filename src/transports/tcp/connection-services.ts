// What every connection of a worker works with.

import type { Clock, Gate, WireCodec } from '../../engine/ports.ts'
import type { Traffic } from '../../engine/traffic.ts'
import type { Authenticator } from '../auth/authenticator.ts'
import type { Consumers } from '../consumers/consumers.ts'
import type { Log } from '../log.ts'
import type { Moves } from './moving.ts'

export interface ConnectionServices {
  readonly gate: Gate
  readonly codec: WireCodec
  readonly auth: Authenticator
  readonly log: Log
  readonly clock: Clock
  readonly frameBytesMax: number
  readonly traffic: Traffic
  readonly consumers: Consumers
  /** Null where there is no other worker to go to. */
  readonly moves: Moves | null
}
