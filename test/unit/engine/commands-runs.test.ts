import { beforeEach, describe, expect, it } from 'vitest'
import { limits } from '../../../src/engine/limits.ts'
import { EngineHarness, queueOfShard, START_MS } from '../../support/engine-harness.ts'

let q: EngineHarness

beforeEach(() => {
  q = new EngineHarness({ events: true })
})

const notFound = (id: number) => ({
  ok: false,
  error: `Job ${id} not found`,
  code: 'job_not_found',
})

describe('ACK', () => {
  it('completes an active job and keeps its result byte for byte', () => {
    const id = q.push('a')
    q.pull('a')
    expect(q.send(`{"cmd":"ACK","id":${id},"result":{"x": 12345678901234567890 }}`)).toEqual({
      ok: true,
    })
    expect(q.state(id)).toBe('completed')
    expect(q.start({ cmd: 'GETRESULT', id }).line).toBe(
      `{"ok":true,"id":${id},"result":{"x": 12345678901234567890 }}\n`,
    )
    expect(q.send({ cmd: 'GETJOB', id })).toMatchObject({ state: 'completed', job: { id } })
  })

  it('has no result when none or null was given', () => {
    const ids = [q.push('a'), q.push('a')]
    q.pullIds('a')
    q.ack(ids[0] as number)
    q.ack(ids[1] as number, { result: null })
    for (const id of ids) expect(q.send({ cmd: 'GETRESULT', id }).result).toBe(null)
  })

  it('is refused for a job that is not active', () => {
    const id = q.push('a')
    expect(q.ack(id)).toEqual(notFound(id))
    q.pull('a')
    q.ack(id)
    expect(q.ack(id)).toEqual(notFound(id))
    expect(q.ack(12_345_678)).toEqual(notFound(12_345_678))
    expect(q.ack(2 ** 53 - 1)).toEqual(notFound(2 ** 53 - 1))
  })

  it('refuses a result over the limit, and the job stays active', () => {
    const id = q.push('a')
    q.pull('a')
    const result = 'x'.repeat(limits.resultBytesMax)
    expect(q.ack(id, { result }).code).toBe('data_too_large')
    expect(q.state(id)).toBe('active')
  })
})

describe('ACKB', () => {
  it('acknowledges over several shards with the effects of single acks', () => {
    const ids = [3, 9, 3, 31].map((shard) =>
      q.push(queueOfShard(shard), shard, { unique_key: `${q.seen.length}` }),
    )
    for (const shard of [3, 9, 31]) q.pullIds(queueOfShard(shard))
    q.advance(40)
    const answer = q.send({ cmd: 'ACKB', ids, results: [1, null, { r: 2 }, 'x'] })
    expect(answer).toEqual({ ok: true, ids: [4] })
    expect(ids.map((id) => q.send({ cmd: 'GETRESULT', id }).result)).toEqual([
      1,
      null,
      { r: 2 },
      'x',
    ])
    expect(q.events('completed').map((event) => event.id)).toEqual([ids[0], ids[2], ids[1], ids[3]])
    expect(q.latency.count(q.nowMs, 60)).toBe(4)
    expect(q.latency.mean(q.nowMs, 60)).toBe(40)
  })

  it('says of each id that was not acknowledged why', () => {
    const ids = [q.push('a'), q.push('b'), 999_999]
    q.pull('a')
    const answer = q.send({ cmd: 'ACKB', ids: [...ids, ids[0]] })
    expect(answer.ids).toEqual([1])
    expect(answer.errors?.map(({ index, code }) => [index, code])).toEqual([
      [1, 'job_not_found'],
      [2, 'job_not_found'],
      [3, 'job_not_found'],
    ])
  })

  it('checks the token of each id, where one is given', () => {
    const ids = [q.push('a'), q.push('a'), q.push('a')]
    const tokens = q.pullMany('a', 3, { token: true }).map((job) => job.token)
    const answer = q.send({ cmd: 'ACKB', ids, tokens: [tokens[0], 99, null] })
    expect(answer).toMatchObject({ ids: [2], errors: [{ index: 1, code: 'stale_token' }] })
    expect(q.state(ids[1] as number)).toBe('active')
  })

  it('sees all ids, whatever command with one id came before', () => {
    const ids = [3, 9].map((shard) => q.push(queueOfShard(shard)))
    for (const shard of [3, 9]) q.pull(queueOfShard(shard))
    q.send({ cmd: 'HEARTBEAT', id: ids[0] })
    expect(q.send({ cmd: 'ACKB', ids })).toEqual({ ok: true, ids: [2] })
  })
})

