import { beforeEach, describe, expect, it } from 'vitest'
import { EngineHarness, queueOfShard, START_MS } from '../../support/engine-harness.ts'

const here = queueOfShard(3)

let q: EngineHarness

beforeEach(() => {
  q = new EngineHarness()
})

const promote = (id: number) => q.send({ cmd: 'PROMOTE', id })

describe('PROMOTE', () => {
  it('makes a delayed job ready at once, due now', () => {
    const id = q.push(here, 1, { delay: 60_000 })
    q.advance(5)
    expect(promote(id)).toEqual({ ok: true })
    expect(q.stats()).toMatchObject({ queued: 1, delayed: 0 })
    expect(q.pull(here)).toMatchObject({ id, run_at: START_MS + 5 })
  })

  it('hands it to a pull that waits', () => {
    const id = q.push(here, 1, { delay: 60_000 })
    const pull = q.start({ cmd: 'PULL', queue: here })
    promote(id)
    expect(pull.answer?.job?.id).toBe(id)
  })

  it('gives it the place of a job that is due now', () => {
    const late = q.push(here, 1, { delay: 60_000 })
    const first = q.push(here, 2)
    q.advance(5)
    promote(late)
    q.advance(5)
    const last = q.push(here, 3)
    expect(q.pullIds(here)).toEqual([first, late, last])
  })

  it('ends the pause before a retry', () => {
    const id = q.push(here, 1, { backoff: 60_000 })
    q.pull(here)
    q.fail(id)
    expect(q.state(id)).toBe('delayed')
    promote(id)
    expect(q.pull(here)).toMatchObject({ id, attempts: 1 })
  })

  it('leaves nothing for its timer to do, and the job its ttl', () => {
    const id = q.push(here, 1, { delay: 1000, ttl: 2000 })
    promote(id)
    q.pull(here)
    q.advance(1500)
    expect(q.state(id)).toBe('active')
    const other = q.push(here, 1, { delay: 1000, ttl: 2000 })
    promote(other)
    q.advance(2001)
    expect(q.state(other)).toBe('unknown')
  })

  it('survives a new owner', () => {
    const id = q.push(here, 1, { delay: 60_000 })
    promote(id)
    q.crash(3)
    expect(q.pull(here)).toMatchObject({ id, run_at: START_MS })
  })

  it('refuses what is not delayed, and what is not there', () => {
    const id = q.push(here, 1, { max_attempts: 1 })
    const child = q.push(here, 1, { depends_on: [id] })
    const refused = { ok: false, code: 'job_not_delayed' }
    expect(promote(id)).toMatchObject({ ...refused, error: `Job ${id} is not delayed` })
    expect(promote(child)).toMatchObject(refused)
    q.pull(here)
    expect(promote(id)).toMatchObject(refused)
    q.fail(id)
    expect(promote(id)).toMatchObject(refused)
    expect(promote(123)).toMatchObject({ ok: false, code: 'job_not_found' })
    const gone = q.push(here)
    q.send({ cmd: 'CANCEL', id: gone })
    expect(promote(gone)).toMatchObject({ ok: false, code: 'job_not_found' })
  })
})
