// Sustained load on the built server: no error, no job lost or doubled, no memory that only grows.

import { FlashQ } from 'flashq'
import { describe, expect, it, onTestFinished } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'
import { clientOf, residentBytes } from '../support/shared-server.ts'
import { type Answer, type WireClient, within } from '../support/wire-client.ts'

const MIB = 1024 * 1024
const SUSTAINED_MS = 30_000
/** Finished jobs are kept up to this, and then memory should be level. */
const RETENTION = { RETENTION_COUNT: '500', RETENTION_MB: '1' }

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n)

async function connected(server: ServerProcess): Promise<FlashQ> {
  const client = new FlashQ({ host: '127.0.0.1', port: server.port })
  onTestFinished(() => client.close())
  await client.connect()
  return client
}

function complaints(server: ServerProcess): unknown[] {
  return server.log.filter(({ level }) => level === 'error' || level === 'warn')
}

describe('30 seconds of', () => {
  it('pushes and pulls over one connection: no error, every job once, memory level', async () => {
    const server = await startServer(RETENTION)
    const client = await connected(server)
    const untilMs = performance.now() + SUSTAINED_MS
    const pushed: number[] = []
    const done = new Set<number>()
    let doubled = 0
    const atHalf: number[] = []
    const produce = async (): Promise<void> => {
      while (performance.now() < untilMs) {
        pushed.push((await client.push('sustained', { at: pushed.length })).id)
        if (atHalf.length === 0 && performance.now() > untilMs - SUSTAINED_MS / 2) {
          atHalf.push(residentBytes(server))
        }
      }
    }
    const consume = async (): Promise<void> => {
      for (;;) {
        const [job] = await client.pullBatch('sustained', 1, { wait: 500 })
        if (job === undefined && performance.now() > untilMs) return
        if (job === undefined) continue
        doubled += done.has(job.id) ? 1 : 0
        done.add(job.id)
        await client.ack(job.id, { ok: true })
      }
    }
    await Promise.all([...numbers(10).map(produce), ...numbers(20).map(consume)])
    expect(pushed.length).toBeGreaterThan(1000)
    expect(doubled).toBe(0)
    expect(done.size).toBe(pushed.length)
    expectLevel(server, atHalf[0] ?? 0)
    expect(await client.stats()).toEqual({ queued: 0, processing: 0, delayed: 0, dlq: 0 })
    expect(complaints(server)).toEqual([])
  })

  it('everything at once, from both workers: only refusals that were asked for, memory level', async () => {
    const server = await startServer(RETENTION)
    const untilMs = performance.now() + SUSTAINED_MS
    const clients = await Promise.all(numbers(12).map(() => clientOf(server)))
    const refused = new Map<string, number>()
    let half = 0
    const lives = clients.map(async (client, place) => {
      const random = randomOf(place)
      while (performance.now() < untilMs) {
        for (const answer of await oneTurn(client, random)) {
          if (!answer.ok) refused.set(answer.code ?? '', (refused.get(answer.code ?? '') ?? 0) + 1)
        }
        if (half === 0 && performance.now() > untilMs - SUSTAINED_MS / 2)
          half = residentBytes(server)
      }
    })
    await Promise.all(lives)
    const wished = ['duplicate_key', 'job_not_found', 'job_not_active', 'invalid', 'stale_token']
    expect([...refused.keys()].filter((code) => !wished.includes(code))).toEqual([])
    expect(refused.get('invalid')).toBeGreaterThan(0)
    expectLevel(server, half)
    expect(complaints(server)).toEqual([])
    await empty(server)
  })
})

