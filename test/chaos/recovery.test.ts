// A million waiting jobs outlive a crash: all of them are there, and the first are given out within seconds.

import type { NetConnectOpts } from 'node:net'
import { expect, it } from 'vitest'
import { queueInShard } from '../support/queue-names.ts'
import { WireClient } from '../support/wire-client.ts'
import { durableRun } from './durable-run.ts'

const SHARDS = 32
const BATCHES_PER_QUEUE = 32
const BATCH = 1000
const JOBS = SHARDS * BATCHES_PER_QUEUE * BATCH
/** The bar for a machine of its own; here others may be at work. */
const FIRST_PULL_MS_MAX = 30_000

it('a million waiting jobs are there after a crash', { timeout: 15 * 60_000 }, async () => {
  // Straight to PostgreSQL: a proxy in between would be what is measured.
  const run = await durableRun({ direct: true, settings: { CHECKPOINT_MB: '64' } })
  const queues = Array.from({ length: SHARDS }, (_, shard) => queueInShard(shard))
  await Promise.all(queues.map((queue) => fill(run.server.where(), queue)))
  await run.server.kill()

  const startMs = performance.now()
  await run.server.start()
  const client = await WireClient.open(run.server.where())
  for (const queue of queues) {
    const job = await client.pullNow(queue)
    expect(job?.data).toEqual({ n: 0, text: TEXT })
  }
  const tookMs = Math.round(performance.now() - startMs)
  process.stdout.write(`recovery of ${JOBS} waiting jobs: ${tookMs} ms to the first pull of each\n`)
  const stats = { queued: JOBS - SHARDS, processing: SHARDS, delayed: 0, dlq: 0 }
  expect(await client.ok({ cmd: 'STATS' })).toMatchObject(stats)
  expect(tookMs).toBeLessThan(FIRST_PULL_MS_MAX)
})

const TEXT = 'some text, as jobs have it, of about a hundred bytes: who, what, where, and what for'

async function fill(where: NetConnectOpts, queue: string): Promise<void> {
  const client = await WireClient.open(where)
  let n = 0
  for (let batch = 0; batch < BATCHES_PER_QUEUE; batch++) {
    const jobs = Array.from({ length: BATCH }, () => ({ data: { n: n++, text: TEXT } }))
    const { ids } = await client.ok({ cmd: 'PUSHB', queue, jobs })
    expect(ids).toHaveLength(BATCH)
  }
  client.destroy()
}
