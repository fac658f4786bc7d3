// What a worker listens with: the line protocol always, HTTP and gRPC when they are on.

import type { AddressInfo } from 'node:net'
import type { Moves } from './cluster/moves.ts'
import type { Listeners } from './cluster/worker.ts'
import type { Config } from './config.ts'
import type { HolderOrigin } from './engine/holder-number.ts'
import type { Clock, DoorPorts, Gate } from './engine/ports.ts'
import { refusals } from './engine/refusal.ts'
import type { Logger } from './logger.ts'
import { Authenticator } from './transports/auth/authenticator.ts'
import type { Door } from './transports/door.ts'
import { Sessions } from './transports/sessions.ts'
import { type Endpoint, Listener } from './transports/tcp/listener.ts'
import { wireCodec } from './transports/wire/codec.ts'

/** Cut off by the primary, not by the worker, so that the exit code tells. */
const DRAIN_MARGIN_MS = 1000

export interface DoorsDeps {
  readonly config: Config
  readonly origin: HolderOrigin
  readonly gate: Gate
  readonly moves: Moves
  readonly clock: Clock
  readonly log: Logger
}

export function doorsOf(deps: DoorsDeps): Listeners {
  const { config } = deps
  const drainMs = config.drainTimeoutMs + DRAIN_MARGIN_MS
  let listener: Listener | null = null
  let others: Door[] = []
  const drainOthers = (timeoutMs: number): Promise<unknown> =>
    Promise.all(others.map((door) => door.drain(timeoutMs)))
  return {
    async open(ports) {
      const sessions = new Sessions(deps.origin)
      listener = lineListener(deps, sessions, ports.tcp)
      const http = ports.http === null ? null : await httpDoor(deps)
      const grpc = ports.grpc === null ? null : await grpcDoor()
      others = [http, grpc].filter((door) => door !== null)
      const [tcp] = await listener.start()
      return {
        tcp: (tcp as AddressInfo).port,
        http: await openDoor(http, config.host, ports.http),
        grpc: await openDoor(grpc, config.host, ports.grpc),
      }
    },
    expect: (state) => listener?.expect(state) ?? null,
    async evacuate() {
      const timeoutMs = config.drainTimeoutMs / 2
      await Promise.all([listener?.evacuate(timeoutMs), drainOthers(timeoutMs)])
    },
    async drain() {
      await Promise.all([listener?.drain(drainMs), drainOthers(drainMs)])
    },
  }
}

/** As the settings ask for it. */
export function portsOf({ port, http, httpPort, grpc, grpcPort }: Config): DoorPorts {
  return { tcp: port, http: http ? httpPort : null, grpc: grpc ? grpcPort : null }
}

function lineListener(deps: DoorsDeps, sessions: Sessions, port: number): Listener {
  const { config, gate, moves, clock, log } = deps
  const endpoints: Endpoint[] = [{ host: config.host, port }]
  if (config.unixSocket !== null) endpoints.push({ path: config.unixSocket })
  return new Listener(endpoints, {
    gate,
    codec: wireCodec,
    auth: new Authenticator(config.authTokens, clock),
    log,
    clock,
    frameBytesMax: config.frameBytesMax,
    sessions,
    connectionsMax: config.connectionsMax,
    moves,
  })
}

/** Loaded only where it is on, as the other one is. */
async function httpDoor({ config, gate, clock, log }: DoorsDeps): Promise<Door> {
  const { HttpDoor } = await import('./transports/http/http-door.ts')
  const { EventStreams } = await import('./transports/events/event-streams.ts')
  const { eventRoutes } = await import('./transports/events/event-routes.ts')
  const { realMoments } = await import('./transports/events/pacer.ts')
  const { anybody } = await import('./transports/auth/principal.ts')
  const auth = new Authenticator(config.authTokens, clock)
  const streams = new EventStreams({ feed: gate.feed, clock, log, moments: realMoments() })
  return new HttpDoor((app) =>
    eventRoutes(app, {
      streams,
      clock,
      guard: { check: () => null },
      origins: {
        refuses: ({ origin, host }) => origin !== undefined && origin !== `http://${host}`,
      },
      bearer: {
        principalOf: (header, address) => {
          if (!auth.required) return anybody
          const v = auth.attempt((header ?? '').replace(/^Bearer /, ''), address)
          return v === 'invalid'
            ? refusals.authInvalid
            : v === 'throttled'
              ? refusals.authThrottled
              : v
        },
        principalOfToken: (token, address) => {
          const v = auth.attempt(token, address)
          return v === 'invalid'
            ? refusals.authInvalid
            : v === 'throttled'
              ? refusals.authThrottled
              : v
        },
      },
      principalOf: () => anybody,
      answerOf: ({ code, text }) => ({
        status: code === 'forbidden' ? 403 : code === 'draining' ? 503 : 400,
        headers: {},
        body: Buffer.from(JSON.stringify({ ok: false, error: text, code })),
      }),
      isAllowed: () => true,
    }),
  )
}

async function grpcDoor(): Promise<Door> {
  const { GrpcDoor } = await import('./transports/grpc/grpc-door.ts')
  return new GrpcDoor()
}

async function openDoor(
  door: Door | null,
  host: string,
  port: number | null,
): Promise<number | null> {
  return door === null || port === null ? null : door.open(host, port)
}
