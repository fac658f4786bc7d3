// SIGTERM while every door is in use at once: what was owed is answered, what waits is told, streams come to their end,
// the process exits with 0, and no job that was acknowledged is lost.

import { Metadata, status } from '@grpc/grpc-js'
import { describe, expect, it, onTestFinished } from 'vitest'
import WebSocket from 'ws'
import { type DoorClient, type DoorName, doorNames } from '../support/doors/door-client.ts'
import { openDoor, openDoors } from '../support/doors/open-doors.ts'
import { clientOf, databaseSettings, drainQueue, type Settings } from '../support/durable-server.ts'
import { EventClient } from '../support/event-client.ts'
import { eventually } from '../support/eventually.ts'
import { type Flow, GrpcClient } from '../support/grpc-client.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'
import { WireClient } from '../support/wire-client.ts'

const STREAMED = 'streamed'
const STREAMED_JOBS = 6
const WITHIN_MS = 30_000
/** What a client of gRPC makes of a connection that it could not have. */
const NOT_CONNECTED = 'no code, but UNAVAILABLE'

/** Pushes one after the other until there is no answer, or a refusal. */
class Load {
  readonly acked: number[] = []
  refusal = ''
  readonly over: Promise<void>

  constructor(door: DoorClient) {
    this.over = this.run(door)
  }

  private async run(door: DoorClient): Promise<void> {
    for (;;) {
      // A connection that is closed is no answer: nobody knows whether the push ran.
      const outcome = await door
        .run({ cmd: 'PUSH', queue: loadOf(door.name), data: 1 })
        .catch(() => null)
      if (outcome === null) return
      if (!outcome.ok) {
        this.refusal = outcome.code
        return
      }
      this.acked.push(outcome.value['id'] as number)
    }
  }
}

const loadOf = (name: DoorName): string => `load-${name}`

interface Streams {
  readonly sse: EventClient[]
  readonly webSockets: { socket: WebSocket; code: number }[]
  readonly calls: Flow[]
  readonly lines: WireClient[]
}

/** Two of each kind, of which each worker has one: new connections are handed out in turn. */
async function openStreams(server: ServerProcess, unix: string): Promise<Streams> {
  const streams: Streams = { sse: [], webSockets: [], calls: [], lines: [] }
  const begun: Promise<unknown>[] = []
  for (let n = 0; n < 2; n++) {
    streams.sse.push(await EventClient.open({ port: server.httpPort }))
    streams.webSockets.push(await openWebSocket(server))
    const client = new GrpcClient(server.grpcPort, new Metadata())
    const metadata = new Metadata()
    metadata.set('queue', STREAMED)
    metadata.set('prefetch', '2')
    const calls = [
      client.closeAfterTest().out('StreamJobs', { queue: STREAMED, prefetch: 2 }),
      client.both('ProcessJobs', metadata),
      client.out('Subscribe', { queue: 'load-TCP', events: ['*'] }),
    ]
    begun.push(...calls.map(({ call }) => new Promise((resolve) => call.once('metadata', resolve))))
    streams.calls.push(...calls)
    for (const where of [{ host: '127.0.0.1', port: server.port }, { path: unix }]) {
      const line = await WireClient.open(where)
      await line.ok({ cmd: 'SUBSCRIBE', queue: 'load-TCP', events: ['*'] })
      streams.lines.push(line)
    }
  }
  await Promise.all(begun)
  return streams
}

function openWebSocket(server: ServerProcess): Promise<{ socket: WebSocket; code: number }> {
  const socket = new WebSocket(`ws://127.0.0.1:${server.httpPort}/ws`)
  onTestFinished(() => socket.terminate())
  const heard = { socket, code: 0 }
  socket.on('close', (code) => {
    heard.code = code
  })
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(heard))
    socket.once('error', reject)
  })
}

/** How a pull that waits ends. */
async function waitingPull(door: DoorClient, queue: string): Promise<string> {
  const outcome = await door.run({ cmd: 'PULL', queue, wait: 60_000 })
  if (!outcome.ok) return outcome.code
  return outcome.value['job'] === null ? 'nothing' : 'a job'
}

