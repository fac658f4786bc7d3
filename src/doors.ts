// What a worker listens with: the line protocol always, HTTP and gRPC when they are on.

import type { AddressInfo } from 'node:net'
import type { Moves } from './cluster/moves.ts'
import type { NodeView } from './cluster/node-view.ts'
import type { Listeners, NodeLife } from './cluster/worker.ts'
import type { Config } from './config.ts'
import { type Credentials, readCredentials } from './credentials.ts'
import type { HolderOrigin } from './engine/holder-number.ts'
import type { Clock, DoorPorts, Gate } from './engine/ports.ts'
import { Door as DoorNumber, type Traffic } from './engine/traffic.ts'
import type { Logger } from './logger.ts'
import type { SpanFigures } from './measures.ts'
import { Observation } from './observation.ts'
import { timerDelay } from './storage/delay.ts'
import type { StoreFigures } from './storage/store-figures.ts'
import type { Authenticator } from './transports/auth/authenticator.ts'
import { Guard } from './transports/auth/guard.ts'
import { Usage } from './transports/auth/usage.ts'
import { Caller } from './transports/caller.ts'
import type { Door } from './transports/door.ts'
import { Sessions } from './transports/sessions.ts'
import { type Endpoint, Listener } from './transports/tcp/listener.ts'
import type { Certificates } from './transports/tls/certificates.ts'
import { wireCodec } from './transports/wire/codec.ts'
import { version } from './version.ts'
import type { WorkerWebhooks } from './webhooks.ts'

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
  readonly webhooks: WorkerWebhooks | null
  readonly node: NodeLife & { readonly id: string | null; readonly startedAtMs: number }
}

export function doorsOf(deps: DoorsDeps): Listeners {
  const { config } = deps
  const drainMs = config.drainTimeoutMs + DRAIN_MARGIN_MS
  let credentials: Credentials | null = null
  let listener: Listener | null = null
  let others: Door[] = []
  const observation = new Observation(deps)
  const drainOthers = (timeoutMs: number): Promise<unknown> =>
    Promise.all(others.map((door) => door.drain(timeoutMs)))
  return {
    async open(ports) {
      const bound = { ...ports }
      credentials = readCredentials(config, deps.clock, deps.log)
      const shared = sharedOf(deps, observation, credentials, bound)
      listener = lineListener(shared, ports.tcp)
      const http = ports.http === null ? null : await httpDoor(shared)
      const grpc = ports.grpc === null ? null : await grpcDoor(shared)
      others = [http, grpc].filter((door) => door !== null)
      const [tcp] = await listener.start()
      bound.tcp = (tcp as AddressInfo).port
      bound.http = await openDoor(http, config.host, ports.http)
      bound.grpc = await openDoor(grpc, config.host, ports.grpc)
      observation.opened(bound.tcp)
      deps.webhooks?.opened(bound)
      return bound
    },
    expect: (state) => listener?.expect(state) ?? null,
    announceEnd() {
      for (const door of others) door.announceEnd()
    },
    async evacuate() {
      observation.drains()
      const timeoutMs = config.drainTimeoutMs / 2
      await Promise.all([listener?.evacuate(timeoutMs), drainOthers(timeoutMs)])
    },
    async drain() {
      observation.drains()
      const delivered = deps.webhooks?.deliverer.stop()
      await Promise.all([listener?.drain(drainMs), drainOthers(drainMs), delivered])
      credentials?.stop()
    },
  }
}

/** As the settings ask for it. */
export function portsOf({ port, http, httpPort, grpc, grpcPort }: Config): DoorPorts {
  return { tcp: port, http: http ? httpPort : null, grpc: grpc ? grpcPort : null }
}

/** What all doors of a worker have in common. */
interface Shared extends DoorsDeps {
  readonly observation: Observation
  readonly sessions: Sessions
  readonly auth: Authenticator
  readonly usage: Usage
  readonly certificates: Certificates | null
  /** Where they listen, as far as that is known. */
  readonly bound: DoorPorts
}

function sharedOf(
  deps: DoorsDeps,
  observation: Observation,
  { auth, certificates }: Credentials,
  bound: DoorPorts,
): Shared {
  const usage = new Usage(deps.clock)
  const sessions = new Sessions(deps.origin)
  return { ...deps, observation, sessions, auth, usage, certificates, bound }
}

/** What asks in the name of one door's clients. */
function callerOf(shared: Shared, door: DoorNumber): { caller: Caller; guard: Guard } {
  const { gate, sessions, traffic } = shared
  const caller = new Caller(gate, sessions, traffic, door)
  return { caller, guard: new Guard(gate, wireCodec, caller) }
}

function lineListener(shared: Shared, port: number): Listener {
  const { config } = shared
  const endpoints: Endpoint[] = [{ host: config.host, port }]
  if (config.unixSocket !== null) endpoints.push({ path: config.unixSocket })
  return new Listener(endpoints, {
    ...shared,
    // Its connections ask for themselves; this is for what they are asked about.
    guard: callerOf(shared, DoorNumber.server).guard,
    consumers: shared.observation.consumers,
    codec: wireCodec,
    authTimeoutMs: config.authTimeoutMs,
    frameBytesMax: config.frameBytesMax,
    connectionsMax: config.connectionsMax,
    strangersMax: config.strangersMax,
  })
}

/** Loaded only where it is on, as the other one is. */
async function httpDoor(shared: Shared): Promise<Door> {
  const { HttpDoor } = await import('./transports/http/http-door.ts')
  const { events } = await import('./transports/events/event-routes.ts')
  const { node, bound } = shared
  return new HttpDoor({
    ...shared,
    ...callerOf(shared, DoorNumber.http),
    node: {
      version,
      id: node.id,
      startedAtMs: node.startedAtMs,
      ports: bound,
      leads: () => node.leads(),
      stop: (how) => node.stop(how === 'restart'),
    },
    // Routes of other rooms: each a RoutePlugin, see transports/http/http-deps.ts.
    plugins: [events, ...(await shared.observation.routes())],
  })
}

async function grpcDoor(shared: Shared): Promise<Door> {
  const { GrpcDoor } = await import('./transports/grpc/grpc-door.ts')
  const { config } = shared
  return new GrpcDoor({
    ...shared,
    ...callerOf(shared, DoorNumber.grpc),
    consumers: shared.observation.consumers,
    delay: timerDelay,
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
