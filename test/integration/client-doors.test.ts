// The client against the real server, the same over TCP and HTTP: what a job carries along, who consumes, webhooks.

import { hostname } from 'node:os'
import { type ClientOptions, FlashQ, Worker } from 'flashq'
import { describe, expect, it, onTestFinished } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'
import { SharedServer } from '../support/shared-server.ts'
import { WebhookReceiver } from '../support/webhook-receiver.ts'

const HTTP = { HTTP: '1', HTTP_PORT: '0' }
const MS_MAX = 15_000
const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
const server = new SharedServer(HTTP)

const overHttp = ({ httpPort }: ServerProcess): ClientOptions => ({
  httpUrl: `http://127.0.0.1:${httpPort}`,
})
const doors: { door: string; at: (server: ServerProcess) => ClientOptions }[] = [
  { door: 'TCP', at: ({ port }) => ({ host: '127.0.0.1', port }) },
  { door: 'HTTP', at: overHttp },
]

function clientOf(options: ClientOptions): FlashQ {
  const client = new FlashQ(options)
  onTestFinished(() => client.close())
  return client
}

describe.each(doors)('the client over $door', ({ door, at }) => {
  it('gives a trace along with a job, alone and in batches, and gets it back', async () => {
    const client = clientOf(at(server.process))
    const queue = `traces-${door}`
    const trace = { traceparent: TRACEPARENT, tracestate: 'vendor=opaque' }
    const [pushed] = await Promise.all([
      client.push(queue, 1, { ...trace, tags: ['mine'] }),
      client.push(queue, 2, { traceparent: 'nonsense' }),
    ])
    await client.pushBatch(queue, [{ data: 3, ...trace }, { data: 4 }])
    await client.push(queue, 5, { traceparent: TRACEPARENT })
    const jobs = await client.pullBatch(queue, 10, { wait: 0 })
    expect(jobs).toHaveLength(5)
    const traces = new Map(jobs.map((job) => [job.data, [job.traceparent, job.tracestate]]))
    expect(traces.get(1)).toEqual([TRACEPARENT, 'vendor=opaque'])
    expect(traces.get(2)).toEqual([undefined, undefined])
    expect(traces.get(3)).toEqual([TRACEPARENT, 'vendor=opaque'])
    expect(traces.get(4)).toEqual([undefined, undefined])
    expect(traces.get(5)).toEqual([TRACEPARENT, undefined])
    // What `push` handed back is what was stored.
    const { tags, traceparent, tracestate } = pushed
    const stored = (await client.getJob(pushed.id))?.job
    expect({ ...stored }).toMatchObject({ tags, traceparent, tracestate })
    expect(tags.at(-1)).toBe('mine')
  })

  it('has a worker that is listed under its name, with its version, its host and its jobs', async () => {
    const queue = `listed-${door}`
    const id = `worker-${door}`
    const options = { ...at(server.process), id, concurrency: 4, version: 'mailer 2.1' }
    const worker = new Worker([queue, `${queue}-2`], () => {}, options)
    onTestFinished(() => worker.stop({ timeoutMs: 0 }))
    const completed = new Promise((resolve) => worker.once('completed', resolve))
    await worker.start()
    const reader = clientOf(overHttp(server.process))
    await reader.push(queue, 1)
    await completed
    const listed = async () => (await reader.listWorkers()).filter((each) => each.id === id)
    // Over HTTP the count comes with the next of its heartbeats.
    const processed = door === 'TCP' ? 1 : 0
    await eventually('it is listed', MS_MAX, async () => {
      const [own] = await listed()
      return own !== undefined && own.jobs_processed >= processed
    })
    expect(await listed()).toMatchObject([
      {
        queues: [queue, `${queue}-2`],
        concurrency: 4,
        connections: door === 'TCP' ? 1 : 0,
        door: door.toLowerCase(),
        host: hostname(),
        version: 'mailer 2.1',
        address: '127.0.0.1',
      },
    ])
  })

  it('adds, tries, changes, lists and removes webhooks', async () => {
    const receiver = await WebhookReceiver.open()
    const settings = { ...HTTP, ...receiver.settings, WEBHOOK_RETRIES_MS: '10' }
    const client = clientOf(at(await startServer(settings)))
    const secret = 'whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5'
    const id = await client.addWebhook({
      url: receiver.url,
      events: ['job.completed'],
      queue: 'hooked',
      secret,
      headers: { authorization: 'Bearer of-mine' },
    })
    const [shown] = await client.listWebhooks()
    expect(shown).toMatchObject({ id, url: receiver.url, queue: 'hooked', enabled: true })
    expect(JSON.stringify(shown)).not.toMatch(/whsec|of-mine/)
    const delivery = await client.pingWebhook(id)
    await eventually('the ping came', MS_MAX, () => receiver.received.length === 1)
    expect(receiver.received[0]?.headers).toMatchObject({
      'webhook-id': delivery,
      authorization: 'Bearer of-mine',
    })
    const job = await client.push('hooked', 1)
    await client.pull('hooked')
    await client.ack(job.id)
    await eventually('the event came', MS_MAX, () => receiver.jobsOf('completed').has(job.id))
    await eventually('both are noted', MS_MAX, async () => {
      return (await client.webhookAttempts(id)).filter(({ ok }) => ok).length === 2
    })
    expect((await client.webhookAttempts(id)).map((attempt) => attempt.event)).toEqual([
      'completed',
      'ping',
    ])
    expect(await client.changeWebhook(id, { enabled: false, reason: 'moving' })).toBe(id)
    expect(await client.listWebhooks()).toMatchObject([{ enabled: false, reason: 'moving' }])
    const refused = { code: 'webhook_invalid', maybeExecuted: false }
    await expect(client.addWebhook({ url: 'ftp://a/', events: ['*'] })).rejects.toMatchObject(
      refused,
    )
    expect(await client.deleteWebhook(id)).toBe(true)
    expect(await client.listWebhooks()).toEqual([])
    const unknown = { code: 'webhook_not_found' }
    await expect(client.deleteWebhook(id)).rejects.toMatchObject(unknown)
    await expect(client.pingWebhook(id)).rejects.toMatchObject(unknown)
  })
})
