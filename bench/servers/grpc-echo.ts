// The ceilings of gRPC (`echo/grpc-main.ts`), started and waited for.

import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Child } from './child.ts'
import { freePort } from './ready.ts'
import type { Server } from './server.ts'
import { usageOf } from './usage.ts'

const main = fileURLToPath(new URL('../echo/grpc-main.js', import.meta.url))
const pollMs = 50
const readyMs = 20_000

export type GrpcEchoKind = 'messages' | 'bytes'

export async function startGrpcEcho(kind: GrpcEchoKind, batch: number): Promise<Server> {
  const port = await freePort()
  const name = `grpc-js echo (${kind})`
  const child = new Child(name, process.execPath, [main, String(port), String(batch), kind])
  child.process.stdout?.resume()
  const endMs = performance.now() + readyMs
  while (!(await accepts(port))) {
    if (child.ended) throw new Error(child.lastWords())
    if (performance.now() > endMs) throw new Error(`${name} does not listen`)
    await sleep(pollMs)
  }
  return {
    name,
    at: { host: '127.0.0.1', port },
    pid: child.pid,
    usage: () => usageOf(child.pid),
    stop: () => child.stop(),
  }
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
