import { describe, expect, it } from 'vitest'
import { LatencyCells } from '../../../../src/engine/latency-cells.ts'
import type { TopQueues } from '../../../../src/engine/queue-figures.ts'
import { metricNames } from '../../../../src/transports/metrics/catalogue.ts'
import { exposition, type MetricsPart } from '../../../../src/transports/metrics/exposition.ts'
import { Samples } from '../../../../src/transports/metrics/samples.ts'
import { Exposition } from '../../../support/exposition-parser.ts'

const noQueues: TopQueues = {
  top: [],
  other: { name: 'other', waiting: 0, delayed: 0, active: 0, dlq: 0, parked: 0, oldestMs: 0 },
  otherCount: 0,
}

const partOf = (samples: Samples, more: Partial<MetricsPart> = {}): MetricsPart => ({
  // As it comes over a link.
  families: JSON.parse(JSON.stringify(samples.all())),
  queues: noQueues,
  recentCount: 0,
  recentSumMs: 0,
  ...more,
})

async function scrape(parts: readonly MetricsPart[]): Promise<Exposition> {
  return new Exposition(await exposition(parts, { silentWorkers: 0, consumers: 3 }, 2))
}

describe('a scrape', () => {
  it('adds counters of all workers, label by label', async () => {
    const one = new Samples()
    one.put('flashq_commands_total', 3, { door: 'tcp', op: 'PUSH' })
    one.put('flashq_commands_total', 1, { door: 'http', op: 'PUSH' })
    const two = new Samples()
    two.put('flashq_commands_total', 4, { door: 'tcp', op: 'PUSH' })
    const text = await scrape([partOf(one), partOf(two)])
    expect(text.value('flashq_commands_total', { door: 'tcp', op: 'PUSH' })).toBe(7)
    expect(text.value('flashq_commands_total', { door: 'http', op: 'PUSH' })).toBe(1)
    expect(text.families.get('flashq_commands_total')?.type).toBe('counter')
  })

  it('takes the least or the greatest where a sum says nothing', async () => {
    const parts = [1, 0].map((up) => {
      const samples = new Samples()
      samples.put('flashq_store_up', up)
      samples.put('flashq_shard_epoch', up === 1 ? 4 : 9, { shard: 7 })
      samples.put('flashq_build_info', 1, { version: '1', node: 'v20' })
      return partOf(samples)
    })
    const text = await scrape(parts)
    expect(text.value('flashq_store_up')).toBe(0)
    expect(text.value('flashq_shard_epoch', { shard: '7' })).toBe(9)
    expect(text.value('flashq_build_info', { version: '1', node: 'v20' })).toBe(1)
  })

  it('keeps samples of workers apart that have the worker as a label', async () => {
    const parts = ['0', '1'].map((worker) => {
      const samples = new Samples()
      samples.put('flashq_worker_shards', 16, { worker })
      return partOf(samples)
    })
    expect((await scrape(parts)).samples('flashq_worker_shards')).toHaveLength(2)
  })

  it('adds histograms, whose buckets count all that is shorter', async () => {
    const parts = [0.2, 3, 20_000].map((ms) => {
      const cells = new LatencyCells()
      cells.observe(ms)
      const samples = new Samples()
      samples.putLatency('flashq_command_duration_seconds', cells, { door: 'tcp', op: 'PUSH' })
      return partOf(samples)
    })
    const text = await scrape(parts)
    const labels = { door: 'tcp', op: 'PUSH' }
    const name = 'flashq_command_duration_seconds'
    expect(text.value(`${name}_bucket`, { ...labels, le: '0.0001' })).toBe(0)
    expect(text.value(`${name}_bucket`, { ...labels, le: '0.00025' })).toBe(1)
    expect(text.value(`${name}_bucket`, { ...labels, le: '0.005' })).toBe(2)
    expect(text.value(`${name}_bucket`, { ...labels, le: '10' })).toBe(2)
    expect(text.value(`${name}_bucket`, { ...labels, le: '+Inf' })).toBe(3)
    expect(text.value(`${name}_count`, labels)).toBe(3)
    expect(text.value(`${name}_sum`, labels)).toBeCloseTo(20.0032)
  })

  it('names the largest queues of all workers, and escapes nothing that a parser would not', async () => {
    const queue = (name: string, waiting: number): TopQueues['other'] => ({
      ...noQueues.other,
      name,
      waiting,
    })
    const queuesOf = (...top: TopQueues['other'][]): TopQueues => ({ ...noQueues, top })
    const text = await scrape([
      partOf(new Samples(), { queues: queuesOf(queue('aé', 5), queue('b', 1)) }),
      partOf(new Samples(), { queues: queuesOf(queue('c', 9)) }),
    ])
    const depths = text.samples('flashq_queue_depth')
    expect(new Set(depths.map(({ labels }) => labels['queue']))).toEqual(
      new Set(['c', 'aé', 'other']),
    )
    expect(text.value('flashq_queue_depth', { queue: 'other', state: 'waiting' })).toBe(1)
    expect(text.value('flashq_queues_in_other')).toBe(1)
  })

  it('weighs the mean latency by the jobs that it is the mean of', async () => {
    const text = await scrape([
      partOf(new Samples(), { recentCount: 1, recentSumMs: 10 }),
      partOf(new Samples(), { recentCount: 3, recentSumMs: 2 }),
    ])
    expect(text.value('flashq_latency_ms')).toBe(3)
    expect(text.value('flashq_workers_active')).toBe(3)
  })

  it('writes families in the order of the catalogue, each once', async () => {
    const samples = new Samples()
    for (const name of [...metricNames].reverse()) {
      if (name.startsWith('flashq_queue') || name.startsWith('flashq_workers_')) continue
      if (name !== 'flashq_latency_ms') samples.put(name, 1)
    }
    const names = [...(await scrape([partOf(samples), partOf(samples)])).families.keys()]
    const known = metricNames.filter((name) => names.includes(name))
    expect(names).toEqual(known)
  })
})
