import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  type Job,
  type Processor,
  Worker,
  type WorkerOptions,
} from '../../../sdk/typescript/src/index.ts'
import { FakeServer, type Frame, job, refusal } from './fake-server.ts'
import { gate, whenAborted } from './gate.ts'

let server: FakeServer
let worker: Worker<unknown, unknown>

/** Answers the first PULLB of each queue with these jobs; later ones wait. */
let supply: Map<string, object[]>

beforeEach(async () => {
  server = await new FakeServer().start()
  supply = new Map()
  server.script = usual
})

afterEach(async () => {
  vi.useRealTimers()
  await worker.stop({ timeoutMs: 0 })
  await server.stop()
})

function usual(frame: Frame): object | null | undefined {
  if (frame.cmd !== 'PULLB') return undefined
  const queue = frame['queue'] as string
  const jobs = supply.get(queue)?.splice(0, frame['count'] as number) ?? []
  if (jobs.length > 0) return { jobs }
  return frame['wait'] === 0 ? { jobs: [] } : null
}

function makeWorker(
  processor: Processor<unknown, unknown>,
  options: WorkerOptions = {},
  queues: string | string[] = 'q',
): Worker<unknown, unknown> {
  worker = new Worker(queues, processor, { ...server.options, ...options })
  return worker
}

function emitted(name: 'completed' | 'failed' | 'lost' | 'error' | 'active'): Promise<unknown[]> {
  return new Promise((resolve) => worker.once(name, (...args: unknown[]) => resolve(args)))
}

describe('Worker', () => {
  it('pulls under lease, acks with result and token, and tells so', async () => {
    supply.set('q', [job(1, { token: 71, data: 20 })])
    makeWorker((one) => (one.data as number) + 1)
    const active = emitted('active')
    const completed = emitted('completed')
    await worker.start()
    expect(worker.isRunning()).toBe(true)
    expect(await active).toMatchObject([{ id: 1 }, 0])
    expect(await completed).toMatchObject([{ id: 1 }, 21, 0])
    expect(server.of('PULLB')[0]).toMatchObject({
      queue: 'q',
      count: 1,
      lease: 30_000,
      token: true,
      release_on_close: true,
    })
    expect(server.of('PULLB')[0]?.['wait']).toBeGreaterThan(0)
    expect(server.of('ACK')[0]).toMatchObject({ id: 1, result: 21, token: 71 })
  })

  it('fails a job whose processor throws, with its message', async () => {
    supply.set('q', [job(1, { token: 71 })])
    makeWorker(() => Promise.reject(new Error('boom')))
    const failed = emitted('failed')
    await worker.start()
    expect(await failed).toMatchObject([{ id: 1 }, { message: 'boom' }, 0])
    const [fail] = await server.received('FAIL')
    expect(fail).toMatchObject({ id: 1, error: 'boom', token: 71 })
    expect(server.of('ACK')).toHaveLength(0)
  })

  it('runs as many processors as its concurrency, and asks for as many jobs as it has room', async () => {
    supply.set(
      'q',
      [1, 2, 3, 4, 5].map((id) => job(id)),
    )
    const { open, passed } = gate()
    let most = 0
    makeWorker(
      async () => {
        most = Math.max(most, worker.getProcessingCount())
        await passed
      },
      { concurrency: 2, prefetch: 1 },
    )
    await worker.start()
    await emitted('active')
    expect(server.of('PULLB')[0]).toMatchObject({ count: 3 })
    const done = new Promise<void>((resolve) => {
      let left = 5
      worker.on('completed', () => {
        left -= 1
        if (left === 0) resolve()
      })
    })
    open()
    await done
    expect(most).toBe(2)
  })

  it('sends acks of one tick together', async () => {
    supply.set('q', [job(1), job(33), job(65)])
    const { open, passed } = gate()
    makeWorker(() => passed, { concurrency: 3 })
    await worker.start()
    await emitted('active')
    open()
    const [batch] = await server.received('ACKB')
    expect(batch).toMatchObject({ ids: [1, 33, 65] })
  })

  it('does not start a second pull while one waits', async () => {
    makeWorker(() => undefined, { concurrency: 4 })
    await worker.start()
    const [pull] = (await server.received('PULLB')) as [Frame]
    pull.from.reply(pull, { jobs: [job(1)] })
    await emitted('completed')
    await server.received('PULLB', 2)
    expect(server.of('PULLB')).toHaveLength(2)
  })

  it('leaves acking to the processor when autoAck is off', async () => {
    supply.set('q', [job(1, { token: 5 })])
    let token: number | undefined
    const keepToken: Processor<unknown, unknown> = (_, context) => {
      token = context.token
    }
    makeWorker(keepToken, { autoAck: false })
    const completed = emitted('completed')
    await worker.start()
    await completed
    expect(token).toBe(5)
    expect(server.of('ACK')).toHaveLength(0)
  })

  it('reports progress with the token of the delivery', async () => {
    supply.set('q', [job(1, { token: 5 })])
    makeWorker(async (one, context) => {
      await context.progress(49.6, 'half')
      await worker.updateProgress(one.id, 60)
    })
    const completed = emitted('completed')
    await worker.start()
    await completed
    expect(server.of('PROGRESS')).toMatchObject([
      { id: 1, progress: 50, message: 'half', token: 5 },
      { id: 1, progress: 60, token: 5 },
    ])
  })
})

