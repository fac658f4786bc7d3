// One contract, at every door: the same command has the same outcome over TCP, the Unix socket, HTTP and gRPC, in memory
// and over a database.
//
// Next: every-door-fields.test.ts for payloads and bad fields; doors-alike.test.ts for random scripts over two doors

import { describe, expect, it } from 'vitest'
import {
  answerOf,
  type Command,
  type DoorClient,
  done,
  doorNames,
  pull,
  push,
  refused,
  stateOf,
} from '../support/doors/door-client.ts'
import { exact } from '../support/doors/exact-json.ts'
import { liveBadly, liveWell } from '../support/doors/life.ts'
import { openDoor, openDoors } from '../support/doors/open-doors.ts'
import { databaseSettings, startDurable } from '../support/durable-server.ts'
import { SharedServer } from '../support/shared-server.ts'

const settings = openDoors()
const server = new SharedServer({ ...settings, WORKERS: '2' })
let queues = 0
const newQueue = (): string => `every-door-${++queues}`
const MS = expect.any(Number)

describe.each(doorNames)('over %s', (name) => {
  const open = (): Promise<DoorClient> => openDoor(name, server.process, settings.UNIX_SOCKET)

  it('a job is pushed, pulled, reported on and done', async () => {
    await liveWell(await open(), newQueue())
  })

  it('a job fails, is dead, is retried and purged', async () => {
    await liveBadly(await open(), newQueue())
  })

  it('a failed job that may run again waits for its time, and can be promoted', async () => {
    const door = await open()
    const queue = newQueue()
    const id = await push(door, queue, { max_attempts: 3, backoff: 60_000 })
    await pull(door, queue)
    expect(await door.run({ cmd: 'FAIL', id, error: 'later' })).toEqual(done())
    expect(await stateOf(door, id)).toBe('delayed')
    expect(await door.run({ cmd: 'PROMOTE', id })).toEqual(done())
    expect(await pull(door, queue)).toMatchObject({ id, attempts: 1, progress_msg: 'later' })
  })

  it('a batch is pushed, pulled and acknowledged, with the refusals of single items', async () => {
    const door = await open()
    const queue = newQueue()
    const jobs = [
      { data: exact('[1,  2]') },
      { data: 2, unique_key: 'k' },
      { data: 3, unique_key: 'k' },
      { data: 4, priority: 9, tags: ['t'] },
    ]
    const pushed = await answerOf(door, { cmd: 'PUSHB', queue, jobs })
    const error = expect.any(String)
    expect(pushed).toEqual({
      ids: [MS, MS, MS],
      errors: [{ index: 2, error, code: 'duplicate_key' }],
    })
    const ids = pushed['ids'] as number[]
    const pulled = await answerOf(door, { cmd: 'PULLB', queue, count: 10, wait: 0, token: true })
    const got = pulled['jobs'] as { id: number; data: string; token: number }[]
    expect(got.map(({ data }) => data)).toEqual(['4', '[1,  2]', '2'])
    expect(
      await door.run({
        cmd: 'ACKB',
        ids: [...ids, 32 * 999_999],
        results: [exact('{ "r":1}'), null, null, null],
      }),
    ).toEqual(done({ ids: [3], errors: [{ index: 3, error, code: 'job_not_found' }] }))
    expect(await door.run({ cmd: 'GETRESULT', id: ids[0] })).toEqual(
      done({ id: ids[0], result: '{ "r":1}' }),
    )
    expect(await door.run({ cmd: 'GETRESULT', id: ids[1] })).toEqual(
      done({ id: ids[1], result: null }),
    )
    expect(await door.run({ cmd: 'PULLB', queue, count: 0, wait: 0 })).toEqual(done({ jobs: [] }))
  })

  it('a job is cancelled, given back, and depends on others', async () => {
    const door = await open()
    const queue = newQueue()
    const parent = await push(door, queue)
    const child = await push(door, queue, { depends_on: [parent] })
    expect(await stateOf(door, child)).toBe('waiting-children')
    expect(await pull(door, queue)).toMatchObject({ id: parent })
    expect(await door.run({ cmd: 'RELEASE', ids: [parent] })).toEqual(done({ ids: [1] }))
    expect(await stateOf(door, parent)).toBe('waiting')
    expect(await pull(door, queue)).toMatchObject({ id: parent, attempts: 0 })
    expect(await door.run({ cmd: 'ACK', id: parent })).toEqual(done())
    expect(await stateOf(door, child)).toBe('waiting')
    expect(await door.run({ cmd: 'CANCEL', id: child })).toEqual(done())
    expect(await stateOf(door, child)).toBe('unknown')
  })

  it('a queue is paused, limited and resumed', async () => {
    const door = await open()
    const queue = newQueue()
    const row = async (): Promise<unknown> => {
      const { queues: all } = await answerOf(door, { cmd: 'LISTQUEUES' })
      return (all as { name: string }[]).find((each) => each.name === queue)
    }
    const info = {
      name: queue,
      pending: 1,
      processing: 0,
      dlq: 0,
      paused: false,
      rate_limit: null,
      concurrency_limit: null,
      worker: MS,
    }
    const id = await push(door, queue)
    expect(await row()).toEqual(info)
    const steps: [Command, object, boolean][] = [
      [{ cmd: 'PAUSE', queue }, { paused: true }, false],
      [{ cmd: 'RESUME', queue }, {}, true],
      [{ cmd: 'RATELIMIT', queue, limit: 0 }, { rate_limit: 0 }, false],
      [{ cmd: 'RATELIMIT', queue, limit: 50 }, { rate_limit: 50 }, true],
      [{ cmd: 'RATELIMITCLEAR', queue }, {}, true],
      [{ cmd: 'SETCONCURRENCY', queue, limit: 0 }, { concurrency_limit: 0 }, false],
      [{ cmd: 'SETCONCURRENCY', queue, limit: 1 }, { concurrency_limit: 1 }, true],
      [{ cmd: 'CLEARCONCURRENCY', queue }, {}, true],
    ]
    for (const [command, change, isGiven] of steps) {
      expect(await door.run(command)).toEqual(done())
      expect(await row()).toEqual({ ...info, ...change })
      expect((await pull(door, queue)) !== null).toBe(isGiven)
      if (isGiven) await answerOf(door, { cmd: 'RELEASE', ids: [id] })
    }
  })

  it('a queue is drained and deleted', async () => {
    const door = await open()
    const queue = newQueue()
    await push(door, queue)
    await push(door, queue, { delay: 60_000 })
    expect(await door.run({ cmd: 'DRAIN', queue })).toEqual(done({ ids: [2] }))
    const id = await push(door, queue)
    await pull(door, queue)
    expect(await door.run({ cmd: 'DELETEQUEUE', queue })).toEqual(refused('queue_busy'))
    expect(await door.run({ cmd: 'DELETEQUEUE', queue, force: true })).toEqual(done({ ids: [1] }))
    expect(await door.run({ cmd: 'ACK', id })).toEqual(refused('job_not_found'))
  })

  it('crons are set, listed and deleted', async () => {
    const door = await open()
    const queue = newQueue()
    const cron = { name: `${queue}/é 1`, queue, schedule: '0 0 1 1 *', priority: 3 }
    expect(await door.run({ cmd: 'CRON', ...cron, data: exact('{"x": 1e2}') })).toEqual(done())
    const { crons } = await answerOf(door, { cmd: 'CRONLIST' })
    expect((crons as { name: string }[]).find((each) => each.name === cron.name)).toEqual({
      ...cron,
      data: '{"x": 1e2}',
      next_run: MS,
    })
    expect(await door.run({ cmd: 'CRONDELETE', name: cron.name })).toEqual(done())
    expect(await door.run({ cmd: 'CRONDELETE', name: cron.name })).toEqual(
      refused('cron_not_found'),
    )
  })

  it('jobs are listed, a page at a time', async () => {
    const door = await open()
    const queue = newQueue()
    const ids: number[] = []
    for (const tag of ['x', 'y', 'x']) ids.push(await push(door, queue, { tags: [tag] }))
    await pull(door, queue)
    await answerOf(door, { cmd: 'ACK', id: ids[0], result: exact('[ ]') })
    const list = async (filter: object): Promise<[unknown[], string | null]> => {
      const { jobs, cursor } = await answerOf(door, { cmd: 'LISTJOBS', queue, ...filter })
      const rows = (jobs as Record<string, unknown>[]).map(({ id, state, result }) =>
        result === undefined ? [id, state] : [id, state, result],
      )
      return [rows, cursor as string | null]
    }
    const all = [
      [ids[2], 'waiting'],
      [ids[1], 'waiting'],
      [ids[0], 'completed', '[ ]'],
    ]
    expect(await list({})).toEqual([all, null])
    expect(await list({ tag: 'x' })).toEqual([[all[0], all[2]], null])
    expect(await list({ state: 'waiting', offset: 1 })).toEqual([[all[1]], null])
    const [first, cursor] = await list({ limit: 2 })
    expect(first).toEqual(all.slice(0, 2))
    expect(await list({ limit: 2, cursor })).toEqual([[all[2]], null])
  })

  it('the figures are those of the whole server', async () => {
    const door = await open()
    expect(await door.run({ cmd: 'STATS' })).toEqual(
      done({ queued: MS, processing: MS, delayed: MS, dlq: MS }),
    )
  })

  it('what nobody knows is unknown, not an error', async () => {
    const door = await open()
    const id = 32 * 999_999
    expect(await door.run({ cmd: 'GETSTATE', id })).toEqual(done({ id, state: 'unknown' }))
    expect(await door.run({ cmd: 'GETJOB', id, full: true })).toEqual(
      done({ job: null, state: 'unknown', result: null, error: null, finished_at: null }),
    )
    expect(await door.run({ cmd: 'GETLOGS', id })).toEqual(done({ id, logs: [], dropped: 0 }))
    const queue = newQueue()
    expect(await door.run({ cmd: 'DLQ', queue })).toEqual(done({ jobs: [] }))
    expect(await door.run({ cmd: 'DRAIN', queue })).toEqual(done({ ids: [0] }))
  })
})

describe('over a database', () => {
  it('jobs live the same at every door', async () => {
    const doors = openDoors()
    const durable = await startDurable({ ...doors, ...(await databaseSettings()), WORKERS: '2' })
    for (const name of doorNames) {
      const door = await openDoor(name, durable, doors.UNIX_SOCKET)
      await liveWell(door, newQueue())
      await liveBadly(door, newQueue())
    }
  })
})
