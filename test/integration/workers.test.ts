// The client package against the real server: its Worker, and what its calls come to when the server goes away.

import {
  type ClientOptions,
  FlashQ,
  FlashQError,
  type Job,
  Worker,
  type WorkerOptions,
} from 'flashq'
import { describe, expect, it, onTestFinished } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { startServer } from '../support/server-process.ts'
import { SharedServer } from '../support/shared-server.ts'
import { within } from '../support/wire-client.ts'

const server = new SharedServer({ HTTP: '1', HTTP_PORT: '0' })

type Place = { readonly port: number } | { readonly httpUrl: string }

const at = (place: Place): ClientOptions =>
  'httpUrl' in place ? place : { host: '127.0.0.1', port: place.port }

const doors: { door: string; place: () => Place }[] = [
  { door: 'TCP', place: () => server.process },
  { door: 'HTTP', place: () => ({ httpUrl: `http://127.0.0.1:${server.process.httpPort}` }) },
]

async function connected(where: Place, options: object = {}): Promise<FlashQ> {
  const client = new FlashQ({ ...at(where), ...options })
  onTestFinished(() => client.close())
  await client.connect()
  return client
}

/** Stopped when the test has finished; its errors are kept. */
async function started<T, R>(
  where: Place,
  queues: string | string[],
  processor: ConstructorParameters<typeof Worker<T, R>>[1],
  options: WorkerOptions = {},
): Promise<{ worker: Worker<T, R>; errors: Error[] }> {
  const worker = new Worker<T, R>(queues, processor, { ...at(where), ...options })
  const errors: Error[] = []
  worker.on('error', (error) => errors.push(error))
  onTestFinished(() => worker.stop({ timeoutMs: 0 }))
  await worker.start()
  return { worker, errors }
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n)

