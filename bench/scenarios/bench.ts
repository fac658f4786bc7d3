// What every scenario gets, and what it is.

import type { Mode } from '../mode.ts'
import type { Report } from '../report/report.ts'
import type { LoadDriver } from '../servers/driver.ts'
import type { EchoKind, FlashQOptions, Server } from '../servers/server.ts'

export interface Bench {
  mode: Mode
  report: Report
  /** The load process. */
  load: LoadDriver
  /** A second one, for probes and subscribers that run beside a load. */
  probe: LoadDriver
  /** A third one. */
  extra: LoadDriver
  /** True when a server that already runs is measured: it is the only one, and its workers are its own business. */
  foreign: boolean
  /** The server under test, fresh (unless foreign). `workers` undefined is the product's default. */
  startServer(workers?: number, more?: Omit<FlashQOptions, 'workers'>): Promise<Server>
  startEcho(dataBytes: number, kind?: EchoKind): Promise<Server>
  /** A queue name that no earlier slice used. */
  newQueue(hint: string): string
  log(text: string): void
}

export interface Scenario {
  name: string
  /** Compares with a product that is not in the repository. */
  peer: boolean
  /** Makes sense against a server that already runs. */
  foreign: boolean
  run(bench: Bench): Promise<void>
}

/** The usual shapes of the load: small jobs, batches of a thousand, ten connections. */
export const standard = {
  dataBytes: 72,
  largeDataBytes: 380,
  batch: 1000,
  connections: 10,
} as const

/** Runs `use` with servers that are stopped whatever happens. */
export async function withServers<const S extends readonly Promise<Server>[], T>(
  servers: S,
  use: (started: { [I in keyof S]: Server }) => Promise<T>,
): Promise<T> {
  const settled = await Promise.allSettled(servers)
  const started = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  try {
    const failed = settled.find((one) => one.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    return await use(started as { [I in keyof S]: Server })
  } finally {
    await Promise.all(started.map((server) => server.stop()))
  }
}
