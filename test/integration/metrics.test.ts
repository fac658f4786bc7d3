// Metrics, history, health and consumers of a server with two workers, in memory.

import { describe, expect, it } from 'vitest'
import { metricNames } from '../../src/transports/metrics/catalogue.ts'
import { eventually } from '../support/eventually.ts'
import { HttpReader } from '../support/http-reader.ts'
import type { LineClient } from '../support/line-client.ts'
import { startServer } from '../support/server-process.ts'

const HTTP = { HTTP: '1', HTTP_PORT: '0' }
/** Of both workers: names differ in their shard. */
const QUEUES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']

async function ask(client: LineClient, command: object): Promise<Record<string, unknown>> {
  client.send(command)
  return client.object()
}

interface Pulled {
  job: { id: number } | null
}

async function pullOf(client: LineClient, queue: string): Promise<number> {
  const { job } = (await ask(client, { cmd: 'PULL', queue, wait: 0 })) as unknown as Pulled
  if (job === null) throw new Error(`no job in ${queue}`)
  return job.id
}

/** In each queue: 3 pushed, 1 completed, 1 dead-lettered, 1 retried and waiting. */
async function work(client: LineClient): Promise<void> {
  for (const queue of QUEUES) {
    await ask(client, { cmd: 'PUSH', queue, data: 1 })
    await ask(client, { cmd: 'ACK', id: await pullOf(client, queue) })
    await ask(client, { cmd: 'PUSH', queue, data: 2, max_attempts: 1 })
    await ask(client, { cmd: 'FAIL', id: await pullOf(client, queue) })
    await ask(client, { cmd: 'PUSH', queue, data: 3, backoff: 100_000 })
    await ask(client, { cmd: 'FAIL', id: await pullOf(client, queue) })
  }
}