describe('a worker over several queues', () => {
  it('asks each in turn, then lets a pull wait at each', async () => {
    makeWorker(() => undefined, { concurrency: 5 }, ['a', 'b'])
    await worker.start()
    const pulls = await server.received('PULLB', 4)
    expect(pulls.map((pull) => [pull['queue'], pull['wait'] === 0, pull['count']])).toEqual([
      ['a', true, 5],
      ['a', false, 1],
      ['b', true, 5],
      ['b', false, 1],
    ])
  })

  it('shares its room between busy queues', async () => {
    supply.set(
      'a',
      [1, 2, 3, 4].map((id) => job(id, { queue: 'a' })),
    )
    supply.set(
      'b',
      [5, 6, 7, 8].map((id) => job(id, { queue: 'b' })),
    )
    const order: string[] = []
    makeWorker((one) => void order.push(one.queue), {}, ['a', 'b'])
    const done = new Promise<void>((resolve) => {
      worker.on('completed', () => order.length === 8 && resolve())
    })
    await worker.start()
    await done
    expect(order).toEqual(['a', 'b', 'a', 'b', 'a', 'b', 'a', 'b'])
    expect(server.of('RELEASE')).toHaveLength(0)
  })

  it('hands back a job that comes when its room is full', async () => {
    makeWorker(() => new Promise(() => {}), {}, ['a', 'b'])
    await worker.start()
    const [, a, , b] = (await server.received('PULLB', 4)) as [Frame, Frame, Frame, Frame]
    a.from.reply(a, { jobs: [job(1, { token: 11 })] })
    b.from.reply(b, { jobs: [job(2, { token: 12 })] })
    const [release] = await server.received('RELEASE')
    expect(release).toMatchObject({ ids: [2], tokens: [12] })
  })
})

