// Drives bunqueue through its own TCP client, under Bun. Argument: the folder `node_modules` it is installed in.
//
// Its client speaks the batch commands of its server directly; the Queue and Worker classes above it would only add work.

import { join } from 'node:path'
import { payload } from '../load/frames.ts'
import { serveLines } from '../load/line-server.ts'
import type { PeerResult, PeerSpec } from './spec.ts'
import { timedRounds } from './timed-rounds.ts'

interface Reply {
  ok: boolean
  error?: string
  ids?: unknown[]
  jobs?: { id: string }[]
}

interface TcpClient {
  connect(): Promise<void>
  send(command: Record<string, unknown>): Promise<Reply>
  close(): void
  on(event: 'error', listener: () => void): void
}

interface Bunqueue {
  TcpClient: new (options: Record<string, unknown>) => TcpClient
}

const path = join(process.argv[2] ?? '.', 'bunqueue/dist/client/tcp/index.js')
const { TcpClient } = (await import(path)) as Bunqueue

serveLines(run)

async function run(spec: PeerSpec): Promise<PeerResult> {
  if (spec.op === 'reset') return { jobs: 0, perSecond: 0 }
  if (spec.op === 'relay') throw new Error('bunqueue is not measured at a rate')
  const { hostname, port } = new URL(spec.url)
  const clients = Array.from(
    { length: spec.connections },
    () => new TcpClient({ host: hostname, port: Number(port) }),
  )
  for (const client of clients) client.on('error', () => {})
  await Promise.all(clients.map((client) => client.connect()))
  try {
    return await (spec.op === 'push' ? push(spec, clients) : take(spec, clients))
  } finally {
    for (const client of clients) client.close()
  }
}

async function push(
  spec: Extract<PeerSpec, { op: 'push' }>,
  clients: TcpClient[],
): Promise<PeerResult> {
  const jobs = Array.from({ length: spec.batch }, (_, i) => ({
    data: JSON.parse(payload(spec.dataBytes, i)) as unknown,
  }))
  return timedRounds(spec.measureMs, clients, async (client) => {
    const reply = await command(client, { cmd: 'PUSHB', queue: spec.queue, jobs })
    return reply.ids?.length ?? 0
  })
}

async function take(
  spec: Extract<PeerSpec, { op: 'take' }>,
  clients: TcpClient[],
): Promise<PeerResult> {
  let asked = 0
  let done = 0
  const startMs = performance.now()
  const loop = async (client: TcpClient) => {
    while (asked < spec.jobs) {
      asked += spec.batch
      const { jobs = [] } = await command(client, {
        cmd: 'PULLB',
        queue: spec.queue,
        count: spec.batch,
        timeout: 1000,
      })
      if (jobs.length === 0) throw new Error(`PULLB gave nothing after ${done} jobs`)
      const ids = jobs.map((job) => job.id)
      await command(client, { cmd: 'ACKB', ids, results: ids.map(() => ({ sent: true, n: 1 })) })
      done += ids.length
    }
  }
  await Promise.all(clients.map(loop))
  return { jobs: done, perSecond: (done * 1000) / (performance.now() - startMs) }
}

async function command(client: TcpClient, body: Record<string, unknown>): Promise<Reply> {
  const reply = await client.send(body)
  if (!reply.ok) throw new Error(`bunqueue refused ${String(body['cmd'])}: ${reply.error}`)
  return reply
}
