// What a connection needs of its listener.

import type { Clock, Gate, WireCodec } from '../../engine/ports.ts'
import type { Traffic } from '../../engine/traffic.ts'
import type { Guard } from '../auth/guard.ts'
import type { Consumers } from '../consumers/consumers.ts'
import type { Log } from '../log.ts'
import type { Moves } from './moving.ts'
import type { StandingServices } from './standing.ts'

export interface ConnectionServices extends StandingServices {
  readonly gate: Gate
  readonly codec: WireCodec
  readonly guard: Guard
  readonly authTimeoutMs: number
  readonly log: Log
  readonly clock: Clock
  readonly frameBytesMax: number
  readonly traffic: Traffic
  readonly consumers: Consumers
  /** Null where there is no other worker to go to, or no way: the keys of TLS are in this process alone. */
  readonly moves: Moves | null
}

/** What becomes of a connection. */
export interface Owner<Connection> {
  /** It has said who it is; perhaps again. */
  knows(connection: Connection): void
  closed(connection: Connection): void
  /** It is on its way to another worker, … */
  leaves(connection: Connection): void
  /** … and arrived there, or was lost. */
  left(): void
}
