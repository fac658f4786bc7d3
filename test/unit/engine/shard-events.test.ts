import { describe, expect, it } from 'vitest'
import { EngineHarness, START_MS } from '../../support/engine-harness.ts'

const names = (q: EngineHarness) => q.events().map((event) => event.event)

describe('events', () => {
  it('tell the life of a job, and show it as it is then', () => {
    const q = new EngineHarness({ events: true })
    const id = q.push('a', { n: 1 }, { max_attempts: 2 })
    q.pull('a')
    q.send({ cmd: 'PROGRESS', id, progress: 5 })
    q.fail(id, 'one')
    q.pull('a')
    q.fail(id, 'two')
    q.send({ cmd: 'RETRYDLQ', queue: 'a' })
    q.pull('a')
    q.ack(id, { result: 1 })
    expect(
      q.events().map(({ event, error, job }) => [event, error, job.attempts, job.progress_msg]),
    ).toEqual([
      ['pushed', null, 0, null],
      ['progress', null, 0, null],
      ['retrying', 'one', 1, 'one'],
      ['failed', 'two', 2, 'two'],
      ['retrying', null, 0, null],
      ['completed', null, 0, null],
    ])
    expect(q.events('completed')[0]?.job).toMatchObject({ data: { n: 1 }, started_at: START_MS })
  })

  it('come for each job of a batch, pushed or acknowledged', () => {
    const q = new EngineHarness({ events: true })
    const { ids } = q.send({ cmd: 'PUSHB', queue: 'a', jobs: [{ data: 1 }, { data: 2 }] })
    q.pullIds('a')
    q.send({ cmd: 'ACKB', ids })
    expect(names(q)).toEqual(['pushed', 'pushed', 'completed', 'completed'])
  })

  it('are not made for what was refused', () => {
    const q = new EngineHarness({ events: true })
    const id = q.push('a', 1, { unique_key: 'k' })
    q.send({ cmd: 'PUSH', queue: 'a', data: 1, unique_key: 'k' })
    q.ack(id)
    q.fail(id)
    q.send({ cmd: 'PROGRESS', id, progress: 1 })
    q.send({ cmd: 'CANCEL', id: 77 })
    expect(names(q)).toEqual(['pushed'])
  })
})
