// What a worker listens with: the line protocol always, HTTP and gRPC when they are on.

import type { AddressInfo } from 'node:net'
import type { Moves } from './cluster/moves.ts'
import type { NodeView } from './cluster/node-view.ts'
import type { Listeners, NodeLife } from './cluster/worker.ts'
import type { Config } from './config.ts'
import type { HolderOrigin } from './engine/holder-number.ts'
import type { Clock, DoorPorts, Gate } from './engine/ports.ts'
import { Door as DoorNumber, type Traffic } from './engine/traffic.ts'
import type { Logger } from './logger.ts'
import type { SpanFigures } from './measures.ts'
import { Observation } from './observation.ts'
import { timerDelay } from './storage/delay.ts'
import type { StoreFigures } from './storage/store-figures.ts'
import { Admission } from './transports/auth/admission.ts'
import { Authenticator } from './transports/auth/authenticator.ts'
import { Caller } from './transports/caller.ts'
import type { Door } from './transports/door.ts'
import { Sessions } from './transports/sessions.ts'
import { type Endpoint, Listener } from './transports/tcp/listener.ts'
import { wireCodec } from './transports/wire/codec.ts'
import { version } from './version.ts'

/** Cut off by the primary, not by the worker, so that the exit code tells. */
const DRAIN_MARGIN_MS = 1000

export interface DoorsDeps {
  readonly config: Config
  readonly origin: HolderOrigin
  readonly gate: Gate
  readonly moves: Moves
  readonly clock: Clock
  readonly log: Logger
  readonly view: NodeView
  readonly traffic: Traffic
  /** Null where nothing is stored. */
  readonly store: (() => StoreFigures) | null
  readonly spans: SpanFigures | null
  readonly node: NodeLife & { readonly id: string | null; readonly startedAtMs: number }
}

export function doorsOf(deps: DoorsDeps): Listeners {
  const { config } = deps
  const drainMs = config.drainTimeoutMs + DRAIN_MARGIN_MS
  let listener: Listener | null = null
  let others: Door[] = []
  const observation = new Observation(deps)
  const drainOthers = (timeoutMs: number): Promise<unknown> =>
    Promise.all(others.map((door) => door.drain(timeoutMs)))
  return {
    async open(ports) {
      const bound = { ...ports }
      const shared = sharedOf(deps, observation, bound)
      listener = lineListener(deps, shared, ports.tcp)
      const http = ports.http === null ? null : await httpDoor(deps, shared)
      const grpc = ports.grpc === null ? null : await grpcDoor(deps, shared)
      others = [http, grpc].filter((door) => door !== null)
      const [tcp] = await listener.start()
      bound.tcp = (tcp as AddressInfo).port
      bound.http = await openDoor(http, config.host, ports.http)
      bound.grpc = await openDoor(grpc, config.host, ports.grpc)
      observation.opened(bound.tcp)
      return bound
    },
    expect: (state) => listener?.expect(state) ?? null,
    async evacuate() {
      observation.drains()
      const timeoutMs = config.drainTimeoutMs / 2
      await Promise.all([listener?.evacuate(timeoutMs), drainOthers(timeoutMs)])
    },
    async drain() {
      observation.drains()
      await Promise.all([listener?.drain(drainMs), drainOthers(drainMs)])
    },
  }
}

/** As the settings ask for it. */
export function portsOf({ port, http, httpPort, grpc, grpcPort }: Config): DoorPorts {
  return { tcp: port, http: http ? httpPort : null, grpc: grpc ? grpcPort : null }
}

/** What all doors of a worker have in common. */
interface Shared {
  readonly sessions: Sessions
  readonly auth: Authenticator
  readonly observation: Observation
  readonly bound: DoorPorts
}

function sharedOf(deps: DoorsDeps, observation: Observation, bound: DoorPorts): Shared {
  const { config, origin, clock } = deps
  const auth = new Authenticator(config.authTokens, clock)
  return { sessions: new Sessions(origin), auth, observation, bound }
}

function callerOf({ gate, traffic }: DoorsDeps, { sessions }: Shared, door: DoorNumber): Caller {
  return new Caller(gate, sessions, traffic, door)
}

function lineListener(deps: DoorsDeps, shared: Shared, port: number): Listener {
  const { config, gate, moves, clock, log, traffic } = deps
  const { sessions, auth, observation } = shared
  const { consumers } = observation
  const endpoints: Endpoint[] = [{ host: config.host, port }]
  if (config.unixSocket !== null) endpoints.push({ path: config.unixSocket })
  return new Listener(endpoints, {
    gate,
    codec: wireCodec,
    auth,
    log,
    clock,
    frameBytesMax: config.frameBytesMax,
    sessions,
    connectionsMax: config.connectionsMax,
    moves,
    traffic,
    consumers,
  })
}

/** Loaded only where it is on, as the other one is. */
async function httpDoor(deps: DoorsDeps, shared: Shared): Promise<Door> {
  const { config, gate, clock, log, node, traffic } = deps
  const { auth, observation, bound } = shared
  const { HttpDoor } = await import('./transports/http/http-door.ts')
  const { events } = await import('./transports/events/event-routes.ts')
  return new HttpDoor({
    config,
    caller: callerOf(deps, shared, DoorNumber.http),
    auth,
    gate,
    clock,
    log,
    traffic,
    node: {
      version,
      id: node.id,
      startedAtMs: node.startedAtMs,
      ports: bound,
      leads: () => node.leads(),
      stop: (how) => node.stop(how === 'restart'),
    },
    // Routes of other rooms: each a RoutePlugin, see transports/http/http-deps.ts.
    plugins: [events, ...(await observation.routes())],
  })
}

async function grpcDoor(deps: DoorsDeps, shared: Shared): Promise<Door> {
  const { GrpcDoor } = await import('./transports/grpc/grpc-door.ts')
  const { config, gate, log } = deps
  const caller = callerOf(deps, shared, DoorNumber.grpc)
  return new GrpcDoor({
    gate,
    caller,
    admission: new Admission(caller),
    auth: shared.auth,
    delay: timerDelay,
    log,
    frameBytesMax: config.frameBytesMax,
    connectionsMax: config.connectionsMax,
    reflection: config.grpcReflection,
  })
}

async function openDoor(
  door: Door | null,
  host: string,
  port: number | null,
): Promise<number | null> {
  return door === null || port === null ? null : door.open(host, port)
}
