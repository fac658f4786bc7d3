import { beforeEach, describe, expect, it } from 'vitest'
import { EngineHarness, queueOfShard, START_MS } from '../../support/engine-harness.ts'

const here = queueOfShard(3)

let q: EngineHarness

beforeEach(() => {
  q = new EngineHarness({ retention: { count: 2 } })
})

const full = (id: number) => q.send({ cmd: 'GETJOB', id, full: true })
const NO_END = { result: null, error: null, finished_at: null }

describe('GETJOB with full', () => {
  it('of a job that has not ended has nulls', () => {
    const id = q.push(here)
    expect(full(id)).toEqual({ ok: true, job: q.job(id), state: 'waiting', ...NO_END })
    q.pull(here)
    expect(full(id)).toMatchObject({ state: 'active', ...NO_END })
  })

  it('of a completed job has its result byte for byte, the error of the run before, and its end', () => {
    const id = q.push(here)
    q.pull(here)
    q.fail(id, 'böse "1"')
    q.advance(5)
    q.pull(here)
    const line = `{"cmd":"ACK","id":${id},"result":{ "r": 1.0 }}`
    q.send(line)
    q.advance(9)
    const pending = q.start({ cmd: 'GETJOB', id, full: true })
    const end = `"state":"completed","result":{ "r": 1.0 },"error":"böse \\"1\\"","finished_at":${START_MS + 5}}`
    expect(pending.line?.endsWith(`${end}\n`)).toBe(true)
  })

  it('of one acknowledged in a batch has its end too', () => {
    const ids = [q.push(here), q.push(here)]
    q.pullIds(here)
    q.advance(7)
    q.send({ cmd: 'ACKB', ids })
    for (const id of ids)
      expect(full(id)).toMatchObject({ result: null, finished_at: START_MS + 7 })
  })

  it('of a dead letter has its error and when it came there; retried, it has none', () => {
    const id = q.push(here, 1, { max_attempts: 1 })
    q.pull(here)
    q.advance(3)
    q.fail(id, 'for good')
    const end = { result: null, error: 'for good', finished_at: START_MS + 3 }
    expect(full(id)).toMatchObject({ state: 'failed', ...end })
    q.crash(3)
    expect(full(id)).toMatchObject({ state: 'failed', ...end })
    q.send({ cmd: 'RETRYDLQ', queue: here })
    expect(full(id)).toMatchObject({ state: 'waiting', ...NO_END })
  })

  it('of a child that its parent took to the dead letter queue has its end, though it never ran', () => {
    const parent = q.push(here)
    const id = q.push(here, 1, { depends_on: [parent] })
    q.send({ cmd: 'CANCEL', id: parent })
    const error = `Dependency ${parent} was cancelled`
    expect(full(id)).toMatchObject({ state: 'failed', error, finished_at: START_MS })
  })

  it('of a job whose body is gone, or that never was, has no job and nulls', () => {
    const ids = [1, 2, 3].map((data) => q.push(here, data))
    for (const id of ids) q.ack(q.pull(here)?.id ?? id, { result: id })
    expect(full(ids[0] as number)).toEqual({ ok: true, job: null, state: 'completed', ...NO_END })
    expect(full(123)).toEqual({ ok: true, job: null, state: 'unknown', ...NO_END })
  })

  it('survives a new owner with what it says', () => {
    const id = q.push(here)
    q.pull(here)
    q.ack(id, { result: [1] })
    const before = full(id)
    q.crash(3)
    expect(full(id)).toEqual(before)
  })

  it('asks for a boolean', () => {
    expect(q.send({ cmd: 'GETJOB', id: 3, full: 1 })).toMatchObject({ code: 'invalid' })
    expect(q.send({ cmd: 'GETJOB', id: 3, full: null })).not.toHaveProperty('finished_at')
    expect(q.send('{"cmd":"GETJOB","id":3,"full":true,"full":true}')).toMatchObject({
      error: 'Invalid: duplicate field "full"',
    })
  })
})