/** Some commands in one packet, and their answers. Leaves its queues about as full as it found them. */
async function oneTurn(client: WireClient, random: (max: number) => number): Promise<Answer[]> {
  const queue = `mix-${random(16)}`
  const key = random(4) === 0 ? { unique_key: `k${random(5)}` } : {}
  const delay = random(4) === 0 ? { delay: random(50) } : {}
  const answers: Answer[] = []
  const ask = async (...frames: (object | string)[]): Promise<Answer[]> => {
    client.send(...(frames as Record<string, unknown>[]))
    const some = await client.answers(frames.length)
    answers.push(...some)
    return some
  }
  const jobs = numbers(random(20)).map((n) => ({ data: 'x'.repeat(random(2000)), priority: n % 3 }))
  await ask(
    { cmd: 'PUSH', queue, data: random(1000), max_attempts: 2, ttl: 20_000, ...key, ...delay },
    { cmd: 'PUSHB', queue, jobs },
    { cmd: 'STATS' },
    '{"cmd":"PUSH","queue":"mix"}\n',
  )
  const [pulled] = await ask({ cmd: 'PULLB', queue, count: 24, wait: 0, lease: 5000 })
  const taken = pulled?.jobs ?? []
  if (taken.length === 0) return answers
  const endings = taken.map(({ id, token }) => {
    const cmd = ['ACK', 'ACK', 'ACK', 'FAIL', 'RELEASE', 'CANCEL'][random(6)]
    return cmd === 'CANCEL' ? { cmd, id } : { cmd, id, token }
  })
  await ask(
    ...taken.map(({ id, token }) => ({ cmd: 'PROGRESS', id, token, progress: random(101) })),
    ...endings,
    ...taken.map(({ id }) => ({ cmd: 'GETJOB', id })),
    { cmd: 'ACK', id: taken[0]?.id, token: taken[0]?.token },
    { cmd: 'LISTQUEUES' },
    { cmd: 'PURGEDLQ', queue },
    { cmd: random(2) === 0 ? 'PAUSE' : 'RESUME', queue: `mix-paused-${random(3)}` },
  )
  return answers
}

/** Everything can be taken out again, and then there is nothing. */
async function empty(server: ServerProcess): Promise<void> {
  const client = await clientOf(server)
  await eventually('all jobs are done or dead', 30_000, async () => {
    for (const { name } of (await client.ok({ cmd: 'LISTQUEUES' })).queues ?? []) {
      const { jobs = [] } = await client.ok({ cmd: 'PULLB', queue: name, count: 1000, wait: 0 })
      await client.ok({ cmd: 'ACKB', ids: jobs.map(({ id }) => id) })
      await client.ok({ cmd: 'PURGEDLQ', queue: name })
    }
    const { queued, processing, delayed, dlq } = await client.ok({ cmd: 'STATS' })
    return [queued, processing, delayed, dlq].every((count) => count === 0)
  })
}

/** Since half of the time nothing has grown but by chance. */
function expectLevel(server: ServerProcess, atHalf: number): void {
  const atEnd = residentBytes(server)
  expect(atHalf).toBeGreaterThan(MIB)
  expect(atEnd, `${atHalf} bytes at half of the time`).toBeLessThan(1.25 * atHalf + 32 * MIB)
}

describe('clients that do not read', () => {
  it('cost a bounded memory, and keep nobody else from being served', async () => {
    const server = await startServer({ ...RETENTION, WORKERS: '1' })
    const client = await clientOf(server)
    const id = await client.push('large', 'x'.repeat(500_000))
    const before = residentBytes(server)
    const deaf = await Promise.all(numbers(8).map(() => deafClient(server, id)))
    const closed = Promise.all(deaf.map(({ lines }) => lines.closed))
    const untilMs = performance.now() + 10_000
    let most = before
    while (performance.now() < untilMs) {
      const askedAtMs = performance.now()
      await client.ok({ cmd: 'GETSTATE', id })
      expect(performance.now() - askedAtMs).toBeLessThan(5000)
      most = Math.max(most, residentBytes(server))
    }
    expect(most - before).toBeLessThan(8 * 64 * MIB + 256 * MIB)
    for (const each of deaf) each.destroy()
    await within(5000, 'they are gone', closed)
    expect(await client.push('large', 1)).toBeGreaterThan(id)
  })
})

/** Asks for 500 KB over and over, and never reads. */
async function deafClient(server: ServerProcess, id: number): Promise<WireClient> {
  const client = await clientOf(server)
  const { socket } = client.lines
  socket.pause()
  const ask = `${JSON.stringify({ cmd: 'GETJOB', id })}\n`.repeat(1000)
  socket.write(ask)
  return client
}

/** Numbers below `max` that are the same in every run. */
function randomOf(seed: number): (max: number) => number {
  let state = seed
  return (max) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((state / 2 ** 32) * max)
  }
}
