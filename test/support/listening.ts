// A listener on a free port of the loopback, before a fake gate; everything is closed after the test.

import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { limits } from '../../src/engine/limits.ts'
import { Traffic } from '../../src/engine/traffic.ts'
import { Authenticator } from '../../src/transports/auth/authenticator.ts'
import { Consumers } from '../../src/transports/consumers/consumers.ts'
import type { Log } from '../../src/transports/log.ts'
import { Sessions } from '../../src/transports/sessions.ts'
import { type Endpoint, Listener } from '../../src/transports/tcp/listener.ts'
import type { Moves } from '../../src/transports/tcp/moving.ts'
import { wireCodec } from '../../src/transports/wire/codec.ts'
import { FakeGate } from './fake-gate.ts'
import { LineClient } from './line-client.ts'

export interface Listening {
  readonly gate: FakeGate
  readonly listener: Listener
  readonly clock: { ms: number }
  readonly logged: string[]
  readonly addresses: (AddressInfo | string)[]
  client(): Promise<LineClient>
}

export interface ListeningOptions {
  tokens?: string[]
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
  const listener = new Listener(options.endpoints ?? [{ host: '127.0.0.1', port: 0 }], {
    gate,
    codec: wireCodec,
    auth: new Authenticator(options.tokens ?? [], { nowMs: () => clock.ms }),
    log,
    frameBytesMax: options.frameBytesMax ?? limits.frameBytesMax,
    clock: { nowMs: () => clock.ms },
    moves: options.moves ?? null,
    sessions: new Sessions({ worker: 3, incarnation: 1 }),
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
  return { gate, listener, clock, logged, addresses, client }
}
