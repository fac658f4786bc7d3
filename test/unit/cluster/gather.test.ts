import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { GATHER_MS_MAX, Gathers, mergeMetrics, mergeStats } from '../../../src/cluster/gather.ts'
import type { Runner } from '../../../src/cluster/runner.ts'
import { Op } from '../../../src/engine/op.ts'
import type { Metrics, QueueInfo, Reply, Stats } from '../../../src/engine/ports.ts'
import { wireCodec } from '../../../src/transports/wire/codec.ts'

const queue = (name: string): QueueInfo => ({
  name,
  pending: 1,
  processing: 0,
  dlq: 0,
  paused: false,
  rate_limit: null,
  concurrency_limit: null,
})

const metrics = (part: Partial<Metrics>): Metrics => ({
  total_pushed: 1,
  total_completed: 2,
  total_failed: 3,
  jobs_per_second: 0.5,
  avg_latency_ms: 0,
  latency_count: 0,
  queues: [],
  ...part,
})

const ones: Stats = { queued: 1, processing: 1, delayed: 1, dlq: 1 }

function gathering(others: number[], unreachable: number[] = [], isDurable = false) {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const asked: { worker: number; op: number; no: number }[] = []
  const answers: unknown[] = []
  const runner = {
    stats: () => ones,
    queues: () => [queue('m')],
    crons: () => [],
    shardsOwned: () => 0xff00_0000,
  }
  const start = (op: number): void => gathers.start(op, reply, () => void answers.push('again'))
  const gathers = new Gathers({
    me: 5,
    runner: runner as unknown as Runner,
    isDurable,
    whenSent: (done) => done(),
    codec: wireCodec,
    others: () => others,
    ask(worker, op, no) {
      if (unreachable.includes(worker)) return false
      asked.push({ worker, op, no })
      return true
    },
  })
  const reply = {
    stats: (stats: Stats) => answers.push(stats),
    queues: (queues: QueueInfo[]) => answers.push(queues),
    refused: (refusal: { code: string }) => answers.push(refusal.code),
  } as unknown as Reply
  const part = (worker: number, value: unknown, shards = 0): void => {
    const no = asked.findLast((each) => each.worker === worker)?.no ?? -1
    gathers.gathered(worker, no, { shards, value, body: Buffer.alloc(0) })
  }
  return { gathers, start, asked, answers, part }
}

describe('a command that asks all shards', () => {
  it('is answered at once when there is one worker', () => {
    const { start, answers } = gathering([])
    start(Op.STATS)
    expect(answers).toEqual([ones])
  })

  it('is answered when every other worker has given its part', () => {
    const { start, answers, part } = gathering([1, 2])
    start(Op.STATS)
    part(1, { queued: 10, processing: 0, delayed: 0, dlq: 0 })
    expect(answers).toEqual([])
    part(2, { queued: 100, processing: 5, delayed: 0, dlq: 0 })
    expect(answers).toEqual([{ queued: 111, processing: 6, delayed: 1, dlq: 1 }])
  })

  it('lists queues by name, with their owner', () => {
    const { start, answers, part } = gathering([1])
    start(Op.LISTQUEUES)
    part(1, [
      { ...queue('z'), worker: 1 },
      { ...queue('a'), worker: 1 },
    ])
    const names = (answers[0] as QueueInfo[]).map(({ name, worker }) => [name, worker])
    expect(names).toEqual([
      ['a', 1],
      ['m', 5],
      ['z', 1],
    ])
  })

  it('goes on without a worker that died, before it was asked or after', () => {
    const { gathers, start, answers, part } = gathering([1, 2, 3], [2])
    start(Op.STATS)
    part(3, ones)
    gathers.workerLost(1)
    expect(answers).toEqual([{ queued: 2, processing: 2, delayed: 2, dlq: 2 }])
    part(1, ones)
    expect(answers).toHaveLength(1)
  })

  it('asks again when a shard is in no part, or in two, because it changes hands', () => {
    const { gathers, start, answers, part } = gathering([1, 2], [], true)
    start(Op.STATS)
    part(1, ones, 0x00ff_0000)
    gathers.workerLost(2)
    start(Op.STATS)
    part(1, ones, 0x00ff_ffff)
    part(2, ones, 0x0000_0001)
    expect(answers).toEqual(['again', 'again'])
    start(Op.STATS)
    part(1, ones, 0x00ff_0000)
    part(2, ones, 0x0000_ffff)
    expect(answers[2]).toEqual({ queued: 3, processing: 3, delayed: 3, dlq: 3 })
  })

  it('is unavailable when a live worker does not answer in time', () => {
    const { start, answers, part } = gathering([1, 2])
    start(Op.STATS)
    part(1, ones)
    vi.advanceTimersByTime(GATHER_MS_MAX)
    expect(answers).toEqual(['unavailable'])
    part(2, ones)
    expect(answers).toEqual(['unavailable'])
  })
})

describe('merging', () => {
  it('adds up stats', () => {
    expect(mergeStats([ones, ones, ones])).toEqual({ queued: 3, processing: 3, delayed: 3, dlq: 3 })
  })

  it('weights the mean latency by its jobs', () => {
    const whole = mergeMetrics([
      metrics({ avg_latency_ms: 10, latency_count: 1, queues: [queue('b')] }),
      metrics({ avg_latency_ms: 50, latency_count: 3, queues: [queue('a')] }),
      metrics({ avg_latency_ms: 0, latency_count: 0 }),
    ])
    expect(whole).toMatchObject({ avg_latency_ms: 40, latency_count: 4, jobs_per_second: 1.5 })
    expect(whole).toMatchObject({ total_pushed: 3, total_completed: 6, total_failed: 9 })
    expect(whole.queues.map(({ name }) => name)).toEqual(['a', 'b'])
    expect(mergeMetrics([metrics({})]).avg_latency_ms).toBe(0)
  })
})