describe('a lease', () => {
  it('is kept by heartbeats while the processor runs', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    supply.set('q', [job(1, { token: 11 })])
    const { open, passed } = gate()
    makeWorker(() => passed, { lease: 3000 })
    await worker.start()
    await emitted('active')
    for (let beat = 1; beat <= 4; beat += 1) {
      vi.advanceTimersByTime(1000)
      const beats = await server.received('HEARTBEAT', beat)
      expect(beats.at(-1)).toMatchObject({ ids: [1], tokens: [11], lease: 3000 })
      // Its answer is read before that of this later request, and the next beat armed by the end of the turn.
      await worker.updateProgress(1, beat)
      await new Promise((resolve) => setImmediate(resolve))
    }
    const completed = emitted('completed')
    open()
    await completed
  })

  it.each(['stale_token', 'job_not_active', 'job_not_found'])(
    'that the server gave up (%s) aborts the signal, and nothing is settled',
    async (code) => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
      supply.set('q', [job(1, { token: 11 })])
      server.script = (frame) =>
        frame.cmd === 'HEARTBEAT'
          ? { ids: [0], errors: [{ index: 0, error: code, code }] }
          : usual(frame)
      let reason: unknown
      makeWorker(async (_, { signal }) => {
        reason = await whenAborted(signal)
      })
      const lost = emitted('lost')
      await worker.start()
      await emitted('active')
      vi.advanceTimersByTime(10_000)
      expect(await lost).toMatchObject([{ id: 1 }])
      await server.received('PULLB', 2)
      expect(reason).toMatchObject({ message: 'The lease of job 1 is lost' })
      expect(server.of('ACK')).toHaveLength(0)
      expect(server.of('FAIL')).toHaveLength(0)
    },
  )

  it('that ran out unanswered is lost', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    supply.set('q', [job(1, { token: 11 })])
    server.script = (frame) => (frame.cmd === 'HEARTBEAT' ? null : usual(frame))
    makeWorker((_, { signal }) => whenAborted(signal), { lease: 3000, timeout: 2500 })
    const lost = emitted('lost')
    await worker.start()
    await emitted('active')
    vi.advanceTimersByTime(1000)
    await server.received('HEARTBEAT')
    vi.advanceTimersByTime(2500)
    expect(await lost).toMatchObject([{ id: 1 }])
  })

  it('is asked about at once after a reconnect', async () => {
    supply.set('q', [job(1, { token: 11 })])
    server.script = (frame) =>
      frame.cmd === 'HEARTBEAT'
        ? { ids: [0], errors: [{ index: 0, error: 'stale', code: 'stale_token' }] }
        : usual(frame)
    makeWorker((_, { signal }) => whenAborted(signal))
    const lost = emitted('lost')
    await worker.start()
    await emitted('active')
    ;(await server.connected()).drop()
    expect(await lost).toMatchObject([{ id: 1 }])
  })

  it('that is lost shows in a signal that is first asked for afterwards', async () => {
    supply.set('q', [job(1, { token: 11 })])
    server.script = (frame) =>
      frame.cmd === 'HEARTBEAT'
        ? { ids: [0], errors: [{ index: 0, error: 'stale', code: 'stale_token' }] }
        : usual(frame)
    const { open, passed } = gate()
    let aborted: boolean | undefined
    makeWorker(
      async (_, context) => {
        await passed
        aborted = context.signal.aborted
      },
      { heartbeatInterval: 1 },
    )
    const lost = emitted('lost')
    await worker.start()
    await lost
    open()
    await server.received('PULLB', 2)
    expect(aborted).toBe(true)
  })

  it('that came to this worker again makes the run before it lost', async () => {
    const reasons: unknown[] = []
    makeWorker(
      async (one, { signal }) => {
        if (one.token === 11) reasons.push(await whenAborted(signal))
      },
      { concurrency: 2 },
    )
    const lost = emitted('lost')
    const completed = emitted('completed')
    await worker.start()
    const [first] = (await server.received('PULLB')) as [Frame]
    first.from.reply(first, { jobs: [job(1, { token: 11 })] })
    const [, second] = (await server.received('PULLB', 2)) as [Frame, Frame]
    second.from.reply(second, { jobs: [job(1, { token: 12 })] })
    expect(await lost).toMatchObject([{ token: 11 }])
    expect(await completed).toMatchObject([{ token: 12 }, undefined, 1])
    expect(reasons).toMatchObject([{ message: 'The lease of job 1 is lost' }])
    expect(server.of('ACK')).toMatchObject([{ token: 12 }])
  })

  it('that is over when the ack comes makes the job lost, not failed', async () => {
    supply.set('q', [job(1, { token: 11 })])
    server.script = (frame) => (frame.cmd === 'ACK' ? refusal('stale_token') : usual(frame))
    makeWorker(() => 1)
    const lost = emitted('lost')
    await worker.start()
    expect(await lost).toMatchObject([{ id: 1 }])
    expect(server.of('FAIL')).toHaveLength(0)
  })
})

describe('a time limit', () => {
  it('aborts the signal', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    supply.set('q', [job(1, { timeout: 500 })])
    makeWorker((_, { signal }) => whenAborted(signal).then((why) => Promise.reject(why)))
    const failed = emitted('failed')
    await worker.start()
    await emitted('active')
    vi.advanceTimersByTime(500)
    expect(await failed).toMatchObject([{ id: 1 }, { message: 'Job 1 timed out' }, 0])
  })
})

