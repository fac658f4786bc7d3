// A worker gives all its connections to the others, and no client notices anything.

import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type NetConnectOpts } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { shardOfQueue } from '../../src/cluster/shard-of-queue.ts'
import { eventually } from '../support/eventually.ts'
import { queueOnWorker } from '../support/queue-names.ts'
import { isAlive, ServerProcess } from '../support/server-process.ts'
import { type Answer, type Frame, idOf, WireClient, within } from '../support/wire-client.ts'

const MAIN = fileURLToPath(new URL('../support/evacuating-server.mjs', import.meta.url))
/** Two workers. Worker 1 is the one that is evacuated, unless a test says otherwise. */
const GONE = 1
const OTHER = 0
const DONE_MS_MAX = 40_000
/** A command that the worker of the connection answers by itself. */
const OWN = { cmd: 'UNSUBSCRIBE', queue: 'q' }

class Server {
  readonly process: ServerProcess
  readonly path: string

  private constructor(process: ServerProcess, path: string) {
    this.process = process
    this.path = path
  }

  static async start(settings: Readonly<Record<string, string>> = {}): Promise<Server> {
    const folder = mkdtempSync(join(tmpdir(), 'flashq-test-'))
    const path = join(folder, 'q.sock')
    const running = new ServerProcess(
      { EVACUATE: String(GONE), UNIX_SOCKET: path, ...settings },
      MAIN,
    )
    onTestFinished(async () => {
      await running.stop()
      rmSync(folder, { recursive: true, force: true })
    })
    return new Server(await running.ready(), path)
  }

  client(where: NetConnectOpts = { host: '127.0.0.1', port: this.process.port }) {
    return WireClient.open(where)
  }

  /** So many clients that are served by that worker; those of the others are closed again. */
  async clientsOf(worker: number, count: number, where?: NetConnectOpts): Promise<WireClient[]> {
    const clients: WireClient[] = []
    while (clients.length < count) {
      const client = await this.client(where)
      if ((await workerOf(client)) === worker) clients.push(client)
      else client.destroy()
    }
    return clients
  }

  async clientOf(worker: number): Promise<WireClient> {
    const [client] = await this.clientsOf(worker, 1)
    return client as WireClient
  }

  evacuate(): void {
    this.process.signal('SIGUSR2')
  }

  async evacuated(): Promise<void> {
    await this.allEvacuated()
    expect(this.complaints()).toEqual([])
  }

  async allEvacuated(): Promise<void> {
    const isSaid = (): boolean => this.process.find('all evacuated') !== undefined
    await eventually('all are evacuated', DONE_MS_MAX, isSaid)
  }

  complaints(): unknown[] {
    return this.process.log.filter(({ level }) => level === 'error' || level === 'warn')
  }
}

async function workerOf(client: WireClient): Promise<unknown> {
  return (await client.ok({ cmd: 'METRICS' })).metrics?.['worker']
}

const queues = { 'that goes on elsewhere': queueOnWorker(OTHER), 'of its own': queueOnWorker(GONE) }

