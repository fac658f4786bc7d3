// The client's events over SSE, from a server whose workers come and go.

import { FlashQ } from 'flashq'
import { describe, expect, it, onTestFinished } from 'vitest'
import { databaseSettings, startDurable } from '../support/durable-server.ts'
import { queueOfShard } from '../support/engine-harness.ts'
import { eventually } from '../support/eventually.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'

const HTTP = { HTTP: '1', HTTP_PORT: '0' }
const MS_MAX = 30_000
const RESTART_MS_MAX = 60_000
/** New connections are given to the workers in turn: each has some. */
const FOLLOWERS = 6
/** Of shards of every worker. */
const QUEUES = [0, 9, 18, 27].map((shard) => queueOfShard(shard))

class Follower {
  readonly jobs: number[] = []
  dropped = 0
  private readonly client: FlashQ

  constructor(server: ServerProcess) {
    this.client = new FlashQ({ httpUrl: urlOf(server), reconnectDelayMax: 100 })
    onTestFinished(() => this.client.close())
  }

  async open(): Promise<this> {
    const events = this.client.events({ queues: QUEUES, types: ['pushed'] })
    await events.opened
    void this.follow(events)
    return this
  }

  private async follow(events: ReturnType<FlashQ['events']>): Promise<void> {
    for await (const event of events) {
      if (event.event === 'dropped') this.dropped++
      else this.jobs.push(event.job_id)
    }
  }

  hasAll(ids: readonly number[]): boolean {
    const heard = new Set(this.jobs)
    return ids.every((id) => heard.has(id))
  }
}

const urlOf = ({ httpPort }: ServerProcess): string => `http://127.0.0.1:${httpPort}`

const follow = (server: ServerProcess): Promise<Follower[]> =>
  Promise.all(Array.from({ length: FOLLOWERS }, () => new Follower(server).open()))

function clientOf(server: ServerProcess): FlashQ {
  const client = new FlashQ({ httpUrl: urlOf(server), timeout: MS_MAX })
  onTestFinished(() => client.close())
  return client
}

async function pushToAll(client: FlashQ): Promise<number[]> {
  const jobs = await Promise.all(QUEUES.map((queue) => client.push(queue, 1)))
  return jobs.map(({ id }) => id)
}

describe('an iterator of events over SSE', () => {
  it('goes on when one worker is killed: it is told of a gap, and hears all that comes then, once', async () => {
    const server = await startServer(HTTP)
    const followers = await follow(server)
    const client = clientOf(server)
    const before = await pushToAll(client)
    await eventually('all have heard', MS_MAX, () => followers.every((each) => each.hasAll(before)))
    const [pid = 0] = server.workerPids()
    process.kill(pid, 'SIGKILL')
    await eventually('there is another worker', MS_MAX, () => {
      return server.workerPids()[0] !== pid && server.find('shards have new owners') !== undefined
    })
    await eventually('all are back', MS_MAX, async () => {
      const probe = await pushToAll(client).catch(() => null)
      return probe !== null && followers.every(({ jobs }) => probe.some((id) => jobs.includes(id)))
    })
    const after = await pushToAll(client)
    await eventually('all hear', MS_MAX, () => followers.every((each) => each.hasAll(after)))
    for (const { jobs, dropped } of followers) {
      expect(new Set(jobs).size).toBe(jobs.length)
      expect(dropped).toBeGreaterThan(0)
    }
  })

  // Who is away, or alone at a worker, while that is replaced may miss something (docs/events.md), but never unsaid.
  it('misses nothing unsaid, and doubles nothing, while every worker is replaced', async () => {
    const server = await startDurable({ ...HTTP, ...(await databaseSettings()) })
    const followers = await follow(server)
    const client = clientOf(server)
    const pids = server.workerPids()
    const acked = await pushToAll(client)
    server.signal('SIGHUP')
    await eventually('all workers are new', RESTART_MS_MAX, async () => {
      acked.push(...(await pushToAll(client).catch(() => [])))
      const now = server.workerPids()
      const isNew = pids.every((pid, i) => now[i] !== pid)
      return isNew && server.find('all workers were restarted') !== undefined
    })
    acked.push(...(await pushToAll(client)))
    await eventually('all hear', MS_MAX, () => {
      return followers.every((each) => each.dropped > 0 || each.hasAll(acked))
    })
    const last = await pushToAll(client)
    await eventually('all go on', MS_MAX, () => followers.every((each) => each.hasAll(last)))
    for (const { jobs } of followers) expect(new Set(jobs).size).toBe(jobs.length)
  })
})
