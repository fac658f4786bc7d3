// The whole life of jobs, told once: the same at every door, in memory and over a database.

import { expect } from 'vitest'
import { answerOf, type DoorClient, done, pull, push, refused, stateOf } from './door-client.ts'
import { exact } from './exact-json.ts'

const MS = expect.any(Number)

/** Pushed, looked at, pulled, reported on, done. */
export async function liveWell(door: DoorClient, queue: string): Promise<void> {
  const id = await push(door, queue, {
    data: exact('{"b":1.0, "a":[12345678901234567890]}'),
    priority: -5,
    ttl: 60_000,
    timeout: 30_000,
    max_attempts: 4,
    backoff: 250,
    unique_key: `${queue}-key`,
    tags: ['a', 'bé'],
  })
  const job = {
    id,
    queue,
    data: '{"b":1.0, "a":[12345678901234567890]}',
    priority: -5,
    created_at: MS,
    run_at: MS,
    started_at: 0,
    attempts: 0,
    max_attempts: 4,
    backoff: 250,
    ttl: 60_000,
    timeout: 30_000,
    unique_key: `${queue}-key`,
    depends_on: [],
    progress: 0,
    progress_msg: null,
    tags: ['a', 'bé'],
  }
  const end = { result: null, error: null, finished_at: null }
  const seen = (): Promise<unknown> => door.run({ cmd: 'GETJOB', id, full: true })
  expect(await seen()).toEqual(done({ job, state: 'waiting', ...end }))
  expect(await door.run({ cmd: 'GETSTATE', id })).toEqual(done({ id, state: 'waiting' }))
  const pulled = await pull(door, queue, { token: true, lease: 60_000 })
  expect(pulled).toEqual({ ...job, started_at: MS, token: MS })
  const token = pulled?.token
  const told = { id, progress: 40, message: 'half way' }
  expect(await door.run({ cmd: 'PROGRESS', ...told, token })).toEqual(done())
  expect(await door.run({ cmd: 'GETPROGRESS', id })).toEqual(done({ progress: told }))
  expect(await door.run({ cmd: 'LOG', id, line: 'one', token })).toEqual(done())
  expect(await door.run({ cmd: 'LOG', id, line: '' })).toEqual(done())
  const logs = [
    { at: MS, line: 'one' },
    { at: MS, line: '' },
  ]
  expect(await door.run({ cmd: 'GETLOGS', id })).toEqual(done({ id, logs, dropped: 0 }))
  expect(await door.run({ cmd: 'HEARTBEAT', ids: [id], tokens: [token], lease: 5000 })).toEqual(
    done({ ids: [1] }),
  )
  const active = { ...job, started_at: MS, progress: 40, progress_msg: 'half way' }
  expect(await seen()).toEqual(done({ job: active, state: 'active', ...end }))
  expect(await door.run({ cmd: 'ACK', id, result: exact('[1.50, "ü"]'), token })).toEqual(done())
  const result = '[1.50, "ü"]'
  expect(await door.run({ cmd: 'GETRESULT', id })).toEqual(done({ id, result }))
  expect(await seen()).toMatchObject(
    done({ job: { id, data: job.data }, state: 'completed', result, error: null, finished_at: MS }),
  )
  expect(await door.run({ cmd: 'ACK', id })).toEqual(refused('job_not_found'))
}

/** Failed, again, dead; retried, dead again, purged. */
export async function liveBadly(door: DoorClient, queue: string): Promise<void> {
  const ids = [
    await push(door, queue, { max_attempts: 1 }),
    await push(door, queue, { max_attempts: 1 }),
  ]
  const failAll = async (): Promise<void> => {
    const { jobs } = await answerOf(door, { cmd: 'PULLB', queue, count: 10, wait: 0 })
    for (const { id } of jobs as { id: number }[]) {
      expect(await door.run({ cmd: 'FAIL', id, error: `bad ${id}` })).toEqual(done())
    }
  }
  const dead = async (count = 10): Promise<unknown[]> => {
    const { jobs } = await answerOf(door, { cmd: 'DLQ', queue, count })
    return (jobs as { id: number; progress_msg: string }[]).map(({ id, progress_msg }) => [
      id,
      progress_msg,
    ])
  }
  await failAll()
  const [a, b] = ids as [number, number]
  expect(await dead()).toEqual([
    [a, `bad ${a}`],
    [b, `bad ${b}`],
  ])
  expect(await dead(5000)).toHaveLength(2)
  expect(await dead(1)).toHaveLength(1)
  expect(await door.run({ cmd: 'GETJOB', id: a, full: true })).toMatchObject(
    done({ state: 'failed', result: null, error: `bad ${a}`, finished_at: MS }),
  )
  expect(await door.run({ cmd: 'CANCEL', id: a })).toEqual(refused('job_not_cancellable'))
  expect(await door.run({ cmd: 'RETRYDLQ', queue, id: a })).toEqual(done({ ids: [1] }))
  expect(await stateOf(door, a)).toBe('waiting')
  expect(await door.run({ cmd: 'RETRYDLQ', queue, id: a })).toEqual(done({ ids: [0] }))
  expect(await door.run({ cmd: 'RETRYDLQ', queue })).toEqual(done({ ids: [1] }))
  await failAll()
  expect(await door.run({ cmd: 'PURGEDLQ', queue, id: b })).toEqual(done({ ids: [1] }))
  expect((await dead()).map((row) => (row as [number])[0])).toEqual([a])
  expect(await door.run({ cmd: 'PURGEDLQ', queue })).toEqual(done({ ids: [1] }))
  expect(await dead()).toEqual([])
}
