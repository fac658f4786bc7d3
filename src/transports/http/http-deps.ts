// What the routes of the HTTP door work with, and how a plugin adds some.
//
// A plugin is `(app, deps) => void`: it registers its routes on `app` with `schema` (the OpenAPI document is made of
// them) and says in `config` who may ask. When its handler runs, the request has passed the guard (one Host header that
// is allowed, a method and a target that are), the origin's check and, as `access` says, authentication.
//
//   access             who may ask                       the handler must
//   a scope            a principal with that scope       look at `mayUse` when it names queues
//   'token' (default)  any principal                     run commands by `commands` or `access`, which look at it
//   'public'           everybody, any page of a browser  show nothing that is secret
//   'own'              nobody has been looked at         call `origins.refuses` and `bearer.principalOf` itself
//
// When the door drains, `preClose` hooks run first (`app.addHook('preClose', …)`): what streams must end there.
// Upgrades never reach `app`: a plugin that takes them (`app.server.on('upgrade', …)`) asks `guard.check`, `origins`
// and `bearer`, in this order.
//
// Next: http-door.ts builds it; http-commands.ts for routes that are commands; answers.ts for all others

import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import type { Clock, DoorPorts, Gate } from '../../engine/ports.ts'
import type { Traffic } from '../../engine/traffic.ts'
import type { Admission } from '../auth/admission.ts'
import type { Authenticator } from '../auth/authenticator.ts'
import type { Guard } from '../auth/guard.ts'
import type { Principal, Scope } from '../auth/principal.ts'
import type { Usage } from '../auth/usage.ts'
import type { Caller } from '../caller.ts'
import type { Log } from '../log.ts'
import type { Bearer } from './bearer.ts'
import type { HttpCommands } from './http-commands.ts'
import type { LongPolls } from './long-polls.ts'
import type { OriginRule } from './origin-rule.ts'
import type { RequestGuard } from './request-guard.ts'

/** The part of the configuration that this door looks at. */
export interface HttpConfig {
  readonly host: string
  readonly httpPort: number
  /** Longest body of a batch. */
  readonly frameBytesMax: number
  readonly connectionsMax: number
  /** Names besides loopback's and `host` that a Host header may have. */
  readonly allowedHosts: readonly string[]
  /** Whose pages may ask, besides the server's own. */
  readonly corsOrigins: readonly string[]
  readonly authTokens: readonly string[]
  /** What an incoming webhook is signed with; empty = it needs a token like everybody. */
  readonly webhookIncomingSecrets: readonly string[]
  /** Null = jobs are in memory alone. */
  readonly databaseUrl: string | null
}

/** The node that this worker is a part of. */
export interface NodeControl {
  readonly version: string
  /** Its id in the database; null = it has none. */
  readonly id: string | null
  readonly startedAtMs: number
  /** Where it listens. */
  readonly ports: DoorPorts
  /** It may own shards: in memory always, with a database while its lease lasts. */
  leads(): boolean
  /** Ends the node when all that is in flight is answered; `restart`: with the exit code that asks for a new start. */
  stop(how: 'shutdown' | 'restart'): void
}

export interface HttpDeps {
  readonly config: HttpConfig
  readonly caller: Caller
  /** Runs frames in the name of a principal. */
  readonly access: Guard
  readonly auth: Authenticator
  readonly gate: Gate
  readonly traffic: Traffic
  readonly clock: Clock
  readonly log: Log
  readonly node: NodeControl
  readonly guard: RequestGuard
  readonly origins: OriginRule
  readonly bearer: Bearer
  readonly usage: Usage
  readonly admission: Admission<Duplex>
  readonly commands: HttpCommands
  readonly polls: LongPolls
}

export type RoutePlugin = (app: FastifyInstance, deps: HttpDeps) => void

/** Who may ask for a route: see the head of this file. */
export type Access = Scope | 'token' | 'public' | 'own'

declare module 'fastify' {
  interface FastifyRequest {
    /** Set before the handler runs, except where `access` is `public` or `own`: there it is nobody's. */
    principal: Principal
    /** Longest body, in bytes. */
    bodyMax: number
  }
  interface FastifyContextConfig {
    access?: Access
  }
}
