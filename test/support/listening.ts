// A listener on a free port of the loopback, before a fake gate; everything is closed after the test.

import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { limits } from '../../src/engine/limits.ts'
import { Traffic } from '../../src/engine/traffic.ts'
import { Authenticator, type IssuedToken } from '../../src/transports/auth/authenticator.ts'
import { Guard } from '../../src/transports/auth/guard.ts'
import { Usage } from '../../src/transports/auth/usage.ts'
import { Caller } from '../../src/transports/caller.ts'
import { Consumers } from '../../src/transports/consumers/consumers.ts'
import type { Log } from '../../src/transports/log.ts'
import { Sessions } from '../../src/transports/sessions.ts'
import { type Endpoint, Listener } from '../../src/transports/tcp/listener.ts'
import type { Moves } from '../../src/transports/tcp/moving.ts'
import type { Certificates } from '../../src/transports/tls/certificates.ts'
import { wireCodec } from '../../src/transports/wire/codec.ts'
import { FakeGate } from './fake-gate.ts'
import { LineClient } from './line-client.ts'

export interface Listening {
  readonly gate: FakeGate
  readonly listener: Listener
  readonly auth: Authenticator
  readonly clock: { ms: number }
  readonly logged: string[]
  readonly addresses: (AddressInfo | string)[]
  client(): Promise<LineClient>
}

export interface ListeningOptions {
  tokens?: string[]
  issued?: IssuedToken[]
  certificates?: Certificates
  authTimeoutMs?: number
  strangersMax?: number
  frameBytesMax?: number
  connectionsMax?: number
  endpoints?: Endpoint[]
  moves?: Moves
}

export async function listening(options: ListeningOptions = {}): Promise<Listening> {
  const gate = new FakeGate()
  const clock = { ms: 1_000_000 }
  const logged: string[] = []
  const note = (_fields: object, text: string): void => {
    logged.push(text)
  }
  const log: Log = { debug: note, info: note, warn: note, error: note }
  const { issued } = options
  const auth = new Authenticator(
    options.tokens ?? [],
    { nowMs: () => clock.ms },
    issued === undefined ? { log } : { issued, log },
  )
  const sessions = new Sessions({ worker: 3, incarnation: 1 })
  const listener = new Listener(options.endpoints ?? [{ host: '127.0.0.1', port: 0 }], {
    gate,
    codec: wireCodec,
    auth,
    usage: new Usage({ nowMs: () => clock.ms }),
    guard: new Guard(
      gate,
      wireCodec,
      new Caller(gate, new Sessions({ worker: 4, incarnation: 1 })),
    ),
    authTimeoutMs: options.authTimeoutMs ?? limits.authTimeoutMs,
    strangersMax: options.strangersMax ?? 100,
    certificates: options.certificates ?? null,
    log,
    frameBytesMax: options.frameBytesMax ?? limits.frameBytesMax,
    clock: { nowMs: () => clock.ms },
    moves: options.moves ?? null,
    sessions,
    traffic: new Traffic(),
    consumers: new Consumers({ nowMs: () => clock.ms }),
    connectionsMax: options.connectionsMax ?? 100,
  })
  onTestFinished(() => listener.stop())
  const addresses = await listener.start()
  const [first] = addresses
  const client = async (): Promise<LineClient> => {
    const where = typeof first === 'string' ? { path: first } : { port: first?.port ?? 0 }
    const opened = await LineClient.open(where)
    onTestFinished(() => opened.destroy())
    return opened
  }
  return { gate, listener, auth, clock, logged, addresses, client }
}
