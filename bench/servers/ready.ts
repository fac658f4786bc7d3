// Ports for the servers of a bench, and waiting until one of them answers.

import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { ask, openLine } from '../load/line-connection.ts'
import type { Address } from '../load/spec.ts'
import type { Child } from './child.ts'

const firstPort = Number(process.env['BENCH_PORT'] ?? 18100)
const portsMax = 800
const pollMs = 50
const readyMs = 20_000
let nextPort = firstPort

/** A loopback port that nobody listens on now. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < portsMax; tries++) {
    const port = nextPort
    nextPort = firstPort + ((nextPort + 1 - firstPort) % portsMax)
    const probe = createServer()
    const free = await Promise.race([
      once(probe.listen(port, '127.0.0.1'), 'listening').then(() => true),
      once(probe, 'error').then(() => false),
    ]).catch(() => false)
    if (!free) continue
    probe.close()
    await once(probe, 'close')
    return port
  }
  throw new Error(`no free port from ${firstPort} on`)
}

/** Resolves once `command` gets any line in reply. */
export async function untilAnswers(child: Child, at: Address, command: string): Promise<void> {
  const endMs = performance.now() + readyMs
  while (performance.now() < endMs) {
    if (child.ended) throw new Error(child.lastWords())
    const answered = await tryOnce(at, command)
    if (answered) return
    await sleep(pollMs)
  }
  throw new Error(`${child.name} does not answer at ${at.host}:${at.port}`)
}

async function tryOnce(at: Address, command: string): Promise<boolean> {
  try {
    const connection = await openLine(at)
    const reply = await Promise.race([ask(connection, command), sleep(2000, '')])
    connection.close()
    return reply !== ''
  } catch {
    return false
  }
}