describe('a connection of a worker that is evacuated', () => {
  it('is served by another worker, over TCP and over a Unix socket', async () => {
    const server = await Server.start()
    const clients = [
      ...(await server.clientsOf(GONE, 100)),
      ...(await server.clientsOf(GONE, 20, { path: server.path })),
    ]
    server.evacuate()
    await server.evacuated()
    expect(new Set(await Promise.all(clients.map(workerOf)))).toEqual(new Set([OTHER]))
  })

  it('stays authenticated, or not', async () => {
    const server = await Server.start({ AUTH_TOKENS: 'secret' })
    const open = async (): Promise<WireClient> => {
      const client = await server.client()
      await client.ok({ cmd: 'AUTH', token: 'secret' })
      return client
    }
    const authed = await Promise.all(Array.from({ length: 4 }, open))
    const strangers = await Promise.all(Array.from({ length: 4 }, () => server.client()))
    for (const stranger of strangers) stranger.send('{"cmd":"AUTH","tok')
    expect(new Set(await Promise.all(authed.map(workerOf))).size).toBe(2)
    server.evacuate()
    await server.evacuated()
    for (const client of authed) expect(await workerOf(client)).toBe(OTHER)
    for (const stranger of strangers) {
      expect((await stranger.ask('en":"wrong"}\n')).code).toBe('auth_invalid')
      expect((await stranger.ask({ cmd: 'STATS' })).code).toBe('auth_required')
      await stranger.ok({ cmd: 'AUTH', token: 'secret' })
      await stranger.ok({ cmd: 'STATS' })
    }
  })

  for (const [what, queue] of Object.entries(queues)) {
    it(`gets what its pulls wait for, from a queue ${what}`, async () => {
      const server = await Server.start()
      const client = await server.clientOf(GONE)
      const [producer] = await server.clientsOf(OTHER, 1)
      const reqId = '12345678901234567890'
      client.send(
        { cmd: 'PULL', queue },
        { cmd: 'GETSTATE', id: 1 },
        { cmd: 'PULLB', queue, count: 2, wait: 60_000, lease: 50_000 },
        `{"cmd":"PULLB","reqId":${reqId},"queue":"${queue}","count":3,"wait":60000}\n`,
        { cmd: 'PULL', queue: `${queue}-empty`, reqId: 'never' },
        { cmd: 'PULL', queue, token: true, junk: 'x'.repeat(5000), release_on_close: true },
        { cmd: 'GETSTATE', id: 2, reqId: 'b' },
      )
      expect((await client.answer()).reqId).toBe('b')
      server.evacuate()
      await server.evacuated()
      const got: Answer[] = []
      const raw: string[] = []
      for (const data of ['first', 'second', 'third', 'fourth']) {
        await producer?.push(queue, data)
        const line = await client.line()
        raw.push(line)
        got.push(JSON.parse(line))
        if (data === 'first') expect((await client.answer()).id).toBe(1)
      }
      expect(got[0]?.job).toMatchObject({ data: 'first', attempts: 0 })
      expect(got[1]?.jobs).toMatchObject([{ data: 'second', attempts: 0 }])
      expect(got[1]?.jobs?.[0]?.token).toBeGreaterThan(0)
      expect(raw[2]).toContain(`"reqId":${reqId},`)
      expect(got[2]?.jobs).toMatchObject([{ data: 'third', attempts: 0 }])
      expect(got[2]?.jobs?.[0]?.token).toBeUndefined()
      expect(got[3]?.job).toMatchObject({ data: 'fourth', attempts: 0 })
      expect(got[3]?.job?.token).toBeGreaterThan(0)
      expect(await workerOf(client)).toBe(OTHER)
    })
  }

  it('is told that its wait is over when it is', async () => {
    const server = await Server.start()
    const client = await server.clientOf(GONE)
    const [own, other] = [queueOnWorker(GONE), queueOnWorker(OTHER)]
    client.send(
      { cmd: 'PULL', queue: own, wait: 500 },
      { cmd: 'PULLB', queue: other, count: 2, wait: 1 },
    )
    server.evacuate()
    expect(await client.answers(2)).toEqual([
      { ok: true, job: null },
      { ok: true, jobs: [] },
    ])
    await server.evacuated()
  })

  it('keeps its half frame, however long', async () => {
    const server = await Server.start()
    const queue = queueOnWorker(OTHER)
    const lengths = [1, 100, 200_000, 1_000_000]
    const clients = await server.clientsOf(GONE, lengths.length)
    const frames = lengths.map((length, n) =>
      JSON.stringify({ cmd: 'PUSH', queue, data: `${n}${'x'.repeat(length)}` }),
    )
    frames.forEach((frame, n) => {
      clients[n]?.send(frame.slice(0, -3))
    })
    // Each has come as far as it was sent.
    const whole = await server.clientsOf(GONE, 1)
    expect(await workerOf(whole[0] as WireClient)).toBe(GONE)
    server.evacuate()
    await server.evacuated()
    for (const [n, client] of clients.entries()) {
      const frame = frames[n] as string
      const answer = await client.ok(`${frame.slice(-3)}\n`)
      const { job } = await client.ok({ cmd: 'GETJOB', id: idOf(answer) })
      expect(job?.data).toBe(`${n}${'x'.repeat(lengths[n] as number)}`)
    }
  })

  it('holds the jobs that it has pulled, and gives them back when it closes, and not before', async () => {
    const server = await Server.start({ RESTART: '1', WORKERS: '3' })
    const [watcher] = await server.clientsOf(OTHER, 1)
    // With three workers, shard i is at first with worker i mod 3: this one is at a worker that stays.
    const queue = queueOfThree(OTHER)
    const id = (await watcher?.push(queue, 'mine')) ?? 0
    const consumer = await server.clientOf(GONE)
    await consumer.ok({ cmd: 'PULL', queue, release_on_close: true })
    server.evacuate()
    await server.allEvacuated()
    expect(await watcher?.stateOf(id)).toBe('active')
    expect(await workerOf(consumer)).not.toBe(GONE)
    consumer.destroy()
    expect(await watcher?.pull(queue)).toMatchObject({ id, attempts: 0 })
  })
})

