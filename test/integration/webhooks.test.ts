// Webhooks of the built server, to real receivers: in memory and with a database, over TCP and HTTP.

import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { clientOf, databaseSettings, kill, startDurable } from '../support/durable-server.ts'
import { queueOfShard } from '../support/engine-harness.ts'
import { eventually } from '../support/eventually.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'
import { WebhookReceiver } from '../support/webhook-receiver.ts'
import type { WireClient } from '../support/wire-client.ts'

const MS_MAX = 15_000
const CANARY = 'whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5'
const queues = [1, 9, 17, 30].map((shard) => queueOfShard(shard))

const addTo = (client: WireClient, url: string, fields: object = {}): Promise<unknown> =>
  client.ok({ cmd: 'WEBHOOK', url, events: ['*'], ...fields })

interface Shown {
  readonly id: string
  readonly enabled: boolean
  readonly reason: string | null
  readonly created_at: number
}

async function shown(client: WireClient): Promise<Shown[]> {
  return (await client.ok({ cmd: 'WEBHOOKLIST' })).webhooks as unknown as Shown[]
}

interface Http {
  readonly status: number
  readonly text: string
  readonly body: { readonly ok: boolean; readonly data?: unknown; readonly code?: string }
}

/** One request of the HTTP API. */
async function http(
  server: ServerProcess,
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Http> {
  const port = Number(server.find('ready')?.['httpPort'])
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, text, body: JSON.parse(text) as Http['body'] }
}

describe('a webhook', () => {
  it('gets signed events of every shard, whichever worker has it', async () => {
    const receiver = await WebhookReceiver.open()
    const server = await startServer({ ...receiver.settings, WORKERS: '3' })
    const client = await clientOf(server)
    const secret = 'plain secret'
    await addTo(client, receiver.url, { events: ['job.pushed', 'completed'], secret })
    const ids: number[] = []
    for (const queue of queues) {
      ids.push((await client.ok({ cmd: 'PUSH', queue, data: { q: queue } })).id as number)
      const { job } = await client.ok({ cmd: 'PULL', queue })
      await client.ok({ cmd: 'ACK', id: job?.id, result: { done: true } })
    }
    await eventually('all events came', MS_MAX, () => receiver.received.length >= 8)
    expect([...receiver.jobsOf('pushed')].sort()).toEqual([...ids].sort())
    expect([...receiver.jobsOf('completed')].sort()).toEqual([...ids].sort())
    for (const { headers, body } of receiver.received) {
      expect(headers['content-type']).toBe('application/json')
      expect(Object.keys(JSON.parse(body.toString()))).toEqual([
        ...['data', 'error', 'event', 'job_id', 'queue', 'timestamp'],
      ])
      const hex = createHmac('sha256', secret).update(body).digest('hex')
      expect(headers['x-flashq-signature']).toBe(hex)
      const content = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
      const base64 = createHmac('sha256', secret).update(content).digest('base64')
      expect(headers['webhook-signature']).toBe(`v1,${base64}`)
    }
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(8)
  })

  it('that fails is tried again, with the same id, and is not in the way of the others', async () => {
    const [bad, good] = [await WebhookReceiver.open(), await WebhookReceiver.open()]
    bad.answering = (_received, count) => (count < 3 ? 500 : 204)
    const server = await startServer({
      ...{ ...good.settings, WEBHOOK_PORTS: `${good.port},${bad.port}` },
      ...{ WEBHOOK_RETRIES_MS: '20,20,20' },
    })
    const client = await clientOf(server)
    await addTo(client, bad.url)
    await addTo(client, good.url)
    await client.ok({ cmd: 'PUSH', queue: 'a', data: 1 })
    await eventually('it came three times', MS_MAX, () => bad.received.length === 3)
    const ids = bad.received.map(({ headers }) => headers['webhook-id'])
    expect(new Set(ids).size).toBe(1)
    expect(good.received).toHaveLength(1)
    const log = async (): Promise<Record<string, unknown>[]> =>
      (await client.ok({ cmd: 'WEBHOOKLOG', id: 'wh_1' })).deliveries ?? []
    await eventually('the log has them', MS_MAX, async () => (await log()).length === 3)
    expect(await log()).toMatchObject([
      { ok: true, status: 204, attempt: 3 },
      { ok: false, status: 500, attempt: 2 },
      { ok: false, status: 500, attempt: 1 },
    ])
  })

  it('whose receiver is gone for good is disabled, and can be enabled', async () => {
    const receiver = await WebhookReceiver.open()
    receiver.answering = () => 410
    const server = await startServer(receiver.settings)
    const client = await clientOf(server)
    await addTo(client, receiver.url)
    await client.ok({ cmd: 'PUSH', queue: 'a', data: 1 })
    await eventually(
      'it is disabled',
      MS_MAX,
      async () => (await shown(client))[0]?.enabled === false,
    )
    expect(await shown(client)).toMatchObject([{ reason: 'gone' }])
    await client.ok({ cmd: 'PUSH', queue: 'a', data: 2 })
    receiver.answering = () => 200
    await client.ok({ cmd: 'WEBHOOK', id: 'wh_1', enabled: true })
    await client.ok({ cmd: 'PUSH', queue: 'a', data: 3 })
    await eventually('the third came', MS_MAX, () => receiver.received.length === 2)
    expect(receiver.received.map(({ event }) => event.data)).toEqual([1, 3])
  })

  it('that hangs costs producers nothing, and the server still stops at once', async () => {
    const receiver = await WebhookReceiver.open()
    receiver.answering = () => undefined
    const server = await startServer(receiver.settings)
    const client = await clientOf(server)
    await addTo(client, receiver.url)
    for (let i = 0; i < 50; i++) await client.ok({ cmd: 'PUSH', queue: 'a', data: i })
    await eventually('four are under way', MS_MAX, () => receiver.received.length === 4)
    const startMs = performance.now()
    expect(await server.stop()).toMatchObject({ code: 0 })
    expect(performance.now() - startMs).toBeLessThan(5000)
  })

  it('may not lead to this server, nor to what the operator has not allowed', async () => {
    const receiver = await WebhookReceiver.open()
    const closed = await startServer({ HTTP: '1', HTTP_PORT: '0' })
    const client = await clientOf(closed)
    for (const url of [receiver.url, 'https://127.0.0.1/', 'https://[::ffff:7f00:1]/']) {
      const answer = await client.ask({ cmd: 'WEBHOOK', url, events: ['*'] })
      expect(answer.code).toBe('webhook_invalid')
    }
    // A name is good until it is looked up.
    await addTo(client, 'https://localhost/')
    await client.ok({ cmd: 'PUSH', queue: 'a', data: 1 })
    await eventually('it has failed', MS_MAX, async () => {
      const { deliveries } = await client.ok({ cmd: 'WEBHOOKLOG', id: 'wh_1' })
      return deliveries?.[0]?.['error'] === 'its address is not public (WEBHOOK_ALLOW)'
    })
  })
})

