// Each tick of a cron fires once: whatever is lost on the way, whoever refuses it, and whoever crashes.

import { beforeEach, describe, expect, it } from 'vitest'
import { limits } from '../../../src/engine/limits.ts'
import { EngineHarness, queueOfShard, START_MS } from '../../support/engine-harness.ts'

const CRON_SHARD = 7
const QUEUE_SHARD = 9
const name = queueOfShard(CRON_SHARD)
const queue = queueOfShard(QUEUE_SHARD)

let q: EngineHarness

beforeEach(() => {
  q = new EngineHarness({ records: true, events: true })
})

const cron = (schedule: string, options: object = {}) =>
  q.send({ cmd: 'CRON', name, queue, schedule, data: schedule, ...options })
/** When each job was pushed, in seconds. */
const pushed = (): number[] =>
  q.events('pushed').map((event) => (event.job.created_at - START_MS) / 1000)
/** Ticks as they were sent, in seconds. */
const sent = (): number[] => q.ticks.map((tick) => (tick.tickMs - START_MS) / 1000)
const nextRun = (): number => ((q.shards[CRON_SHARD]?.crons()[0]?.next_run ?? 0) - START_MS) / 1000
const taken = (): number =>
  ((q.shards[QUEUE_SHARD]?.state.cronTicks.get(name) ?? 0) - START_MS) / 1000

describe('a tick', () => {
  it('that is lost on its way is sent again every second, and the next ones wait their turn', () => {
    cron('*/2')
    q.lostLetters.add('cronTick')
    q.advance(6500)
    expect(sent()).toEqual([2, 2, 2, 2, 2])
    expect(pushed()).toEqual([])
    expect(nextRun()).toBe(4)
    q.lostLetters.clear()
    q.advance(2500)
    // 2, 4 and 6 as soon as they can be, 8 in its time.
    expect(pushed()).toEqual([7, 7, 7, 8])
    expect([taken(), nextRun()]).toEqual([8, 10])
  })

  it('stays the one that is sent, however late it is; of what came after it, the policy says which fire', () => {
    cron('*/10')
    q.lostLetters.add('cronTick')
    q.advance(120_500)
    expect(new Set(sent())).toEqual(new Set([10]))
    q.lostLetters.clear()
    q.advance(500)
    // It is 121: 70 to 120 are of the last minute, 60 is the newest one before.
    expect(sent().slice(-8)).toEqual([10, 60, 70, 80, 90, 100, 110, 120])
    expect(pushed()).toHaveLength(8)
  })

  it('whose confirmation is lost is sent again, and not taken again', () => {
    cron('*/5')
    q.lostLetters.add('cronTaken')
    q.advance(8500)
    expect(sent()).toEqual([5, 5, 5, 5])
    q.lostLetters.clear()
    q.advance(2000)
    expect(pushed()).toEqual([5, 10])
  })

  it('is sent once more after any change of owner', () => {
    cron('*/5')
    q.lostLetters.add('cronTick')
    q.advance(5500)
    expect(sent()).toEqual([5])
    q.lostLetters.clear()
    q.shards[CRON_SHARD]?.askAgain()
    q.settle()
    expect(pushed()).toEqual([5.5])
    q.shards[CRON_SHARD]?.askAgain()
    q.settle()
    expect(sent()).toEqual([5, 5])
  })

  it.each([
    [
      'while the memory is full',
      () => Object.assign(q.memory, { full: true }),
      () => Object.assign(q.memory, { full: false }),
    ],
    [
      'while it has no sequences',
      () => {
        q = new EngineHarness({ records: true, events: true, seqLimit: 1 })
      },
      () => q.shards[QUEUE_SHARD]?.raiseSeqLimit(100),
    ],
  ])('that the shard of its queue refuses %s comes again', (_, refuse, allow) => {
    refuse()
    cron('*/2')
    q.advance(5500)
    expect(pushed()).toEqual([])
    expect(nextRun()).toBe(4)
    allow()
    q.advance(1500)
    expect(pushed()).toEqual([6, 6, 6])
  })

  it('of more crons than one tick looks at comes all the same', () => {
    const count = 2 * limits.cronsPerTickMax + 1
    for (let i = 0, found = 0; found < count; i++) {
      const each = `c${i}`
      if (q.shardOf(each) !== q.shards[CRON_SHARD]) continue
      found++
      q.send({ cmd: 'CRON', name: each, queue, schedule: '*/2', data: i })
    }
    const shard = q.shards[CRON_SHARD]
    q.nowMs += 2000
    shard?.tick(q.nowMs)
    expect(q.ticks).toHaveLength(limits.cronsPerTickMax)
    expect(shard?.nextDueMs()).toBe(q.nowMs)
    q.advance(0)
    expect(pushed()).toHaveLength(count)
    q.advance(2000)
    expect(pushed()).toHaveLength(2 * count)
  })
})