describe('a scrape', () => {
  it('has exact figures of all workers, whichever answers', async () => {
    const server = await startServer(HTTP)
    const http = new HttpReader(server)
    const client = await server.client()
    await work(client)
    expect(await ask(client, { cmd: 'ACK', id: 1 })).toMatchObject({ code: 'job_not_found' })
    await ask(client, { cmd: 'PUSH', queue: 'lazy', data: 0, delay: 100_000 })
    const count = QUEUES.length
    for (let scrape = 0; scrape < 4; scrape++) {
      const text = await http.metrics()
      expect(text.value('flashq_jobs_pushed_total')).toBe(3 * count + 1)
      expect(text.value('flashq_jobs_completed_total')).toBe(count)
      expect(text.value('flashq_jobs_failed_total')).toBe(count)
      expect(text.value('flashq_jobs_retried_total')).toBe(count)
      expect(text.value('flashq_jobs_current', { state: 'dlq' })).toBe(count)
      expect(text.value('flashq_jobs', { state: 'delayed' })).toBe(count + 1)
      expect(text.value('flashq_commands_total', { door: 'tcp', op: 'PUSH' })).toBe(3 * count + 1)
      expect(text.value('flashq_commands_total', { door: 'tcp', op: 'ACK' })).toBe(count + 1)
      expect(
        text.value('flashq_command_errors_total', { door: 'tcp', code: 'job_not_found' }),
      ).toBe(1)
      expect(text.value('flashq_queue_depth', { queue: 'a', state: 'dlq' })).toBe(1)
      expect(text.value('flashq_queue_jobs', { queue: 'lazy', state: 'pending' })).toBe(1)
      expect(text.sum('flashq_worker_shards')).toBe(32)
      expect(text.value('flashq_workers')).toBe(2)
      expect(text.value('flashq_workers_silent')).toBe(0)
      expect(text.samples('flashq_process_resident_memory_bytes')).toHaveLength(2)
      expect(text.value('flashq_connections', { door: 'tcp' })).toBe(1)
      expect(text.sum('flashq_link_sent_bytes_total')).toBeGreaterThan(0)
    }
  })

  it('has only names of the catalogue, each with its help and type', async () => {
    const http = new HttpReader(await startServer(HTTP))
    const { status, type } = await http.get('/metrics/prometheus')
    expect([status, type]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
    const names = [...(await http.metrics()).families.keys()]
    expect(names.length).toBeGreaterThan(30)
    expect(names.filter((name) => !metricNames.some((known) => known === name))).toEqual([])
  })

  it('names at most as many queues as allowed, however many there are', async () => {
    const server = await startServer({ ...HTTP, METRICS_QUEUES_MAX: '3' })
    const client = await server.client()
    for (let n = 0; n < 200; n++) client.send({ cmd: 'PUSH', queue: `random-${n}`, data: n })
    for (let n = 0; n < 5; n++) client.send({ cmd: 'PUSH', queue: 'large', data: n })
    await client.linesOf(205)
    const text = await new HttpReader(server).metrics()
    const queues = new Set(text.samples('flashq_queue_depth').map(({ labels }) => labels['queue']))
    expect(queues.size).toBe(4)
    expect(queues).toContain('large')
    expect(text.value('flashq_queue_depth', { queue: 'other', state: 'waiting' })).toBe(198)
    expect(text.sum('flashq_queue_depth')).toBe(205)
    expect(text.value('flashq_queues_in_other')).toBe(198)
  })

  it('tells how long the job that is next has been ready', async () => {
    const server = await startServer(HTTP)
    const client = await server.client()
    await ask(client, { cmd: 'PUSH', queue: 'a', data: 1 })
    const http = new HttpReader(server)
    await eventually('the job is older', 5000, async () => {
      const text = await http.metrics()
      return (text.value('flashq_queue_oldest_waiting_seconds', { queue: 'a' }) ?? 0) > 0.05
    })
    await pullOf(client, 'a')
    const text = await http.metrics()
    expect(text.value('flashq_queue_oldest_waiting_seconds', { queue: 'a' })).toBe(0)
  })

  it('counts latencies of a sample of what comes by TCP, and of all that comes by HTTP', async () => {
    const server = await startServer(HTTP)
    const http = new HttpReader(server)
    const client = await server.client()
    for (let n = 0; n < 640; n++) client.send({ cmd: 'PUSH', queue: 'a', data: n })
    await client.linesOf(640)
    for (let n = 0; n < 3; n++) await http.post('/queues/a/jobs', '{"data":1}')
    const text = await http.metrics()
    const name = 'flashq_command_duration_seconds_count'
    const sampled = text.value(name, { door: 'tcp', op: 'PUSH' }) ?? 0
    expect(sampled).toBeGreaterThanOrEqual(9)
    expect(sampled).toBeLessThanOrEqual(11)
    expect(text.value(name, { door: 'http', op: 'PUSH' })).toBe(3)
    expect(text.value('flashq_commands_total', { door: 'http', op: 'PUSH' })).toBe(3)
  })

  it('counts wrong tokens, and is itself only for who has one', async () => {
    const server = await startServer({ ...HTTP, AUTH_TOKENS: 'secret' })
    const client = await server.client()
    await ask(client, { cmd: 'AUTH', token: 'guess' })
    await ask(client, { cmd: 'STATS' })
    await ask(client, { cmd: 'AUTH', token: 'secret' })
    const http = new HttpReader(server)
    expect((await http.get('/metrics/prometheus')).status).toBe(401)
    const { port } = new URL(`http://x:${String(server.find('ready')?.['httpPort'])}`)
    const response = await fetch(`http://127.0.0.1:${port}/metrics/prometheus`, {
      headers: { authorization: 'Bearer secret' },
    })
    const text = await response.text()
    expect(text).toContain('flashq_auth_failures_total{door="tcp"} 1\n')
    expect(text).toContain('flashq_command_errors_total{door="tcp",code="auth_required"} 1\n')
    expect(text).toContain('flashq_command_errors_total{door="http",code="auth_required"} 1\n')
  })
})

describe('the history', () => {
  it('is the same from any worker, and is true', async () => {
    const server = await startServer(HTTP)
    await work(await server.client())
    const http = new HttpReader(server)
    interface Point {
      timestamp: number
      completed: number
      failed: number
      dlq: number
      delayed: number
    }
    const worked = (point: Point): boolean => point.failed === QUEUES.length
    await eventually('a point is there', 15_000, async () =>
      (await http.data<Point[]>('/metrics/history')).some(worked),
    )
    const all = await Promise.all(
      Array.from({ length: 4 }, () => http.data<Point[]>('/metrics/history')),
    )
    const point = all[0]?.find(worked)
    expect(point).toMatchObject({ completed: QUEUES.length, dlq: QUEUES.length, delayed: 8 })
    expect((point?.timestamp ?? 1) % 5000).toBe(0)
    for (const one of all) expect(one.find(worked)).toEqual(point)
    expect(await http.data<Point[]>('/metrics/history?range=24h')).toContainEqual(point)
    expect(await http.get('/metrics/history?range=1y')).toMatchObject({ status: 400 })
  })
})

describe('health', () => {
  it('is well while it is, and shows each worker and shard', async () => {
    const http = new HttpReader(await startServer(HTTP))
    expect(await http.get('/livez')).toMatchObject({ status: 200 })
    expect(await http.get('/readyz')).toMatchObject({ status: 200 })
    const { status, text } = await http.get('/health')
    expect([status, JSON.parse(text)]).toEqual([
      200,
      {
        ok: true,
        data: {
          status: 'healthy',
          node_id: null,
          is_leader: true,
          cluster_enabled: false,
          postgres_connected: false,
        },
      },
    ])
    interface ClusterHealth {
      ok: boolean
      workers: { worker: number; shards: number[]; version: string }[]
      shards: { shard: number; worker: number; epoch: number }[]
    }
    const cluster = await http.data<ClusterHealth>('/health/cluster')
    expect(cluster.ok).toBe(true)
    expect(cluster.workers.flatMap(({ shards }) => shards)).toHaveLength(32)
    expect(cluster.shards.map(({ worker }) => worker).sort()).toEqual(
      Array.from({ length: 32 }, (_, shard) => (shard < 16 ? 0 : 1)),
    )
    expect(cluster.shards.every(({ epoch }) => epoch > 0)).toBe(true)
  })

  it('is not ready, and says why, while a worker does not answer', async () => {
    const server = await startServer(HTTP)
    const http = new HttpReader(server)
    const [first = 0] = server.workerPids()
    process.kill(first, 'SIGSTOP')
    try {
      // The other worker has to be the one that answers: the stopped one may get the connection.
      const answer = await Promise.any(Array.from({ length: 4 }, () => http.get('/readyz')))
      expect(answer.status).toBe(503)
      const { data } = JSON.parse(answer.text) as {
        data: { checks: { name: string; ok: boolean }[] }
      }
      expect(data.checks.find(({ ok }) => !ok)?.name).toMatch(/workers|listener/)
    } finally {
      process.kill(first, 'SIGCONT')
    }
    await eventually(
      'it is ready again',
      10_000,
      async () => (await http.get('/readyz')).status === 200,
    )
  })

  it('is not ready while jobs use 80 % of their memory', async () => {
    const server = await startServer({ ...HTTP, MEMORY_MAX_MB: '16', WORKERS: '1' })
    const client = await server.client()
    const http = new HttpReader(server)
    expect((await http.get('/readyz')).status).toBe(200)
    const data = 'x'.repeat(256 * 1024)
    let isFull = false
    while (!isFull) isFull = (await ask(client, { cmd: 'PUSH', queue: 'a', data }))['ok'] === false
    const { status, text } = await http.get('/readyz')
    expect(status).toBe(503)
    expect(text).toContain('"name":"memory","ok":false')
    expect((await http.get('/livez')).status).toBe(200)
  })
})

describe('consumers', () => {
  interface Consumer {
    id: string
    queues: string[]
    jobs_processed: number
    active: number
    concurrency: number
    version: string | null
    door: string
    connections: number
  }

  it('are connections that pull, at any worker, under the name that they give', async () => {
    const server = await startServer(HTTP)
    const http = new HttpReader(server)
    const clients = await server.clientPerWorker()
    for (const client of clients) {
      client.send({ cmd: 'PUSHB', queue: 'a', jobs: [{ data: 1 }, { data: 2 }, { data: 3 }] })
      await client.line()
      const data = { version: '1.2.3', concurrency: 4, host: 'here' }
      expect(await ask(client, { cmd: 'HELLO', name: 'mailer', data })).toEqual({ ok: true })
      client.send({ cmd: 'PULLB', queue: 'a', count: 3 })
      const { jobs } = (await client.object()) as unknown as { jobs: { id: number }[] }
      const [one, two] = jobs.map(({ id }) => id)
      await ask(client, { cmd: 'ACK', id: one })
      await ask(client, { cmd: 'ACKB', ids: [two] })
    }
    const list = await http.data<Consumer[]>('/workers')
    expect(list).toEqual([
      expect.objectContaining({
        id: 'mailer',
        queues: ['a'],
        jobs_processed: 4,
        active: 2,
        concurrency: 4,
        connections: 2,
        version: '1.2.3',
        host: 'here',
        address: '127.0.0.1',
        door: 'tcp',
      }),
    ])
    for (const client of clients) client.destroy()
    await eventually(
      'they are gone',
      5000,
      async () => (await http.data<[]>('/workers')).length === 0,
    )
  })

  it('say hello with a good name only, and producers are none', async () => {
    const server = await startServer(HTTP)
    const client = await server.client()
    expect(await ask(client, { cmd: 'HELLO', name: '' })).toMatchObject({ code: 'invalid' })
    expect(await ask(client, { cmd: 'HELLO', name: 'a\nb' })).toMatchObject({ code: 'invalid' })
    expect(await ask(client, { cmd: 'HELLO', name: 'a', data: [] })).toMatchObject({
      code: 'invalid',
    })
    expect(await ask(client, { cmd: 'HELLO' })).toMatchObject({ code: 'invalid' })
    await ask(client, { cmd: 'PUSH', queue: 'a', data: 1 })
    expect(await new HttpReader(server).data('/workers')).toEqual([])
  })

  it('are programs that send heartbeats', async () => {
    const http = new HttpReader(await startServer(HTTP))
    const beat = '{"queues":["a"],"concurrency":2,"version":"9","processed":7}'
    expect((await http.post('/workers/w%201/heartbeat', beat)).text).toBe('{"ok":true,"data":null}')
    expect(await http.post('/workers/x/heartbeat', '{"concurrency":2}')).toMatchObject({
      status: 400,
    })
    expect(await http.post('/workers/%0a/heartbeat', beat)).toMatchObject({ status: 400 })
    expect(await http.data<Consumer[]>('/workers')).toEqual([
      expect.objectContaining({ id: 'w 1', queues: ['a'], jobs_processed: 7, door: 'http' }),
    ])
    expect((await http.metrics()).value('flashq_workers_active')).toBe(1)
  })
})
