// Metrics and health of a server over PostgreSQL, also while that is away.

import { describe, expect, it } from 'vitest'
import { clientOf, databaseSettings, ownDatabase, startDurable } from '../support/durable-server.ts'
import { eventually } from '../support/eventually.ts'
import { HttpReader } from '../support/http-reader.ts'

const HTTP = { HTTP: '1', HTTP_PORT: '0' }

describe('a durable server', () => {
  it('counts what its journals and checkpoints do', async () => {
    const settings = { ...HTTP, ...(await databaseSettings()), CHECKPOINT_MB: '1' }
    const server = await startDurable(settings)
    const client = await clientOf(server)
    const data = 'x'.repeat(100_000)
    for (let n = 0; n < 30; n++) await client.ok({ cmd: 'PUSH', queue: 'a', data })
    const http = new HttpReader(server)
    await eventually('a checkpoint is made', 20_000, async () => {
      return ((await http.metrics()).value('flashq_checkpoints_total') ?? 0) > 0
    })
    const text = await http.metrics()
    expect(text.value('flashq_store_up')).toBe(1)
    expect(text.value('flashq_jobs_pushed_total')).toBe(30)
    const appends = text.value('flashq_journal_append_duration_seconds_count') ?? 0
    expect(appends).toBeGreaterThanOrEqual(30)
    expect(text.value('flashq_journal_append_duration_seconds_bucket', { le: '+Inf' })).toBe(
      appends,
    )
    expect(text.value('flashq_journal_appended_bytes_total')).toBeGreaterThan(0)
    expect(text.value('flashq_journal_backlog_bytes')).toBe(0)
    expect(text.value('flashq_fenced_writes_total')).toBe(0)
    expect(text.value('flashq_checkpoint_failures_total')).toBe(0)
    expect(text.value('flashq_checkpoint_age_seconds')).toBeLessThan(60)
    expect(text.value('flashq_node_lease_seconds')).toBeGreaterThan(0)
    expect(text.samples('flashq_shard_epoch')).toHaveLength(32)
  })

  it('stays ready while PostgreSQL is away, and says that it is: writes are refused, health is not', async () => {
    const { postgres, settings } = await ownDatabase()
    const server = await startDurable({ ...settings, ...HTTP })
    const http = new HttpReader(server)
    const client = await clientOf(server)
    await client.ok({ cmd: 'PUSH', queue: 'a', data: 1 })
    expect((await http.get('/health')).text).toContain('"postgres_connected":true')

    await postgres.stop('immediate')
    await eventually('it is noticed', 20_000, async () => {
      return (await http.metrics()).value('flashq_store_up') === 0
    })
    expect((await http.get('/livez')).status).toBe(200)
    expect(await http.get('/readyz')).toMatchObject({ status: 200 })
    const health = await http.get('/health')
    expect(health.status).toBe(503)
    expect(health.text).toContain('"status":"unhealthy"')
    expect(health.text).toContain('"postgres_connected":false')
    const cluster = await http.data<{ first_failure: string }>('/health/cluster')
    expect(cluster.first_failure).toBe('store')
    const push = await http.post('/queues/a/jobs', '{"data":2}')
    expect([503, 504]).toContain(push.status)

    await postgres.start()
    await eventually('it is well again', 30_000, async () => {
      return (await http.get('/health')).status === 200
    })
    expect((await http.metrics()).value('flashq_store_up')).toBe(1)
    expect((await http.metrics()).value('flashq_shards_halted')).toBe(0)
  })

  it('keeps its history and its totals when its workers are replaced', async () => {
    const server = await startDurable({ ...HTTP, ...(await databaseSettings()) })
    const http = new HttpReader(server)
    const client = await clientOf(server)
    for (let n = 0; n < 10; n++) await client.ok({ cmd: 'PUSH', queue: `q${n}`, data: n })
    interface Point {
      timestamp: number
      queued: number
    }
    const first = async (): Promise<Point | undefined> =>
      (await http.data<Point[]>('/metrics/history')).find(({ queued }) => queued === 10)
    await eventually('a point is there', 15_000, async () => (await first()) !== undefined)
    const before = await first()
    const pids = server.workerPids()
    server.signal('SIGHUP')
    await eventually(
      'all workers are new',
      30_000,
      () => server.find('all workers were restarted') !== undefined,
    )
    expect(server.workerPids().every((pid, index) => pid !== pids[index])).toBe(true)
    await eventually('it is ready', 20_000, async () => (await http.get('/readyz')).status === 200)
    expect(await first()).toEqual(before)
    const text = await http.metrics()
    expect(text.value('flashq_jobs_pushed_total')).toBe(10)
    // The one that stood in is gone, and known to be.
    expect(text.value('flashq_workers')).toBe(2)
    expect(text.value('flashq_workers_silent')).toBe(0)
  })
})