describe('a failed ack', () => {
  it('is repeated when it was not executed, reported, and never turned into a FAIL', async () => {
    supply.set('q', [job(1, { token: 11 })])
    server.script = (frame) =>
      frame.cmd === 'ACK' && server.of('ACK').length === 1 ? refusal('memory_full') : usual(frame)
    makeWorker(() => 1)
    const error = emitted('error')
    const completed = emitted('completed')
    await worker.start()
    expect(await error).toMatchObject([{ code: 'memory_full' }])
    expect(await completed).toMatchObject([{ id: 1 }, 1, 0])
    expect(server.of('FAIL')).toHaveLength(0)
  })

  it('is not repeated when it may have been executed', async () => {
    supply.set('q', [job(1, { token: 11 })])
    server.script = (frame) => (frame.cmd === 'ACK' ? refusal('outcome_unknown') : usual(frame))
    makeWorker(() => 1)
    const error = emitted('error')
    await worker.start()
    expect(await error).toMatchObject([{ code: 'outcome_unknown', maybeExecuted: true }])
    await worker.stop()
    expect(server.of('ACK')).toHaveLength(1)
    expect(server.of('FAIL')).toHaveLength(0)
  })

  it('because of the result is repeated without it', async () => {
    supply.set('q', [job(1, { token: 11 })])
    makeWorker(() => ({ big: 1n }))
    const error = emitted('error')
    const completed = emitted('completed')
    await worker.start()
    expect(await error).toMatchObject([{ name: 'TypeError' }])
    await completed
    expect(server.of('ACK')[0]).not.toHaveProperty('result')
  })

  it('crashes nothing when nobody listens', async () => {
    supply.set('q', [job(1)])
    server.script = (frame) => (frame.cmd === 'ACK' ? refusal('outcome_unknown') : usual(frame))
    makeWorker(() => 1)
    await worker.start()
    await server.received('PULLB', 2)
  })
})

describe('stop', () => {
  it('waits for running processors and acks their jobs', async () => {
    supply.set('q', [job(1, { token: 11 }), job(2, { token: 12 })])
    const { open, passed } = gate()
    makeWorker(() => passed, { concurrency: 1, prefetch: 1 })
    const seen: string[] = []
    for (const name of ['stopping', 'completed', 'stopped'] as const) {
      worker.on(name, () => seen.push(name))
    }
    await worker.start()
    await emitted('active')
    const stopped = worker.stop()
    expect(worker.stop()).toBe(stopped)
    const [release] = await server.received('RELEASE')
    expect(release).toMatchObject({ ids: [2], tokens: [12] })
    open()
    await stopped
    expect(seen).toEqual(['stopping', 'completed', 'stopped'])
    expect(server.of('ACK')).toMatchObject([{ id: 1 }])
    expect(worker.isRunning()).toBe(false)
  })

  it('hands back what is not finished in time, uncounted, and aborts it', async () => {
    supply.set('q', [job(1, { token: 11 })])
    let aborted = false
    makeWorker(async (_, { signal }) => {
      await whenAborted(signal)
      aborted = true
    })
    await worker.start()
    await emitted('active')
    await worker.stop({ timeoutMs: 0 })
    expect(aborted).toBe(true)
    expect(server.of('RELEASE')).toMatchObject([{ ids: [1], tokens: [11] }])
    expect(server.of('ACK')).toHaveLength(0)
    expect(server.of('FAIL')).toHaveLength(0)
  })

  it('hands back a job that comes for the waiting pull', async () => {
    const { open, passed } = gate()
    const jobs: Job[] = []
    makeWorker(
      (one) => {
        jobs.push(one)
        return passed
      },
      { concurrency: 2 },
    )
    await worker.start()
    const [first] = (await server.received('PULLB')) as [Frame]
    first.from.reply(first, { jobs: [job(1)] })
    const [, second] = (await server.received('PULLB', 2)) as [Frame, Frame]
    const stopped = worker.stop()
    second.from.reply(second, { jobs: [job(2, { token: 12 })] })
    const [release] = await server.received('RELEASE')
    expect(release).toMatchObject({ ids: [2], tokens: [12] })
    open()
    await stopped
    expect(jobs.map((one) => one.id)).toEqual([1])
  })

  it('leaves nothing behind, and the worker can start again', async () => {
    makeWorker(() => 1)
    await worker.start()
    await worker.stop()
    await worker.stop()
    supply.set('q', [job(1)])
    const completed = emitted('completed')
    await worker.start()
    await completed
  })
})

describe('a worker whose connection is lost', () => {
  it('pulls again on the next one', async () => {
    makeWorker(() => 1)
    await worker.start()
    const [pull] = (await server.received('PULLB')) as [Frame]
    pull.from.drop()
    const [, again] = (await server.received('PULLB', 2)) as [Frame, Frame]
    expect(again.from.index).toBe(1)
    const completed = emitted('completed')
    again.from.reply(again, { jobs: [job(1)] })
    await completed
  })

  it('rests after a refused pull, then asks again', async () => {
    server.script = (frame) =>
      frame.cmd === 'PULLB' && server.of('PULLB').length === 1
        ? refusal('too_many_waiting')
        : usual(frame)
    supply.set('q', [job(1)])
    makeWorker(() => 1)
    const error = emitted('error')
    const completed = emitted('completed')
    await worker.start()
    expect(await error).toMatchObject([{ code: 'too_many_waiting' }])
    await completed
  })
})