describe('FAIL', () => {
  const failOnce = (id: number, error?: string) => {
    expect(q.pull('a')?.id).toBe(id)
    expect(q.fail(id, error)).toEqual({ ok: true })
  }

  it('counts the run and puts the job back, its error as progress_msg', () => {
    const id = q.push('a')
    q.pull('a')
    q.send({ cmd: 'PROGRESS', id, progress: 50, message: 'half' })
    q.advance(7)
    q.fail(id, 'boom')
    expect(q.job(id)).toMatchObject({
      attempts: 1,
      started_at: 0,
      run_at: START_MS + 7,
      progress: 0,
      progress_msg: 'boom',
    })
    expect(q.pull('a')).toMatchObject({ attempts: 1, started_at: START_MS + 7 })
  })

  it('without an error keeps the message of before', () => {
    const id = q.push('a')
    failOnce(id, 'first')
    failOnce(id)
    expect(q.job(id)?.progress_msg).toBe('first')
  })

  it('waits base × 2^(attempts − 1) before each retry', () => {
    const id = q.push('a', 1, { backoff: 1000 })
    for (const pause of [1000, 2000, 4000, 8000]) {
      failOnce(id)
      expect(q.job(id)?.run_at).toBe(q.nowMs + pause)
      expect(q.state(id)).toBe('delayed')
      q.advance(pause - 1)
      expect(q.pull('a')).toBe(null)
      q.advance(1)
    }
  })

  it('stops doubling at 2^10, and saturates at the longest backoff', () => {
    const id = q.push('a', 1, { backoff: 1 })
    for (let i = 0; i < 14; i++) {
      failOnce(id)
      q.advance(1024)
    }
    failOnce(id)
    expect((q.job(id)?.run_at ?? 0) - q.nowMs).toBe(1024)
    const long = q.push('b', 1, { backoff: limits.backoffMsMax })
    for (let i = 0; i < 3; i++) {
      q.pull('b')
      q.fail(long)
      expect((q.job(long)?.run_at ?? 0) - q.nowMs).toBe(limits.backoffMsMax)
      q.advance(limits.backoffMsMax)
    }
  })

  it('retries a job without backoff at once three times, then pauses', () => {
    const id = q.push('a')
    for (let i = 0; i < limits.quickRetriesMax; i++) failOnce(id)
    failOnce(id)
    expect(q.pull('a')).toBe(null)
    q.advance(limits.retryPauseMs)
    expect(q.pull('a')?.attempts).toBe(4)
  })

  it('does not let a job that backs off block the others', () => {
    const id = q.push('a', 1, { priority: 9, backoff: 1000 })
    failOnce(id)
    const other = q.push('a')
    expect(q.pull('a')?.id).toBe(other)
  })

  it('moves the job to the DLQ at max_attempts, its last error kept', () => {
    const id = q.push('a', 1, { max_attempts: 2 })
    failOnce(id, 'one')
    failOnce(id, 'two')
    expect(q.state(id)).toBe('failed')
    expect(q.dead('a')).toMatchObject([{ id, attempts: 2, progress_msg: 'two' }])
    expect(q.stats()).toEqual({ queued: 0, processing: 0, delayed: 0, dlq: 1 })
    expect(q.shardOf('a').state.totalFailed).toBe(1)
  })

  it('of max_attempts 1 dead-letters the first failure; of 0 never does', () => {
    const once = q.push('a', 1, { max_attempts: 1 })
    failOnce(once)
    expect(q.state(once)).toBe('failed')
    const always = q.push('b')
    for (let i = 0; i < 50; i++) {
      q.pull('b')
      q.fail(always)
      q.advance(1000)
    }
    expect(q.job(always)?.attempts).toBe(50)
  })

  it('cuts an error that is too long, between characters', () => {
    const id = q.push('a', 1, { max_attempts: 1 })
    q.pull('a')
    expect(q.fail(id, `x${'ü'.repeat(limits.errorBytesMax)}`).ok).toBe(true)
    const [job] = q.send({ cmd: 'DLQ', queue: 'a' }).jobs
    expect(job?.progress_msg).toBe(`x${'ü'.repeat(limits.errorBytesMax / 2 - 1)}`)
  })

  it('is refused for a job that is not active', () => {
    const id = q.push('a')
    expect(q.fail(id)).toEqual(notFound(id))
  })
})