describe('a webhook with a database', () => {
  it('is there after a restart, as it was, with the same id and time', async () => {
    const receiver = await WebhookReceiver.open()
    const settings = { ...(await databaseSettings()), ...receiver.settings }
    const first = await startDurable(settings)
    const client = await clientOf(first)
    await addTo(client, receiver.url, { secret: 'kept', queue: queues[0] })
    const before = await shown(client)
    await kill(first)
    const again = await clientOf(await startDurable(settings))
    expect(await shown(again)).toEqual(before)
    await again.ok({ cmd: 'PUSH', queue: queues[0], data: 'x' })
    await eventually('the event came', MS_MAX, () => receiver.received.length === 1)
    const [event] = receiver.received
    const hex = createHmac('sha256', 'kept')
      .update(event?.body ?? '')
      .digest('hex')
    expect(event?.headers['x-flashq-signature']).toBe(hex)
    expect((await again.ok({ cmd: 'WEBHOOK', url: receiver.url, events: ['*'] })).id).toBe('wh_2')
  })

  it('gets every event of what was acknowledged, whoever is killed and when', async () => {
    const receiver = await WebhookReceiver.open()
    // Half of them are left unanswered, so that some are under way at every moment.
    receiver.answering = (_received, count) => (count % 2 === 0 ? 500 : 200)
    const settings = {
      ...{ ...(await databaseSettings()), ...receiver.settings, WORKERS: '2' },
      WEBHOOK_RETRIES_MS: Array(30).fill('50').join(),
    }
    const server = await startDurable(settings)
    let client = await clientOf(server)
    await addTo(client, receiver.url, { events: ['pushed'] })
    const ids: number[] = []
    const push = async (i: number): Promise<void> => {
      const queue = queues[i % queues.length] as string
      const { ok, id } = await client.ask({ cmd: 'PUSH', queue, data: i })
      if (ok) ids.push(id as number)
    }
    for (let i = 0; i < 60; i++) {
      if (i === 20 || i === 40) process.kill(server.workerPids()[i === 20 ? 0 : 1] ?? 0, 'SIGKILL')
      try {
        await push(i)
      } catch {
        // The second worker may be killed before the first is there again.
        await eventually('somebody listens', MS_MAX, async () => {
          client = await clientOf(server).catch(() => client)
          return (await client.ask({ cmd: 'STATS' }).catch(() => null)) !== null
        })
      }
    }
    await kill(server)
    await startDurable(settings)
    expect(ids.length).toBeGreaterThan(40)
    await eventually('none is lost', 4 * MS_MAX, () => {
      const came = receiver.jobsOf('pushed')
      return ids.every((id) => came.has(id))
    })
  })
})

