// The HTTP API where jobs are durable: what was answered is there after a crash, and what can't be stored is not.

import { expect, it } from 'vitest'
import {
  databaseSettings,
  kill,
  launch,
  ownDatabase,
  startDurable,
} from '../support/durable-server.ts'
import { HttpClient } from '../support/http-client.ts'

const HTTP = { HTTP: '1', HTTP_PORT: '0', WORKERS: '2' }

it('what was answered is there after a crash', async () => {
  const settings = { ...HTTP, ...(await databaseSettings()) }
  const first = await startDurable(settings)
  const http = new HttpClient(first.httpPort)
  const pushed = await http.post('/queues/kept/jobs', '{"data":{"n":12345678901234567890}}')
  const { id } = pushed.json.data as { id: number }
  const batch = await http.post('/queues/kept/jobs/batch', { jobs: [{ data: 1 }, { data: 2 }] })
  expect((batch.json.data as { ids: number[] }).ids).toHaveLength(2)
  const [pulled] = (await http.get('/queues/kept/jobs')).json.data as { id: number }[]
  expect(pulled?.id).toBe(id)
  await http.post(`/jobs/${id}/progress`, { progress: 10 })
  await http.post(`/jobs/${id}/logs`, { line: 'seen' })
  expect((await http.post(`/jobs/${id}/ack`, '{"result":{"r":1.0}}')).json).toEqual({
    ok: true,
    data: null,
  })
  expect((await http.get('/health')).json.data).toMatchObject({
    status: 'healthy',
    node_id: expect.any(String),
    is_leader: true,
    postgres_connected: true,
  })
  const { database_url, database_connected } = (await http.get('/settings')).json.data as Record<
    string,
    unknown
  >
  expect(database_connected).toBe(true)
  const { password } = new URL(settings.DATABASE_URL)
  if (password !== '') expect(database_url).not.toContain(password)
  await kill(first)

  const second = await startDurable(settings)
  const again = new HttpClient(second.httpPort)
  const kept = await again.get(`/jobs/${id}`)
  expect(kept.text).toContain('"data":{"n":12345678901234567890}')
  expect(kept.text).toContain('"state":"completed","result":{"r":1.0}')
  expect((await again.get(`/jobs/${id}/logs`)).json.data).toMatchObject({
    logs: [{ line: 'seen' }],
  })
  const rest = (await again.get('/queues/kept/jobs?count=10')).json.data as { data: number }[]
  expect(rest.map(({ data }) => data)).toEqual([1, 2])
})

it('while the database is away the server says so, and stores what it answers when it is back', async () => {
  const { postgres, settings } = await ownDatabase()
  const server = await launch({ ...HTTP, ...settings }).ready()
  const http = new HttpClient(server.httpPort)
  expect((await http.post('/queues/q/jobs', { data: 1 })).status).toBe(200)
  await postgres.stop()
  await expect.poll(async () => (await http.get('/health')).status, { timeout: 30_000 }).toBe(503)
  expect((await http.get('/health')).json.data).toMatchObject({
    status: 'unhealthy',
    postgres_connected: false,
  })
  const refused = await http.post('/queues/q/jobs', { data: 2 })
  expect([503, 504]).toContain(refused.status)
  await postgres.start()
  await expect
    .poll(async () => (await http.post('/queues/q/jobs', { data: 3 })).status, { timeout: 30_000 })
    .toBe(200)
  await expect.poll(async () => (await http.get('/health')).status, { timeout: 30_000 }).toBe(200)
})
