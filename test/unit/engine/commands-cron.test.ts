import { beforeEach, describe, expect, it } from 'vitest'
import { limits } from '../../../src/engine/limits.ts'
import { EngineHarness, START_MS } from '../../support/engine-harness.ts'

let q: EngineHarness

beforeEach(() => {
  q = new EngineHarness({ events: true })
})

const cron = (name: string, schedule: string, options: object = {}) =>
  q.send({ cmd: 'CRON', name, queue: 'jobs', schedule, data: { of: name }, ...options })
const listed = () => q.shards.flatMap((shard) => shard.crons())
const pushed = () => q.events('pushed').map((event) => event.job.created_at - START_MS)

describe('CRON', () => {
  it('pushes a job at each of its times', () => {
    expect(cron('tick', '*/2', { priority: -3 })).toEqual({ ok: true })
    q.advance(1999)
    expect(pushed()).toEqual([])
    q.advance(6001)
    expect(pushed()).toEqual([2000, 4000, 6000, 8000])
    expect(q.pull('jobs')).toMatchObject({
      data: { of: 'tick' },
      priority: -3,
      run_at: START_MS + 2000,
    })
  })

  it('serves a waiting pull', () => {
    const waiting = q.start({ cmd: 'PULL', queue: 'jobs' })
    cron('tick', '*/1')
    q.advance(1000)
    expect(waiting.answer?.job?.data).toEqual({ of: 'tick' })
  })

  it('keeps its data byte for byte', () => {
    const data = '{ "n":1234567890123456789,"ü":1.0 }'
    q.send(`{"cmd":"CRON","name":"c","queue":"jobs","schedule":"*/1","data":${data}}`)
    expect(listed()).toMatchObject([{ data }])
    q.advance(1000)
    expect(q.start({ cmd: 'PULL', queue: 'jobs' }).line).toContain(`"data":${data},`)
  })

  it('that was missed for a while fires once, and keeps its rhythm', () => {
    cron('tick', '*/2')
    q.jump(9500)
    expect(pushed()).toEqual([9500])
    expect(listed()).toMatchObject([{ next_run: START_MS + 10_000 }])
    q.advance(2500)
    expect(pushed()).toEqual([9500, 10_000, 12_000])
  })

  it('follows a cron expression in UTC', () => {
    cron('daily', '0 30 4 * * *')
    const next = listed()[0]?.next_run ?? 0
    expect(new Date(next).toISOString()).toMatch(/T04:30:00.000Z$/)
    q.advance(next - q.nowMs)
    expect(q.events('pushed')).toHaveLength(1)
    expect(listed()[0]?.next_run).toBe(next + 86_400_000)
  })

  it('of the same name replaces the one before', () => {
    cron('tick', '*/1')
    cron('tick', '*/5', { queue: 'other', data: 2, priority: 1 })
    expect(listed()).toEqual([
      {
        name: 'tick',
        queue: 'other',
        data: '2',
        schedule: '*/5',
        priority: 1,
        next_run: START_MS + 5000,
      },
    ])
    q.advance(5000)
    expect(pushed()).toEqual([5000])
    expect(q.pull('other')?.data).toBe(2)
  })

  it('is gone after CRONDELETE', () => {
    cron('tick', '*/1')
    expect(q.send({ cmd: 'CRONDELETE', name: 'tick' })).toEqual({ ok: true })
    expect(q.send({ cmd: 'CRONDELETE', name: 'tick' })).toEqual({
      ok: false,
      error: 'Cron job not found',
      code: 'cron_not_found',
    })
    q.advance(5000)
    expect(pushed()).toEqual([])
    expect(listed()).toEqual([])
  })

  it.each([
    ['', '*/1', 'cron_invalid'],
    ['n'.repeat(limits.cronNameBytesMax + 1), '*/1', 'cron_invalid'],
    ['n', '*/0', 'cron_invalid'],
    ['n', '*/x', 'cron_invalid'],
    ['n', 'never', 'cron_invalid'],
    ['n', '0 0 30 2 *', 'cron_invalid'],
    ['n', `* * * * * ${'*'.repeat(256)}`, 'cron_invalid'],
  ])('refuses the name %j with the schedule %j', (name, schedule, code) => {
    expect(cron(name, schedule).code).toBe(code)
    expect(listed()).toEqual([])
  })

  it('refuses data that is too large', () => {
    const data = 'x'.repeat(limits.dataBytesMax)
    expect(cron('n', '*/1', { data }).code).toBe('data_too_large')
  })
})

describe('a tick', () => {
  const tick = (tickMs: number, queue = 'jobs') => {
    q.shardOf(queue).takeTick({ name: 'c', tickMs, queue, data: '1', priority: 0 }, q.nowMs)
    q.settle()
  }

  it('is taken once, however often it arrives, and never after a later one', () => {
    tick(1000)
    tick(1000)
    tick(2000)
    tick(1000)
    tick(2000)
    expect(q.events('pushed')).toHaveLength(2)
  })

  it('is dropped while the memory is full; the next one is taken', () => {
    q.memory.full = true
    tick(1000)
    q.memory.full = false
    tick(2000)
    expect(q.events('pushed')).toHaveLength(1)
  })
})
