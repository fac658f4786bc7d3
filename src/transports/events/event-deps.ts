// What SSE and WebSocket need of the HTTP door that they are part of.

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type { EventTraffic } from '../../engine/event-traffic.ts'
import type { Clock } from '../../engine/ports.ts'
import type { Refusal } from '../../engine/refusal.ts'
import type { Admission } from '../auth/admission.ts'
import type { Principal } from '../auth/principal.ts'
import type { EventStreams } from './event-streams.ts'

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

export interface EventDeps {
  readonly streams: EventStreams
  readonly clock: Clock
  readonly traffic: EventTraffic
  /** Null: the request may go on. */
  readonly guard: { check(request: IncomingMessage): HttpAnswer | null }
  readonly origins: { refuses(headers: IncomingHttpHeaders): boolean }
  readonly bearer: {
    principalOf(header: string | undefined, address: string | null): Principal | Refusal
    principalOfToken(token: string, address: string | null): Principal | Refusal
  }
  readonly admission: Admission<Duplex>
  /** Whose request it is, which the door has found out. */
  principalOf(request: FastifyRequest): Principal
  answerOf(refusal: Refusal): HttpAnswer
  /** False: its token is not good any more. */
  readonly isAllowed: (principal: Principal) => boolean
}
