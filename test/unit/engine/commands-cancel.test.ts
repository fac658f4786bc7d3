import { beforeEach, describe, expect, it } from 'vitest'
import { limits } from '../../../src/engine/limits.ts'
import { EngineHarness } from '../../support/engine-harness.ts'

let q: EngineHarness

beforeEach(() => {
  q = new EngineHarness({ events: true, retention: { count: 1 } })
})

const cancel = (id: number) => q.send({ cmd: 'CANCEL', id })

describe('CANCEL', () => {
  it.each(['waiting', 'delayed', 'active', 'waiting-children'])(
    'takes out a job that is %s',
    (state) => {
      const options = {
        delayed: { delay: 100 },
        'waiting-children': { depends_on: [q.push('parent')] },
      }[state]
      const id = q.push('a', 1, { ttl: 50, timeout: 60, ...options })
      if (state === 'active') q.pull('a', { lease: 40, release_on_close: true })
      expect(q.state(id)).toBe(state)
      expect(cancel(id)).toEqual({ ok: true })
      expect(q.send({ cmd: 'GETJOB', id })).toEqual({ ok: true, job: null, state: 'unknown' })
      expect(cancel(id).code).toBe('job_not_found')
      q.closed(1)
      q.advance(1000)
      expect(q.queue('a')).toMatchObject({ pending: 0, processing: 0, dlq: 0 })
      expect(
        q
          .events()
          .filter((event) => event.id === id)
          .map((event) => event.event),
      ).toEqual(['pushed', 'cancelled'])
    },
  )

  it('is told to whoever still works on the job: its ack is refused', () => {
    const id = q.push('a')
    const token = q.pull('a', { token: true })?.token
    cancel(id)
    expect(q.ack(id).error).toBe(`Job ${id} not found`)
    expect(q.ack(id, { token }).code).toBe('stale_token')
    expect(q.fail(id).code).toBe('job_not_found')
  })

  it('is refused for a job that is completed or in the DLQ', () => {
    const ids = [q.push('a'), q.push('a'), q.push('a', 1, { max_attempts: 1 })]
    q.pullIds('a')
    q.ack(ids[0] as number)
    q.ack(ids[1] as number)
    q.fail(ids[2] as number)
    expect(q.job(ids[0] as number), 'no longer readable').toBe(null)
    for (const id of ids) {
      expect(cancel(id)).toEqual({
        ok: false,
        error: `Job ${id} cannot be cancelled (already completed/failed)`,
        code: 'job_not_cancellable',
      })
    }
  })

  it('of an unknown id says so', () => {
    expect(cancel(4242)).toEqual({
      ok: false,
      error: 'Job 4242 not found',
      code: 'job_not_found',
    })
  })

  it('leaves the others and their order, many times over', () => {
    const ids = q.send({
      cmd: 'PUSHB',
      queue: 'a',
      jobs: Array.from({ length: 1000 }, (_, i) => ({ data: i, priority: i % 3 })),
    }).ids
    const kept = ids.filter((_, i) => i % 4 === 0)
    for (const id of ids) if (!kept.includes(id)) expect(cancel(id).ok).toBe(true)
    const order = (id: number) => -(ids.indexOf(id) % 3)
    expect(q.pullIds('a')).toEqual(kept.sort((a, b) => order(a) - order(b) || a - b))
  })
})

describe('PROGRESS', () => {
  const progress = (id: number, value: number, message?: string) =>
    q.send({ cmd: 'PROGRESS', id, progress: value, ...(message === undefined ? {} : { message }) })
  const shown = (id: number) => q.send({ cmd: 'GETPROGRESS', id })

  it('is kept with its message while the job is active', () => {
    const id = q.push('a')
    q.pull('a')
    expect(shown(id).progress).toEqual({ id, progress: 0, message: null })
    expect(progress(id, 40, 'wörk "it"')).toEqual({ ok: true })
    expect(shown(id).progress).toEqual({ id, progress: 40, message: 'wörk "it"' })
    expect(q.job(id)).toMatchObject({ progress: 40, progress_msg: 'wörk "it"' })
    expect(q.events('progress')).toMatchObject([{ id, job: { progress: 40 } }])
  })

  it('is stored as at most 100', () => {
    const id = q.push('a')
    q.pull('a')
    progress(id, 255)
    expect(shown(id).progress.progress).toBe(100)
  })

  it('without a message has none', () => {
    const id = q.push('a')
    q.pull('a')
    progress(id, 1, 'm')
    progress(id, 2)
    expect(shown(id).progress).toEqual({ id, progress: 2, message: null })
  })

  it('is refused for a job that is not active', () => {
    const id = q.push('a')
    expect(progress(id, 1)).toEqual({
      ok: false,
      error: `Job ${id} not found in processing`,
      code: 'job_not_active',
    })
    expect(shown(id)).toEqual({ ok: false, error: `Job ${id} not found`, code: 'job_not_found' })
    q.pull('a')
    q.ack(id)
    expect(progress(id, 1).code).toBe('job_not_active')
    expect(shown(id).code).toBe('job_not_found')
  })

  it('refuses a message that is too long', () => {
    const id = q.push('a')
    q.pull('a')
    expect(progress(id, 1, 'x'.repeat(limits.messageBytesMax + 1)).code).toBe('limit_exceeded')
    expect(progress(id, 1, 'x'.repeat(limits.messageBytesMax)).ok).toBe(true)
  })

  it('begins at 0 with each run', () => {
    const id = q.push('a')
    q.pull('a')
    progress(id, 80)
    q.fail(id)
    expect(q.pull('a')?.progress).toBe(0)
  })
})

describe('GETJOB, GETSTATE and GETRESULT', () => {
  it('never fail, whatever the id', () => {
    for (const id of [0, 31, 64, 2 ** 40, 2 ** 53 - 1]) {
      expect(q.send({ cmd: 'GETJOB', id })).toEqual({ ok: true, job: null, state: 'unknown' })
      expect(q.send({ cmd: 'GETSTATE', id })).toEqual({ ok: true, id, state: 'unknown' })
      expect(q.send({ cmd: 'GETRESULT', id })).toEqual({ ok: true, id, result: null })
    }
  })

  it('follow a job through its states', () => {
    const id = q.push('a', 1, { delay: 5, max_attempts: 2, backoff: 5 })
    const states = [q.state(id)]
    const then = (act: () => void) => {
      act()
      states.push(q.state(id))
    }
    then(() => q.advance(5))
    then(() => q.pull('a'))
    then(() => q.fail(id))
    then(() => q.advance(5))
    then(() => q.pull('a'))
    then(() => q.fail(id))
    then(() => q.send({ cmd: 'RETRYDLQ', queue: 'a' }))
    then(() => q.pull('a'))
    then(() => q.ack(id))
    expect(states).toEqual([
      'delayed',
      'waiting',
      'active',
      'delayed',
      'waiting',
      'active',
      'failed',
      'waiting',
      'active',
      'completed',
    ])
  })
})