describe.each([
  ['in memory', async (): Promise<Settings> => ({})],
  ['in PostgreSQL', databaseSettings as () => Promise<Settings>],
] as const)('with jobs %s', (_where, storage) => {
  it('SIGTERM ends what every door does, and loses nothing', async () => {
    const stored = await storage()
    const doors = openDoors()
    const settings = { ...doors, ...stored, WORKERS: '2' }
    const server = await startServer(settings)
    const open = (name: DoorName): Promise<DoorClient> => openDoor(name, server, doors.UNIX_SOCKET)
    const streams = await openStreams(server, doors.UNIX_SOCKET)
    const first = await clientOf(server)
    const jobs = Array.from({ length: STREAMED_JOBS }, (_, n) => ({ data: n }))
    await first.ok({ cmd: 'PUSHB', queue: STREAMED, jobs })
    const waiters = await Promise.all([...doorNames, ...doorNames].map(open))
    for (const waiter of waiters) await waiter.run({ cmd: 'STATS' })
    const waits = waiters.map((waiter, n) => waitingPull(waiter, `wait-${n}`))
    const loads = (await Promise.all([...doorNames, ...doorNames].map(open))).map(
      (door) => new Load(door),
    )
    await eventually('every load runs, and every stream hears of it', WITHIN_MS, () => {
      const heard = [...streams.sse.map(({ jobs: of }) => of.length)]
      const got = streams.calls.reduce((sum, { got: of }) => sum + of.length, 0)
      const ran = loads.map(({ acked }) => acked.length)
      return Math.min(...heard, ...ran.map((count) => count - 20)) > 0 && got > STREAMED_JOBS
    })
    const exited = server.stop()
    const ends = streams.lines.map(({ lines }) => lines.ended.then(() => lines.socket.end()))
    void first.lines.ended.then(() => first.lines.socket.end())

    await Promise.all(loads.map(({ over }) => over))
    for (const { refusal } of loads) expect(['', 'draining', NOT_CONNECTED]).toContain(refusal)
    for (const [n, wait] of waits.entries()) {
      const isHttp = waiters[n]?.name === 'HTTP'
      expect(isHttp ? ['nothing', 'draining'] : ['draining'], waiters[n]?.name).toContain(
        await wait,
      )
    }
    for (const { ended } of streams.calls) {
      expect(await ended).toMatchObject({ status: status.UNAVAILABLE, code: 'draining' })
    }
    for (const sse of streams.sse) {
      await sse.ended()
      expect(sse.answer.complete).toBe(true)
    }
    await Promise.all(ends)
    for (const heard of streams.webSockets) {
      await eventually('the WebSocket is closed', WITHIN_MS, () => heard.code !== 0)
      expect(heard.code).toBe(1001)
    }
    expect(await exited).toEqual({ code: 0, signal: null })
    expect(server.log.filter(({ level }) => level === 'error')).toEqual([])
    if (Object.keys(stored).length > 0) await expectAll(settings, loads)
  })
})

/** All that was acknowledged is there, once; of what was not answered at most one push a client. */
async function expectAll(settings: Settings, loads: readonly Load[]): Promise<void> {
  const client = await clientOf(await startServer(settings))
  const ids: number[] = []
  for (const name of doorNames)
    ids.push(...(await drainQueue(client, loadOf(name))).map(({ id }) => id))
  const all = new Set(ids)
  expect(all.size).toBe(ids.length)
  const acked = loads.flatMap(({ acked: of }) => of)
  expect(acked.filter((id) => !all.has(id))).toEqual([])
  expect(ids.length - acked.length).toBeLessThanOrEqual(loads.length)
  // What was out on streams has come back, no run counted.
  const streamed = await Promise.all(
    Array.from({ length: STREAMED_JOBS }, () => client.pull(STREAMED, { wait: WITHIN_MS })),
  )
  expect(new Set(streamed.map(({ data }) => data)).size).toBe(STREAMED_JOBS)
  expect(streamed.map(({ attempts }) => attempts)).toEqual(streamed.map(() => 0))
}