describe('while a worker is evacuated under load', () => {
  it('everything that is piped is answered once and in order', async () => {
    const server = await Server.start()
    const clients = await server.clientsOf(GONE, 12)
    let stop = false
    const lives = clients.map(async (client, place) => {
      const queue = queueOnWorker(place % 2, 'piped', place)
      let pushed = 0
      const pulled: unknown[] = []
      while (!stop || pushed < 100) {
        const count = 1 + (pushed % 40)
        for (let n = 0; n < count; n++) {
          client.send({ cmd: 'PUSH', queue, data: pushed + n })
          if (n % 3 === 0) client.send({ cmd: 'PULL', queue })
        }
        for (let n = 0; n < count; n++) {
          idOf(await client.answer())
          if (n % 3 === 0) {
            const { job } = await client.answer()
            expect(job?.attempts).toBe(0)
            pulled.push(job?.data)
          }
        }
        pushed += count
      }
      expect(pulled).toEqual(pulled.map((_, n) => n))
      expect((await client.ok({ cmd: 'PULLB', queue, count: 1000 })).jobs?.length).toBe(
        Math.min(1000, pushed - pulled.length),
      )
      return workerOf(client)
    })
    server.evacuate()
    await server.evacuated()
    stop = true
    expect(new Set(await Promise.all(lives))).toEqual(new Set([OTHER]))
  })

  it('every job comes to one waiting pull, once', async () => {
    const server = await Server.start()
    const total = 4000
    const names = [queueOnWorker(0, 'once'), queueOnWorker(1, 'once')]
    const seen = new Map<number, number>()
    const consumers = await server.clientsOf(GONE, 16)
    const taking = consumers.map(async (client, place) => {
      const queue = names[place % 2]
      const more = (n: number): Frame =>
        n % 2 === 0
          ? { cmd: 'PULL', queue, reqId: n }
          : { cmd: 'PULLB', queue, count: 3, reqId: n, wait: 100_000 }
      for (let n = 0; n < 4; n++) client.send(more(n))
      for (let n = 4; seen.size < total; n++) {
        const answer = await client.answer()
        for (const job of answer.jobs ?? (answer.job ? [answer.job] : [])) {
          expect(job.attempts).toBe(0)
          seen.set(job.id, (seen.get(job.id) ?? 0) + 1)
        }
        client.send(more(n))
      }
    })
    for (const each of taking) each.catch(() => undefined)
    const [producer] = await server.clientsOf(OTHER, 1)
    for (let n = 0; n < total; n += 2) {
      if (n === total / 4) server.evacuate()
      await producer?.push(names[0] as string, n)
      await producer?.push(names[1] as string, n)
    }
    await server.evacuated()
    await within(DONE_MS_MAX, 'every job is seen', Promise.race(taking))
    expect(seen.size).toBe(total)
    expect([...seen.values()].every((times) => times === 1)).toBe(true)
  })

  it('a subscriber hears every event once, in order', async () => {
    const server = await Server.start()
    const names = [queueOnWorker(0, 'heard'), queueOnWorker(1, 'heard')]
    const subscribers = await server.clientsOf(GONE, 5)
    for (const subscriber of subscribers) {
      for (const queue of names)
        await subscriber.ok({ cmd: 'SUBSCRIBE', queue, events: ['pushed'] })
    }
    const [producer] = await server.clientsOf(OTHER, 1)
    let pushed = 0
    let over = false
    const pushing = (async () => {
      while (!over || pushed < 200) {
        for (const queue of names) producer?.send({ cmd: 'PUSH', queue, data: pushed })
        await producer?.answers(names.length)
        pushed++
      }
    })()
    server.evacuate()
    await server.evacuated()
    over = true
    await pushing
    for (const subscriber of subscribers) {
      const heard = new Map<string, unknown[]>(names.map((queue) => [queue, []]))
      for (const line of await subscriber.linesOf(2 * pushed)) {
        const { queue, job } = JSON.parse(line)
        heard.get(queue)?.push(job.data)
      }
      const all = Array.from({ length: pushed }, (_, n) => n)
      for (const queue of names) expect(heard.get(queue)).toEqual(all)
      expect(await workerOf(subscriber)).toBe(OTHER)
    }
  })

  it('a client that reads late gets all that it is owed', async () => {
    const server = await Server.start()
    const [client] = (await server.clientsOf(GONE, 1)) as [WireClient]
    const queue = queueOnWorker(OTHER)
    const data = 'x'.repeat(500_000)
    const id = await client.push(queue, data)
    client.lines.socket.pause()
    const count = 40
    for (let n = 0; n < count; n++) client.send({ cmd: 'GETJOB', id, reqId: n })
    client.send({ cmd: 'METRICS' })
    server.evacuate()
    client.lines.socket.resume()
    const answers = await client.answers(count)
    expect(answers.map(({ job }) => job?.data === data)).toEqual(answers.map(() => true))
    expect(new Set(answers.map(({ reqId }) => reqId)).size).toBe(count)
    await client.answer()
    await server.evacuated()
    expect(await workerOf(client)).toBe(OTHER)
  })

  it('a client that does not read at all is closed in the end, and its jobs return', async () => {
    const server = await Server.start({ DRAIN_TIMEOUT_MS: '2000' })
    const queue = queueOnWorker(OTHER)
    const [producer] = (await server.clientsOf(OTHER, 1)) as [WireClient]
    const count = 40
    for (let n = 0; n < count; n++) await producer.push(queue, 'x'.repeat(500_000))
    const [client] = (await server.clientsOf(GONE, 1)) as [WireClient]
    client.lines.socket.pause()
    for (let n = 0; n < count; n++) client.send({ cmd: 'PULL', queue })
    server.evacuate()
    await server.allEvacuated()
    const { processing, queued } = await producer.ok({ cmd: 'STATS' })
    // What the kernel had taken counts as delivered.
    expect(queued).toBeGreaterThan(0)
    expect(Number(queued) + Number(processing)).toBe(count)
    client.lines.socket.resume()
    await client.lines.ended
  })

  it('new connections are served, whoever is evacuated and restarted', async () => {
    const server = await Server.start({ WORKERS: '3', RESTART: '1', EVACUATE: '1,2,1,2' })
    let over = false
    onTestFinished(() => {
      over = true
    })
    let served = 0
    const connecting = Array.from({ length: 8 }, async () => {
      while (!over) {
        served++
        await connectAndAsk(server.process.port)
      }
    })
    server.evacuate()
    await Promise.race([server.allEvacuated(), ...connecting])
    over = true
    await Promise.all(connecting)
    expect(served).toBeGreaterThan(100)
  })
})

