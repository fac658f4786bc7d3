// The HTTP door on a free port of the loopback, before a fake gate; drained after the test.

import { onTestFinished } from 'vitest'
import { Traffic } from '../../src/engine/traffic.ts'
import { Authenticator } from '../../src/transports/auth/authenticator.ts'
import { Guard } from '../../src/transports/auth/guard.ts'
import { Usage } from '../../src/transports/auth/usage.ts'
import { Caller } from '../../src/transports/caller.ts'
import { HttpDoor, type HttpTimes } from '../../src/transports/http/http-door.ts'
import { Sessions } from '../../src/transports/sessions.ts'
import { wireCodec } from '../../src/transports/wire/codec.ts'
import { FakeGate } from './fake-gate.ts'

export async function listeningHttp(times?: HttpTimes) {
  const gate = new FakeGate()
  const clock = { nowMs: () => 0 }
  const caller = new Caller(gate, new Sessions({ worker: 0, incarnation: 1 }))
  const quiet = () => undefined
  const door = new HttpDoor({
    config: {
      host: '127.0.0.1',
      httpPort: 0,
      frameBytesMax: 1_000_000,
      connectionsMax: 100,
      allowedHosts: [],
      corsOrigins: [],
      authTokens: [],
      databaseUrl: null,
      webhookIncomingSecrets: [],
    },
    caller,
    guard: new Guard(gate, wireCodec, caller),
    auth: new Authenticator([], clock),
    usage: new Usage(clock),
    certificates: null,
    traffic: new Traffic(),
    gate,
    clock,
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    node: {
      version: '0',
      id: null,
      startedAtMs: 0,
      ports: { tcp: 0, http: 0, grpc: null },
      leads: () => true,
      stop: quiet,
    },
    plugins: [],
    ...(times === undefined ? {} : { times }),
  })
  const port = await door.open('127.0.0.1', 0)
  onTestFinished(() => door.drain(0))
  return { gate, door, port }
}