describe('over HTTP', () => {
  it('webhooks are added, shown without secrets, tried, disabled and removed', async () => {
    const receiver = await WebhookReceiver.open()
    const server = await startServer({
      ...{ ...receiver.settings, HTTP: '1', HTTP_PORT: '0', LOG_LEVEL: 'trace' },
      WEBHOOK_RETRIES_MS: '10',
    })
    const texts: string[] = []
    const ask = async (method: string, path: string, body?: unknown): Promise<Http> => {
      const answer = await http(server, method, path, body)
      texts.push(answer.text)
      return answer
    }
    const hook = { url: receiver.url, events: ['completed', '*'], secret: CANARY }
    const headers = { authorization: `Bearer ${CANARY}` }
    expect((await ask('POST', '/webhooks', { ...hook, headers })).body.data).toBe('wh_1')
    expect((await ask('GET', '/webhooks')).body.data).toMatchObject([
      {
        ...{ id: 'wh_1', url: receiver.url, events: ['completed', '*'], queue: null },
        ...{ secret: '***', headers: { authorization: '***' }, enabled: true },
      },
    ])
    const { data: delivery } = (await ask('POST', '/webhooks/wh_1/test')).body
    await eventually('the ping came', MS_MAX, () => receiver.received.length === 1)
    expect(receiver.received[0]?.headers['webhook-id']).toBe(delivery)
    expect(receiver.received[0]?.headers.authorization).toBe(`Bearer ${CANARY}`)
    receiver.answering = () => 500
    expect((await ask('POST', '/queues/a/jobs', { data: 1 })).status).toBe(200)
    await eventually('it was given up', MS_MAX, () => {
      return server.find('a delivery to a webhook was given up') !== undefined
    })
    const log = (await ask('GET', '/webhooks/wh_1/deliveries')).body.data as { ok: boolean }[]
    expect(log.map(({ ok }) => ok)).toEqual([false, false, true])
    expect((await ask('POST', '/webhooks/wh_1/disable')).body).toEqual({ ok: true, data: null })
    expect((await ask('GET', '/webhooks')).body.data).toMatchObject([{ reason: 'by hand' }])
    expect((await ask('POST', '/webhooks/wh_1/enable')).body).toEqual({ ok: true, data: null })
    expect((await ask('PATCH', '/webhooks/wh_1', { queue: 'b' })).body.data).toBe('wh_1')
    expect((await ask('GET', '/webhooks')).body.data).toMatchObject([{ queue: 'b' }])
    expect((await ask('DELETE', '/webhooks/wh_1')).body.data).toBe(true)
    expect((await ask('DELETE', '/webhooks/wh_1')).body.data).toBe(false)
    const gone = await ask('POST', '/webhooks/wh_1/test')
    expect([gone.status, gone.body.code]).toEqual([404, 'webhook_not_found'])
    const refused = await ask('POST', '/webhooks', { ...hook, url: 'ftp://a/' })
    expect([refused.status, refused.body.code]).toEqual([400, 'webhook_invalid'])
    expect(texts.join()).not.toContain(CANARY)
    expect(JSON.stringify(server.log) + server.errors).not.toContain(CANARY)
  })

  it('incoming webhooks must be signed where there is a secret, and then need no token', async () => {
    const server = await startServer({
      ...{ HTTP: '1', HTTP_PORT: '0', AUTH_TOKENS: 'token' },
      WEBHOOK_INCOMING_SECRET: `old secret,${CANARY}`,
    })
    const body = '{"from":"outside"}'
    const send = (headers: Readonly<Record<string, string>>): Promise<Http> =>
      http(server, 'POST', '/webhooks/incoming/in', body, headers)
    const plain = createHmac('sha256', 'old secret').update(body).digest('hex')
    const accepted = await send({ 'x-flashq-signature': plain })
    expect(accepted.body.data).toMatchObject({ queue: 'in', data: { from: 'outside' } })
    const timestamp = String(Math.floor(Date.now() / 1000))
    const key = Buffer.from(CANARY.slice(6), 'base64')
    const content = `id.${timestamp}.${body}`
    const standard = {
      ...{ 'webhook-id': 'id', 'webhook-timestamp': timestamp },
      'webhook-signature': `v1,${createHmac('sha256', key).update(content).digest('base64')}`,
    }
    expect((await send(standard)).status).toBe(200)
    const late = { ...standard, 'webhook-timestamp': String(Number(timestamp) - 600) }
    for (const wrong of [{}, late, { 'x-flashq-signature': plain.replace(/./, 'x') }]) {
      const { status, body: answer } = await send(wrong)
      expect([status, answer.code]).toEqual([401, 'auth_invalid'])
    }
    // A token does not stand for a signature.
    expect((await send({ authorization: 'Bearer token' })).status).toBe(401)
    expect((await http(server, 'GET', '/webhooks')).status).toBe(401)
  })
})
