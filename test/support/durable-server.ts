// Servers as processes over a real PostgreSQL, and what tests ask of them again and again.

import { onTestFinished } from 'vitest'
import { openTestDatabase } from './database.ts'
import { eventually } from './eventually.ts'
import { OwnPostgres } from './own-postgres.ts'
import { ServerProcess } from './server-process.ts'
import { WireClient, type WireJob } from './wire-client.ts'

export type Settings = Readonly<Record<string, string>>

/** A schema of its own in the shared PostgreSQL. */
export async function databaseSettings(): Promise<{
  DATABASE_URL: string
  DATABASE_SCHEMA: string
}> {
  const database = await openTestDatabase()
  onTestFinished(() => database.drop())
  return { DATABASE_URL: database.url, DATABASE_SCHEMA: database.schema }
}

/** A PostgreSQL that the test may stop. */
export async function ownDatabase(): Promise<{ postgres: OwnPostgres; settings: Settings }> {
  const postgres = await OwnPostgres.open()
  onTestFinished(() => postgres.destroy())
  return { postgres, settings: { DATABASE_URL: postgres.url } }
}

/** Not waited for; stopped when the test has finished. */
export function launch(settings: Settings): ServerProcess {
  const server = new ServerProcess(settings)
  onTestFinished(async () => {
    await server.stop()
  })
  return server
}

export function startDurable(settings: Settings): Promise<ServerProcess> {
  return launch(settings).ready()
}

export function clientOf(server: ServerProcess): Promise<WireClient> {
  return WireClient.open({ host: '127.0.0.1', port: server.port })
}

/** Ends it without a word: the primary first, whose workers follow. */
export async function kill(server: ServerProcess): Promise<void> {
  server.signal('SIGKILL')
  await server.exited
}

/** After an outage: the lease is back, so what is answered from memory alone is answered again. */
export function untilRead(client: WireClient, id: number): Promise<void> {
  return eventually('the job is read', 10_000, async () => {
    const { ok } = await client.ask({ cmd: 'GETSTATE', id })
    return ok
  })
}

/** Everything that is ready in a queue, taken. */
export async function drainQueue(client: WireClient, queue: string): Promise<WireJob[]> {
  const all: WireJob[] = []
  for (;;) {
    const { jobs = [] } = await client.ok({ cmd: 'PULLB', queue, count: 1000, wait: 0 })
    if (jobs.length === 0) return all
    all.push(...jobs)
  }
}

/** Pushes that wait for their answer one by one, on as many connections. */
export class Load {
  /** Ids that were acknowledged, and what was refused. */
  readonly acked: number[] = []
  readonly refused: string[] = []
  /** Of the answers, in ms of `performance.now()`. */
  readonly ackedAtMs: number[] = []
  private readonly runs: Promise<void>[]
  private isOver = false

  constructor(clients: readonly WireClient[], queues: readonly string[]) {
    this.runs = clients.map((client, i) => this.run(client, queues[i % queues.length] as string))
  }

  async stop(): Promise<void> {
    this.isOver = true
    await Promise.all(this.runs)
  }

  private async run(client: WireClient, queue: string): Promise<void> {
    for (let n = 0; !this.isOver; n++) {
      const answer = await client.ask({ cmd: 'PUSH', queue, data: n }).catch(() => null)
      // Its connection went with a process.
      if (answer === null) return
      if (answer.ok) {
        this.acked.push(answer.id as number)
        this.ackedAtMs.push(performance.now())
      } else this.refused.push(answer.code ?? 'no code')
    }
  }
}
