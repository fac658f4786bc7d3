// What a worker listens with: the line protocol always, HTTP and gRPC when they are on.

import type { AddressInfo } from 'node:net'
import type { Moves } from './cluster/moves.ts'
import type { Listeners, NodeLife } from './cluster/worker.ts'
import type { Config } from './config.ts'
import type { HolderOrigin } from './engine/holder-number.ts'
import type { Clock, DoorPorts, Gate } from './engine/ports.ts'
import type { Logger } from './logger.ts'
import { Authenticator } from './transports/auth/authenticator.ts'
import { Caller } from './transports/caller.ts'
import type { Door } from './transports/door.ts'
import { Sessions } from './transports/sessions.ts'
import { type Endpoint, Listener } from './transports/tcp/listener.ts'
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
  readonly webhooks: WorkerWebhooks | null
  readonly node: NodeLife & { readonly id: string | null; readonly startedAtMs: number }
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
      const auth = new Authenticator(config.authTokens, deps.clock)
      const bound = { ...ports }
      listener = lineListener(deps, sessions, auth, ports.tcp)
      const http = ports.http === null ? null : await httpDoor(deps, sessions, auth, bound)
      const grpc = ports.grpc === null ? null : await grpcDoor()
      others = [http, grpc].filter((door) => door !== null)
      const [tcp] = await listener.start()
      bound.tcp = (tcp as AddressInfo).port
      bound.http = await openDoor(http, config.host, ports.http)
      bound.grpc = await openDoor(grpc, config.host, ports.grpc)
      deps.webhooks?.opened(bound)
      return bound
    },
    expect: (state) => listener?.expect(state) ?? null,
    async evacuate() {
      const timeoutMs = config.drainTimeoutMs / 2
      await Promise.all([listener?.evacuate(timeoutMs), drainOthers(timeoutMs)])
    },
    async drain() {
      const delivered = deps.webhooks?.deliverer.stop()
      await Promise.all([listener?.drain(drainMs), drainOthers(drainMs), delivered])
    },
  }
}

/** As the settings ask for it. */
export function portsOf({ port, http, httpPort, grpc, grpcPort }: Config): DoorPorts {
  return { tcp: port, http: http ? httpPort : null, grpc: grpc ? grpcPort : null }
}

function lineListener(
  deps: DoorsDeps,
  sessions: Sessions,
  auth: Authenticator,
  port: number,
): Listener {
  const { config, gate, moves, clock, log } = deps
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
  })
}

/** Loaded only where it is on, as the other one is. */
async function httpDoor(
  deps: DoorsDeps,
  sessions: Sessions,
  auth: Authenticator,
  bound: DoorPorts,
): Promise<Door> {
  const { config, gate, clock, log, node } = deps
  const { HttpDoor } = await import('./transports/http/http-door.ts')
  return new HttpDoor({
    config,
    caller: new Caller(gate, sessions),
    auth,
    gate,
    clock,
    log,
    node: {
      version,
      id: node.id,
      startedAtMs: node.startedAtMs,
      ports: bound,
      leads: () => node.leads(),
      stop: (how) => node.stop(how === 'restart'),
    },
    // Routes of other rooms: each a RoutePlugin, see transports/http/http-deps.ts.
    plugins: [],
  })
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