describe('a crash', () => {
  it.each([
    ['of the cron before its tick is there', CRON_SHARD, 'cronTick'],
    ['of the cron before the tick is confirmed', CRON_SHARD, 'cronTaken'],
    ['of the queue before the tick is there', QUEUE_SHARD, 'cronTick'],
    ['of the queue before the tick is confirmed', QUEUE_SHARD, 'cronTaken'],
  ] as const)('%s: the tick fires once', (_, shard, letter) => {
    cron('*/5')
    q.lostLetters.add(letter)
    q.advance(5500)
    q.lostLetters.clear()
    q.crash(shard)
    q.advance(10_000)
    expect(pushed()).toHaveLength(3)
    expect(pushed().slice(1)).toEqual([10, 15])
    expect(taken()).toBe(15)
  })

  it('of the queue before it has stored the tick: the tick comes again', () => {
    cron('*/5')
    q.lostLetters.add('cronTaken')
    q.advance(5500)
    q.shards[QUEUE_SHARD]?.state.cronTicks.clear()
    q.lostLetters.clear()
    q.advance(1000)
    expect(pushed()).toEqual([5, 6])
    expect(sent()).toEqual([5, 5])
  })

  it('after which nobody owned the cron for a while: ticks of the last minute fire, and the newest one before', () => {
    cron('*/20')
    q.advance(20_000)
    q.nowMs += 191_000
    q.crash(CRON_SHARD)
    q.advance(0)
    // It is 211: 160, 180 and 200 are of the last minute, 140 is the newest one before.
    expect(sent()).toEqual([20, 140, 160, 180, 200])
    expect(pushed()).toEqual([20, 211, 211, 211, 211])
    q.advance(9000)
    expect(pushed().at(-1)).toBe(220)
    expect(nextRun()).toBe(240)
  })

  it('of long ago costs one tick, also of a cron expression', () => {
    cron('0 0 * * * *')
    const first = nextRun()
    q.nowMs += 400 * 24 * 3_600_000
    q.crash(CRON_SHARD)
    q.advance(0)
    expect(pushed()).toHaveLength(1)
    const [tick] = sent() as [number]
    expect((tick - first) % 3600).toBe(0)
    expect((q.nowMs - START_MS) / 1000 - tick).toBeLessThan(3660)
  })
})

describe('a cron that is set anew while its tick is on its way', () => {
  beforeEach(() => {
    cron('*/5')
    q.lostLetters.add('cronTaken')
    q.advance(5500)
    expect(pushed()).toEqual([5])
  })

  it('follows its new schedule, whatever is confirmed of the old one', () => {
    cron('*/2')
    q.lostLetters.clear()
    q.shards[CRON_SHARD]?.tickTaken(name, START_MS + 5000, q.nowMs)
    expect(nextRun()).toBe(7.5)
    q.advance(5000)
    expect(pushed()).toEqual([5, 7.5, 9.5])
    expect(sent()).toEqual([5, 7.5, 9.5])
  })

  it('also when it was deleted in between', () => {
    q.send({ cmd: 'CRONDELETE', name })
    q.shards[CRON_SHARD]?.tickTaken(name, START_MS + 5000, q.nowMs)
    q.lostLetters.clear()
    q.advance(2000)
    cron('*/2', { queue: queueOfShard(3) })
    q.advance(3000)
    expect(pushed()).toEqual([5, 9.5])
  })

  it('fires at its first tick when that is confirmed, not when the old one is', () => {
    cron('*/2')
    q.advance(2000)
    expect(sent()).toEqual([5, 7.5])
    q.shards[CRON_SHARD]?.tickTaken(name, START_MS + 5000, q.nowMs)
    q.advance(1000)
    expect(sent()).toEqual([5, 7.5, 7.5])
    q.shards[CRON_SHARD]?.tickTaken(name, START_MS + 7500, q.nowMs)
    expect(nextRun()).toBe(9.5)
  })
})

describe('without records', () => {
  it('a stall makes one tick of those it missed', () => {
    q = new EngineHarness({ events: true })
    cron('*/2')
    q.jump(9500)
    expect(sent()).toEqual([8])
    q.advance(500)
    expect(pushed()).toEqual([9.5, 10])
  })
})