describe.each(doors)('a worker over $door', ({ door, place }) => {
  const named = (queue: string): string => `${queue}-${door}`

  it('runs 1,000 jobs, 20 at a time, each exactly once, and their results can be read', async () => {
    const client = await connected(place())
    const ids = await client.pushBatch(
      named('thousand'),
      numbers(1000).map((n) => ({ data: { n } })),
    )
    const runs: number[] = []
    let running = 0
    let most = 0
    const { worker, errors } = await started<{ n: number }, { twice: number }>(
      place(),
      named('thousand'),
      async (job) => {
        most = Math.max(most, ++running)
        runs.push(job.id)
        await client.getState(job.id)
        running--
        return { twice: 2 * job.data.n }
      },
      { concurrency: 20 },
    )
    let completed = 0
    worker.on('completed', () => completed++)
    await eventually('all are completed', 30_000, () => completed === 1000)
    expect(runs.toSorted((a, b) => a - b)).toEqual(ids)
    expect(most).toBe(20)
    const results = await Promise.all(ids.map((id) => client.getResult(id)))
    expect(results).toEqual(numbers(1000).map((n) => ({ twice: 2 * n })))
    expect(errors).toEqual([])
  })

  it('of several queues serves all of them', async () => {
    const client = await connected(place())
    const queues = numbers(8).map((n) => named(`several-${n}`))
    const done: string[] = []
    await started(place(), queues, (job: Job) => void done.push(job.queue), {
      concurrency: 3,
    })
    await Promise.all(queues.flatMap((queue) => numbers(20).map((n) => client.push(queue, n))))
    await eventually('all are done', 30_000, () => done.length === 160)
    for (const queue of queues) expect(done.filter((each) => each === queue)).toHaveLength(20)
  })

  it('whose processor throws has the job tried again, then put into the DLQ with the error', async () => {
    const client = await connected(place())
    let runs = 0
    await started(place(), named('throws'), () => {
      throw new Error(`run ${++runs}`)
    })
    const { id } = await client.push(named('throws'), 1, { max_attempts: 3, backoff: 1 })
    await eventually('it is dead', 10_000, async () => (await client.getState(id)) === 'failed')
    expect(await client.getDlq(named('throws'))).toMatchObject([
      { id, attempts: 3, progress_msg: 'run 3' },
    ])
    expect(runs).toBe(3)
  })

  it('that is stopped hands back what it has not finished, uncounted, and takes no more', async () => {
    const client = await connected(place())
    await client.pushBatch(
      named('handed-back'),
      numbers(10).map((data) => ({ data })),
    )
    let begun = 0
    const { worker } = await started(
      place(),
      named('handed-back'),
      (_job, { signal }) =>
        new Promise<void>((resolve) => {
          begun++
          signal.addEventListener('abort', () => resolve(), { once: true })
        }),
      { concurrency: 3, prefetch: 4 },
    )
    await eventually('three run', 10_000, () => begun === 3)
    await within(10_000, 'stop', worker.stop({ timeoutMs: 50 }))
    const jobs = await client.pullBatch(named('handed-back'), 20, { wait: 0 })
    expect(jobs.map(({ data }) => data)).toEqual(numbers(10))
    expect(jobs.every(({ attempts }) => attempts === 0)).toBe(true)
    expect(begun).toBe(3)
  })

  it('that is stopped lets what runs come to its end first', async () => {
    const client = await connected(place())
    let finish = (): void => undefined
    const { worker } = await started(
      place(),
      named('finishes'),
      () =>
        new Promise<string>((resolve) => {
          finish = () => resolve('done')
        }),
    )
    const { id } = await client.push(named('finishes'), 1)
    await eventually('it runs', 10_000, () => worker.getProcessingCount() === 1)
    const stopped = worker.stop()
    finish()
    await within(10_000, 'stop', stopped)
    expect(await client.getResult(id)).toBe('done')
  })

  it('that loses its lease has its processor aborted, and its result refused', async () => {
    const client = await connected(place())
    const lost: number[] = []
    const reasons: string[] = []
    const { worker } = await started(
      place(),
      named('loses'),
      (job, { signal }) =>
        new Promise<string>((resolve) => {
          signal.addEventListener('abort', () => {
            reasons.push(String(signal.reason))
            resolve('too late')
          })
          // Somebody takes it away, as a lease that is over does.
          void client.release(job.id)
        }),
      { lease: 300 },
    )
    worker.on('lost', (job) => lost.push(job.id))
    const { id } = await client.push(named('loses'), 1)
    await eventually('it runs', 10_000, () => worker.getProcessingCount() === 1)
    await eventually('it is lost', 10_000, () => lost.length > 0)
    void worker.stop({ timeoutMs: 0 })
    expect(lost[0]).toBe(id)
    expect(reasons[0]).toContain(`lease of job ${id} is lost`)
    expect(await client.getResult(id)).toBeNull()
  })

  it('keeps its lease by heartbeats while its processor takes longer than that', async () => {
    const client = await connected(place())
    let runs = 0
    const { worker } = await started(
      place(),
      named('long'),
      async () => {
        runs++
        // Nothing comes here: each of these waits its time at the server.
        for (let n = 0; n < 8; n++) await client.pull(named('long-nothing'), { wait: 100 })
        return runs
      },
      { lease: 300, concurrency: 2 },
    )
    const completed: number[] = []
    worker.on('completed', (job) => completed.push(job.id))
    const { id } = await client.push(named('long'), 1)
    await eventually('it is completed', 20_000, () => completed.length > 0)
    expect(completed).toEqual([id])
    expect(runs).toBe(1)
    expect((await client.getJob(id))?.job.attempts).toBe(0)
  })
})