describe('a worker that is killed', () => {
  it('takes the connections along that it was about to get', async () => {
    const server = await Server.start()
    const pid = server.process.workerPids()[GONE] ?? 0
    // It neither accepts nor answers, as if it were killed a moment later.
    process.kill(pid, 'SIGSTOP')
    const clients = await Promise.all(Array.from({ length: 6 }, () => server.client()))
    const fates = clients.map(async (client) => {
      client.send(OWN)
      const answer = client.lines.line().then(
        () => 'answered',
        () => 'closed',
      )
      return within(DONE_MS_MAX, 'an answer or an end', answer)
    })
    // The other worker has answered all that it was given.
    const answered = await Promise.race(fates)
    expect(answered).toBe('answered')
    process.kill(pid, 'SIGKILL')
    const ends = await Promise.all(fates)
    expect(ends).toContain('closed')
    expect(isAlive(pid)).toBe(false)
  })
})

/** The name of a queue of a worker among three. */
function queueOfThree(worker: number): string {
  for (let n = 0; ; n++) {
    const name = `of-three-${n}`
    if (shardOfQueue(name) % 3 === worker) return name
  }
}

/** Connects, asks, reads the answer, closes; rejects if any of it fails. */
function connectAndAsk(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port })
    let text = ''
    socket.setNoDelay(true)
    socket.on('connect', () => socket.write(`${JSON.stringify(OWN)}\n`))
    socket.on('data', (chunk) => {
      text += chunk
      if (!text.endsWith('\n')) return
      socket.destroy()
      if (text === '{"ok":true}\n') resolve()
      else reject(new Error(text))
    })
    socket.on('error', reject)
    socket.on('end', () => reject(new Error('the server closed the connection')))
  })
}
