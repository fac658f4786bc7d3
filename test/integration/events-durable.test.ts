// Events of a server that keeps its jobs in PostgreSQL: only what is durable is told, and workers that are replaced one
// after another lose nothing unsaid.

import { describe, expect, it } from 'vitest'
import { databaseSettings, Load, ownDatabase, startDurable } from '../support/durable-server.ts'
import { EventClient } from '../support/event-client.ts'
import { eventually } from '../support/eventually.ts'
import type { ServerProcess } from '../support/server-process.ts'
import { WireClient } from '../support/wire-client.ts'

const HTTP = { HTTP: '1', HTTP_PORT: '0' }
const RESTART_MS_MAX = 60_000

/** As a browser does it: comes back with the last id whenever the stream ends. */
class Follower {
  readonly parts: EventClient[] = []
  isOver = false
  private readonly server: ServerProcess
  readonly running: Promise<void>

  constructor(server: ServerProcess, first: EventClient) {
    this.server = server
    this.parts.push(first)
    this.running = this.run()
  }

  get jobs(): number[] {
    return this.parts.flatMap(({ jobs }) => jobs)
  }

  get dropped(): object[] {
    return this.parts.flatMap(({ dropped }) => dropped.map(({ data }) => data))
  }

  async stop(): Promise<void> {
    this.isOver = true
    this.parts.at(-1)?.close()
    await this.running
  }

  private async run(): Promise<void> {
    for (;;) {
      const stream = this.parts.at(-1) as EventClient
      await stream.until('it ends', ({ isEnded }) => isEnded || this.isOver, RESTART_MS_MAX)
      if (this.isOver) return
      const { lastEventId } = stream
      const next = await EventClient.open({ port: this.server.httpPort, lastEventId }).catch(
        () => null,
      )
      if (next !== null && next.status === 200) this.parts.push(next)
    }
  }
}

describe('SIGHUP', () => {
  it('ends streams cleanly, and those who come back have missed and doubled nothing', async () => {
    const server = await startDurable({ ...HTTP, ...(await databaseSettings()) })
    const followers: Follower[] = []
    for (let i = 0; i < 4; i++) {
      followers.push(new Follower(server, await EventClient.open({ port: server.httpPort })))
    }
    const clients: WireClient[] = []
    for (let i = 0; i < 4; i++)
      clients.push(await WireClient.open({ host: '127.0.0.1', port: server.port }))
    const load = new Load(clients, ['q0', 'q1', 'q2', 'q3', 'q4'])
    const pids = server.workerPids()
    server.signal('SIGHUP')
    await eventually('all workers are new', RESTART_MS_MAX, () => {
      const now = server.workerPids()
      return (
        pids.every((pid, i) => now[i] !== pid) &&
        server.find('all workers were restarted') !== undefined
      )
    })
    await load.stop()
    expect(load.acked.length).toBeGreaterThan(100)
    for (const follower of followers) {
      const heard = (): boolean => {
        const jobs = new Set(follower.jobs)
        return follower.dropped.length > 0 || load.acked.every((id) => jobs.has(id))
      }
      await eventually('all are there', 20_000, heard)
      expect(new Set(follower.jobs).size).toBe(follower.jobs.length)
      expect(follower.parts.length).toBeGreaterThan(1)
      expect(follower.dropped).toEqual([])
      await follower.stop()
    }
  })

  it('a client that stays away while every worker is replaced is told that it may have missed something', async () => {
    const server = await startDurable({ ...HTTP, ...(await databaseSettings()) })
    const stream = await EventClient.open({ port: server.httpPort })
    await stream.until('it has a place', ({ lastEventId }) => lastEventId !== '')
    stream.close()
    const pids = server.workerPids()
    server.signal('SIGHUP')
    await eventually('all workers are new', RESTART_MS_MAX, () => {
      const now = server.workerPids()
      return (
        pids.every((pid, i) => now[i] !== pid) &&
        server.find('all workers were restarted') !== undefined
      )
    })
    const { lastEventId } = stream
    const back = await EventClient.open({ port: server.httpPort, lastEventId })
    await back.until('it is told', ({ events }) => events.length === 1)
    expect(back.events[0]?.data).toEqual({ event_type: 'dropped' })
  })
})

describe('an event', () => {
  it('is told when it is durable, and not before', async () => {
    const { postgres, settings } = await ownDatabase()
    const server = await startDurable({ ...HTTP, ...settings })
    const stream = await EventClient.open({ port: server.httpPort })
    const client = await WireClient.open({ host: '127.0.0.1', port: server.port })
    await client.ok({ cmd: 'PUSH', queue: 'q', data: 1 })
    await stream.until('the first is there', ({ jobs }) => jobs.length === 1)
    await postgres.stop()
    const pushed = client.ask({ cmd: 'PUSH', queue: 'q', data: 2 })
    // The server answers what needs no database, so it runs; and has told nothing.
    const other = await WireClient.open({ host: '127.0.0.1', port: server.port })
    await other.ask({ cmd: 'UNSUBSCRIBE', queue: 'q' })
    expect(stream.jobs).toHaveLength(1)
    await postgres.start()
    const { ok } = await pushed
    if (ok) await stream.until('the second is there', ({ jobs }) => jobs.length === 2)
    else expect(stream.jobs).toHaveLength(1)
  })
})