describe('a restart of the server', () => {
  it('ends nothing at the client: worker and calls go on when it is back', async () => {
    const first = await startServer()
    const { port } = first
    const client = await connected({ port }, { timeout: 20_000 })
    const done: unknown[] = []
    const { worker } = await started({ port }, 'restart', (job) => void done.push(job.data), {
      concurrency: 4,
    })
    let disconnected = 0
    client.on('disconnect', () => disconnected++)
    await client.push('restart', 'before')
    await eventually('the job before is done', 10_000, () => done.includes('before'))
    expect(await first.stop()).toEqual({ code: 0, signal: null })
    await eventually('the client has noticed', 10_000, () => disconnected > 0)
    // While there is no server a call waits for one.
    const during = client.push('restart', 'during')
    await startServer({ PORT: `${port}` })
    await within(20_000, 'the push is answered', during)
    await client.push('restart', 'after')
    await eventually(
      'both are done',
      20_000,
      () => done.includes('during') && done.includes('after'),
    )
    expect(done).toHaveLength(3)
    expect(worker.isRunning()).toBe(true)
  })

  it('by SIGTERM under load: each push is answered, or said to be unanswered, and none twice', async () => {
    const first = await startServer()
    const { port } = first
    const client = await connected({ port })
    const pushing = pushUntil(client, 'load', () => first.exited)
    await eventually('pushes are answered', 10_000, () => pushing.counts.ok > 2000)
    await first.stop()
    const counts = await within(30_000, 'all pushes settle', pushing.settled)
    expect(Object.keys(counts).filter((code) => !HONEST.has(code))).toEqual([])
  })
})

describe('the death of a server worker', () => {
  it('leaves no push unsettled: each is done, not done, or of unknown outcome', async () => {
    const killed = await startServer()
    const clients = await Promise.all(numbers(4).map(() => connected(killed)))
    const died = killed.logged('worker started').then(async () => {
      const { length } = killed.log
      await eventually('it dies and is replaced', 20_000, () =>
        killed.log.slice(length).some(({ msg }) => msg === 'worker started'),
      )
    })
    const loads = clients.map((client, n) => pushUntil(client, `death-${n}`, () => died))
    await eventually('pushes are answered', 10_000, () =>
      loads.every(({ counts }) => counts.ok > 500),
    )
    process.kill(killed.workerPids()[1] ?? 0, 'SIGKILL')
    const all = await within(
      30_000,
      'all pushes settle',
      Promise.all(loads.map((load) => load.settled)),
    )
    for (const counts of all) {
      expect(Object.keys(counts).filter((code) => !HONEST.has(code))).toEqual([])
    }
    const ids = loads.flatMap((load) => load.ids)
    expect(new Set(ids).size).toBe(ids.length)
    // And it serves again, whoever owns the queue now.
    for (const [n, client] of clients.entries()) {
      expect((await client.push(`death-${n}`, 'after')).id).toBeGreaterThan(0)
    }
  })
})

/** What may honestly become of a push: done; not done; nobody knows. */
const HONEST: ReadonlySet<string> = new Set([
  'ok',
  'unavailable',
  'draining',
  'timeout',
  'not_connected',
  'overloaded',
  'outcome_unknown',
  'connection_lost',
])

interface Load {
  /** By code, `ok` for those that were accepted. */
  readonly counts: Record<string, number> & { ok: number }
  readonly ids: number[]
  readonly settled: Promise<Record<string, number>>
}

/** 50 pushes at a time until `end` resolves, each counted by what became of it. */
function pushUntil(client: FlashQ, queue: string, end: () => Promise<unknown>): Load {
  const counts: Load['counts'] = { ok: 0 }
  const ids: number[] = []
  let over = false
  void end().then(() => {
    over = true
  })
  const loop = async (): Promise<void> => {
    while (!over) {
      try {
        ids.push((await client.push(queue, { some: 'data' })).id)
        counts.ok++
      } catch (error) {
        const code = error instanceof FlashQError ? error.code : String(error)
        counts[code] = (counts[code] ?? 0) + 1
      }
    }
  }
  const settled = Promise.all(numbers(50).map(loop)).then(() => counts)
  return { counts, ids, settled }
}