describe('the dead letter queue', () => {
  const dead = (count: number, queue = 'a') => {
    const ids = Array.from({ length: count }, (_, i) => q.push(queue, i, { max_attempts: 1 }))
    for (const id of ids) {
      q.pull(queue)
      q.fail(id, `error ${id}`)
    }
    return ids
  }

  it('shows the oldest failures first, up to count', () => {
    const ids = dead(5)
    expect(q.dead('a').map((job) => job.id)).toEqual(ids)
    expect(q.send({ cmd: 'DLQ', queue: 'a', count: 2 }).jobs.map((job) => job.id)).toEqual(
      ids.slice(0, 2),
    )
    expect(q.send({ cmd: 'DLQ', queue: 'a', count: 0 }).jobs).toEqual([])
    expect(q.dead('nobody')).toEqual([])
  })

  it('shows 100 unless told otherwise', () => {
    dead(101)
    expect(q.dead('a')).toHaveLength(100)
    expect(q.send({ cmd: 'DLQ', queue: 'a', count: 5000 }).jobs).toHaveLength(101)
  })

  it('RETRYDLQ runs all anew: attempts, progress, message, times', () => {
    const ids = dead(3)
    q.advance(5)
    expect(q.send({ cmd: 'RETRYDLQ', queue: 'a' })).toEqual({ ok: true, ids: [3] })
    expect(q.job(ids[0] as number)).toMatchObject({
      attempts: 0,
      progress: 0,
      progress_msg: null,
      started_at: 0,
      run_at: START_MS + 5,
      created_at: START_MS,
    })
    expect(q.pullIds('a')).toEqual(ids)
    expect(q.stats()).toEqual({ queued: 0, processing: 3, delayed: 0, dlq: 0 })
  })

  it('RETRYDLQ of one id retries that one, of a strange id none', () => {
    const ids = dead(2)
    const other = dead(1, 'b')
    const retry = (id: unknown) => q.send({ cmd: 'RETRYDLQ', queue: 'a', id }).ids
    expect(retry(ids[1])).toEqual([1])
    expect(retry(ids[1])).toEqual([0])
    expect(retry(other[0])).toEqual([0])
    expect(retry(123_456)).toEqual([0])
    expect(q.dead('a').map((job) => job.id)).toEqual([ids[0]])
  })

  it('RETRYDLQ serves waiting pulls', () => {
    const [id] = dead(1)
    const waiting = q.start({ cmd: 'PULL', queue: 'a' })
    q.send({ cmd: 'RETRYDLQ', queue: 'a' })
    expect(waiting.answer?.job?.id).toBe(id)
  })

  it('a job retried from it fails into it again, as the latest', () => {
    const ids = dead(2)
    q.send({ cmd: 'RETRYDLQ', queue: 'a', id: ids[0] })
    q.pull('a')
    q.fail(ids[0] as number)
    expect(q.dead('a').map((job) => job.id)).toEqual([ids[1], ids[0]])
  })

  it('PURGEDLQ deletes all or one, for good', () => {
    const ids = dead(3)
    const purge = (id?: number) =>
      q.send({ cmd: 'PURGEDLQ', queue: 'a', ...(id ? { id } : {}) }).ids
    expect(purge(ids[1])).toEqual([1])
    expect(purge(ids[1])).toEqual([0])
    expect(q.state(ids[1] as number)).toBe('unknown')
    expect(purge()).toEqual([2])
    expect(q.dead('a')).toEqual([])
    expect(q.stats().dlq).toBe(0)
    expect(q.shardOf('a').state.payloads.heldBytes).toBeLessThanOrEqual(256 * 1024)
  })
})

describe('a token', () => {
  it('is shown when asked for, or with a lease, and grows with each delivery', () => {
    const ids = [q.push('a'), q.push('a'), q.push('a')]
    expect(q.pull('a')).not.toHaveProperty('token')
    const second = q.pull('a', { token: true })?.token ?? 0
    const third = q.pull('a', { lease: 1000 })?.token ?? 0
    expect(third).toBeGreaterThan(second)
    expect(q.job(ids[1] as number)).not.toHaveProperty('token')
  })

  it('of an earlier delivery is refused for every command, and changes nothing', () => {
    const id = q.push('a')
    const old = q.pull('a', { token: true })?.token
    q.fail(id)
    const now = q.pull('a', { token: true })?.token
    const before = q.job(id)
    for (const frame of [{ cmd: 'ACK' }, { cmd: 'FAIL' }, { cmd: 'PROGRESS', progress: 9 }]) {
      expect(q.send({ ...frame, id, token: old }).code, frame.cmd).toBe('stale_token')
    }
    for (const cmd of ['HEARTBEAT', 'RELEASE']) {
      expect(q.send({ cmd, id, token: old })).toMatchObject({
        ids: [0],
        errors: [{ index: 0, code: 'stale_token' }],
      })
    }
    expect(q.job(id)).toEqual(before)
    expect(q.ack(id, { token: now }).ok).toBe(true)
    expect(q.ack(id, { token: now }).code).toBe('stale_token')
  })

  it('late ack of a run that timed out does not complete the second run', () => {
    const id = q.push('a', 1, { timeout: 100 })
    const first = q.pull('a', { token: true })?.token
    q.advance(101)
    q.pull('a')
    expect(q.ack(id, { token: first }).code).toBe('stale_token')
    expect(q.state(id)).toBe('active')
  })

  it('of an id that was never given out is no such job', () => {
    expect(q.ack(999_936, { token: 1 })).toEqual(notFound(999_936))
  })
})
