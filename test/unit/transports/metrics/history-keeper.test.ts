import { describe, expect, it } from 'vitest'
import type { Survey, SurveyResult } from '../../../../src/engine/survey-port.ts'
import {
  HistoryKeeper,
  type HistorySums,
} from '../../../../src/transports/metrics/history-keeper.ts'

const ALL = 0xffff_ffff
const EVEN = 0x5555_5555
const START = 1_800_000_000_000

const sumsOf = (more: Partial<HistorySums> = {}): HistorySums => ({
  shards: ALL,
  waiting: 0,
  active: 0,
  delayed: 0,
  dlq: 0,
  completed: 0,
  failed: 0,
  recentCount: 0,
  recentSumMs: 0,
  ...more,
})

/** Workers as a survey sees them; the first one is this one. */
class Workers implements Survey {
  readonly worker = 0
  sums: HistorySums[] = [sumsOf()]
  silent: number[] = []
  private readonly topics = new Map<string, () => unknown>()

  answer(topic: string, say: () => unknown): void {
    this.topics.set(topic, say)
  }

  ask(topic: string): Promise<SurveyResult> {
    const values = topic === 'history-sums' ? this.sums : [this.topics.get(topic)?.()]
    const answers = values.map((value, worker) => ({ worker, incarnation: 1, value }))
    return Promise.resolve({ answers, silent: this.silent })
  }
}

function setUp(isDurable: boolean) {
  const survey = new Workers()
  const clock = { ms: START, nowMs: () => clock.ms }
  const keeper = new HistoryKeeper({ survey, clock, isDurable, sums: () => sumsOf() })
  return { survey, clock, keeper }
}

describe('a point of the history', () => {
  it('is the sum of all workers, at the end of its slot', async () => {
    const { survey, clock, keeper } = setUp(false)
    survey.sums = [
      sumsOf({ waiting: 2, active: 1, completed: 10, recentCount: 1, recentSumMs: 8 }),
      sumsOf({ waiting: 3, delayed: 4, dlq: 5, failed: 6, recentCount: 3, recentSumMs: 4 }),
    ]
    clock.ms = START + 5123
    await keeper.sample()
    expect(await keeper.shown(null)).toEqual([
      {
        timestamp: START + 5000,
        queued: 5,
        processing: 1,
        delayed: 4,
        dlq: 5,
        completed: 10,
        failed: 6,
        throughput: 0,
        latency_ms: 3,
      },
    ])
  })

  it('has the rate since the one before', async () => {
    const { survey, clock, keeper } = setUp(false)
    await keeper.sample()
    survey.sums = [sumsOf({ completed: 50 })]
    clock.ms += 10_000
    await keeper.sample()
    expect((await keeper.shown(null)).map(({ throughput }) => throughput)).toEqual([0, 5])
  })

  it('is made once a slot', async () => {
    const { clock, keeper } = setUp(false)
    await keeper.sample()
    clock.ms += 100
    await keeper.sample()
    expect(await keeper.shown(null)).toHaveLength(1)
  })

  it('is left out while a worker is silent, or a durable shard is between two owners', async () => {
    const { survey, clock, keeper } = setUp(true)
    survey.silent = [1]
    await keeper.sample()
    survey.silent = []
    survey.sums = [sumsOf({ shards: EVEN })]
    clock.ms += 5000
    await keeper.sample()
    expect(await keeper.shown(null)).toEqual([])
    survey.sums = [sumsOf({ shards: EVEN }), sumsOf({ shards: (ALL ^ EVEN) >>> 0 })]
    clock.ms += 5000
    await keeper.sample()
    expect(await keeper.shown(null)).toHaveLength(1)
  })
})
