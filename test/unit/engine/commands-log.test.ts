import { beforeEach, describe, expect, it } from 'vitest'
import { limits } from '../../../src/engine/limits.ts'
import type { Shard } from '../../../src/engine/shard.ts'
import { EngineHarness, queueOfShard, START_MS } from '../../support/engine-harness.ts'

const SHARD = 3
const here = queueOfShard(SHARD)

let q: EngineHarness

beforeEach(() => {
  q = new EngineHarness({ retention: { count: 2, bytes: 10_000 } })
})

const log = (id: number, line: string, options: object = {}) =>
  q.send({ cmd: 'LOG', id, line, ...options })
const logs = (id: number) => q.send({ cmd: 'GETLOGS', id }) as unknown as Record<string, unknown>
const lines = (id: number) => (logs(id)['logs'] as { line: string }[]).map(({ line }) => line)
const NONE = { logs: [], dropped: 0 }

describe('LOG', () => {
  it('keeps lines in their order, with their moment, through all that happens to the job', () => {
    const id = q.push(here, 1, { max_attempts: 2 })
    expect(log(id, 'before')).toEqual({ ok: true })
    q.advance(5)
    q.pull(here)
    log(id, 'running "ü"\n')
    q.fail(id)
    q.pull(here)
    q.fail(id)
    log(id, 'dead')
    const all = [
      { at: START_MS, line: 'before' },
      { at: START_MS + 5, line: 'running "ü"\n' },
      { at: START_MS + 5, line: 'dead' },
    ]
    expect(logs(id)).toEqual({ ok: true, id, logs: all, dropped: 0 })
    q.crash(SHARD)
    expect(logs(id)).toEqual({ ok: true, id, logs: all, dropped: 0 })
    q.send({ cmd: 'RETRYDLQ', queue: here })
    expect(lines(id)).toHaveLength(3)
  })

  it('keeps the newest lines, and how many were before them', () => {
    const id = q.push(here)
    const max = limits.logLinesMax
    for (let i = 0; i < max + 7; i++) log(id, `${i}`)
    expect(logs(id)['dropped']).toBe(7)
    expect(lines(id)).toEqual(Array.from({ length: max }, (_, i) => `${i + 7}`))
    q.crash(SHARD)
    expect(logs(id)['dropped']).toBe(7)
    log(id, 'next')
    expect(logs(id)['dropped']).toBe(8)
    expect(lines(id).at(-1)).toBe('next')
  })

  it('lives as long as the job can be read, and no longer', () => {
    const id = q.push(here)
    log(id, 'a')
    q.pull(here)
    q.ack(id)
    expect(lines(id)).toEqual(['a'])
    expect(log(id, 'late')).toMatchObject({ code: 'job_not_found' })
    for (let i = 0; i < 2; i++) {
      q.push(here)
      q.ack(q.pull(here)?.id ?? 0)
    }
    expect(logs(id)).toMatchObject(NONE)
    const { jobs } = (q.shards[SHARD] as Shard).state
    expect([jobs.rare.size, jobs.rareBytes]).toEqual([0, 0])
    const cancelled = q.push(here)
    log(cancelled, 'b')
    q.send({ cmd: 'CANCEL', id: cancelled })
    expect(logs(cancelled)).toMatchObject(NONE)
  })

  it('counts for retention, before and after a new owner', () => {
    const first = q.push(here)
    for (let i = 0; i < 9; i++) log(first, 'x'.repeat(1000))
    q.pull(here)
    q.ack(first)
    const kept = (q.shards[SHARD] as Shard).state.finishedBytes
    expect(kept).toBeGreaterThan(9000)
    q.crash(SHARD)
    expect((q.shards[SHARD] as Shard).state.finishedBytes).toBe(kept)
    const second = q.push(here)
    log(second, 'x'.repeat(1000))
    q.pull(here)
    q.ack(second)
    expect([lines(first).length, lines(second).length]).toEqual([0, 1])
    expect((q.shards[SHARD] as Shard).state.finishedBytes).toBeLessThan(2000)
  })

  it('with a token is for the delivery that has it', () => {
    const id = q.push(here)
    const token = q.pull(here, { token: true })?.token
    expect(log(id, 'a', { token })).toEqual({ ok: true })
    expect(log(id, 'b', { token: 99 })).toMatchObject({ code: 'stale_token' })
    q.send({ cmd: 'RELEASE', id })
    expect(log(id, 'c', { token })).toMatchObject({ code: 'stale_token' })
    expect(lines(id)).toEqual(['a'])
  })

  it('refuses a line that is too long, a job that is not there, and memory that is full', () => {
    const id = q.push(here)
    const longest = 'ü'.repeat(limits.logLineBytesMax / 2)
    expect(log(id, longest)).toEqual({ ok: true })
    expect(log(id, `${longest}.`)).toMatchObject({ code: 'limit_exceeded' })
    expect(log(123, 'a')).toMatchObject({ code: 'job_not_found' })
    expect(q.send({ cmd: 'LOG', id })).toMatchObject({ error: 'Invalid: missing field "line"' })
    expect(q.send({ cmd: 'LOG', id, line: null })).toMatchObject({ code: 'invalid' })
    q.memory.full = true
    expect(log(id, 'a')).toMatchObject({ code: 'memory_full' })
    expect(lines(id)).toEqual([longest])
  })

  it('is counted as memory', () => {
    const id = q.push(here)
    const { jobs } = (q.shards[SHARD] as Shard).state
    const before = jobs.rareBytes
    log(id, 'x'.repeat(4000))
    expect(jobs.rareBytes - before).toBeGreaterThan(4000)
    for (let i = 0; i < limits.logLinesMax; i++) log(id, '')
    expect(jobs.rareBytes - before).toBeLessThan(10_000)
  })
})

describe('GETLOGS', () => {
  it('of a job without a log, or that is not there, is empty', () => {
    const id = q.push(here, 1, { tags: ['t'] })
    expect(logs(id)).toEqual({ ok: true, id, ...NONE })
    expect(logs(123)).toEqual({ ok: true, id: 123, ...NONE })
  })
})
