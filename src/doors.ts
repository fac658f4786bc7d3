// What a worker listens with: the line protocol always, HTTP and gRPC when they are on.

import type { AddressInfo } from 'node:net'
import type { Moves } from './cluster/moves.ts'
import type { Listeners } from './cluster/worker.ts'
import type { Config } from './config.ts'
import { type Credentials, readCredentials } from './credentials.ts'
import type { HolderOrigin } from './engine/holder-number.ts'
import type { Clock, DoorPorts, Gate } from './engine/ports.ts'
import type { Logger } from './logger.ts'
import { timerDelay } from './storage/delay.ts'
import type { Authenticator } from './transports/auth/authenticator.ts'
import { Guard } from './transports/auth/guard.ts'
import { Caller } from './transports/caller.ts'
import type { Door } from './transports/door.ts'
import { Sessions } from './transports/sessions.ts'
import { type Endpoint, Listener } from './transports/tcp/listener.ts'
import type { Certificates } from './transports/tls/certificates.ts'
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
  let credentials: Credentials | null = null
  let listener: Listener | null = null
  let others: Door[] = []
  const drainOthers = (timeoutMs: number): Promise<unknown> =>
    Promise.all(others.map((door) => door.drain(timeoutMs)))
  return {
    async open(ports) {
      const sessions = new Sessions(deps.origin)
      credentials = readCredentials(config, deps.clock, deps.log)
      const { auth, certificates } = credentials
      const caller = new Caller(deps.gate, sessions)
      const guard = new Guard(deps.gate, wireCodec, caller)
      listener = lineListener({ ...deps, sessions, auth, guard, certificates }, ports.tcp)
      const http = ports.http === null ? null : await httpDoor(certificates)
      const grpc =
        ports.grpc === null ? null : await grpcDoor({ ...deps, auth, guard, caller, certificates })
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
      credentials?.stop()
    },
  }
}

/** As the settings ask for it. */
export function portsOf({ port, http, httpPort, grpc, grpcPort }: Config): DoorPorts {
  return { tcp: port, http: http ? httpPort : null, grpc: grpc ? grpcPort : null }
}

interface LineDeps extends DoorsDeps {
  readonly sessions: Sessions
  readonly auth: Authenticator
  readonly guard: Guard
  readonly certificates: Certificates | null
}

function lineListener(deps: LineDeps, port: number): Listener {
  const { config } = deps
  const endpoints: Endpoint[] = [{ host: config.host, port }]
  if (config.unixSocket !== null) endpoints.push({ path: config.unixSocket })
  return new Listener(endpoints, {
    ...deps,
    codec: wireCodec,
    authTimeoutMs: config.authTimeoutMs,
    frameBytesMax: config.frameBytesMax,
    connectionsMax: config.connectionsMax,
    strangersMax: config.strangersMax,
  })
}

/** Loaded only where it is on, as the other one is. */
async function httpDoor(certificates: Certificates | null): Promise<Door> {
  const { HttpDoor } = await import('./transports/http/http-door.ts')
  return new HttpDoor(certificates)
}

interface GrpcDeps extends DoorsDeps {
  readonly auth: Authenticator
  readonly guard: Guard
  readonly caller: Caller
  readonly certificates: Certificates | null
}

async function grpcDoor(deps: GrpcDeps): Promise<Door> {
  const { GrpcDoor } = await import('./transports/grpc/grpc-door.ts')
  const { config } = deps
  return new GrpcDoor({
    ...deps,
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
