// One server for all tests of a file or a `describe`: started before the first, stopped after the last.

import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll } from 'vitest'
import { ServerProcess } from './server-process.ts'
import { WireClient } from './wire-client.ts'

/** Two workers take new connections in turn: among so many there is one of each. */
const CONNECTIONS_MAX = 20

export class SharedServer {
  private running: ServerProcess | null = null

  constructor(settings: Readonly<Record<string, string>> = {}) {
    beforeAll(async () => {
      this.running = await new ServerProcess(settings).ready()
    })
    afterAll(async () => {
      await this.running?.stop()
    })
  }

  get process(): ServerProcess {
    if (this.running === null) throw new Error('the server is not running yet')
    return this.running
  }

  /** A new connection, closed when the test has finished. */
  client(): Promise<WireClient> {
    return clientOf(this.process)
  }

  clients(count: number): Promise<WireClient[]> {
    return Promise.all(Array.from({ length: count }, () => this.client()))
  }

  clientPerWorker(): Promise<WireClient[]> {
    return clientPerWorkerOf(this.process)
  }
}

export function clientOf(server: ServerProcess): Promise<WireClient> {
  return WireClient.open({ host: '127.0.0.1', port: server.port })
}

/** A connection to each worker, at the worker's index. */
async function clientPerWorkerOf(server: ServerProcess): Promise<WireClient[]> {
  const clients: WireClient[] = []
  for (let tries = 0; tries < CONNECTIONS_MAX; tries++) {
    const client = await clientOf(server)
    const { metrics } = await client.ok({ cmd: 'METRICS' })
    clients[metrics?.['worker'] as number] ??= client
    if (Object.keys(clients).length === server.workerPids().length) return clients
  }
  throw new Error('a worker takes no connections')
}

/** Bytes of memory that the server's processes hold, primary and workers. */
export function residentBytes(server: ServerProcess): number {
  const pids = [server.pid, ...server.workerPids()]
  const list = execFileSync('ps', ['-o', 'rss=', '-p', pids.join(',')], { encoding: 'utf8' })
  const kilobytes = list.trim().split(/\s+/).map(Number)
  return kilobytes.reduce((sum, each) => sum + each * 1024, 0)
}
