// The client over HTTP against the real server: a worker, a server that goes away, events; and in other runtimes.

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { FlashQ, type Job, JsonText, Worker } from 'flashq'
import { FlashQ as HttpFlashQ } from 'flashq/http'
import { describe, expect, it, onTestFinished } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { findRuntimes, type Runtime } from '../support/runtimes.ts'
import { ServerProcess, startServer } from '../support/server-process.ts'
import { SharedServer } from '../support/shared-server.ts'
import { within } from '../support/wire-client.ts'

const ROUND = fileURLToPath(new URL('../support/http-round.mjs', import.meta.url))
const ROUND_MS_MAX = 30_000
const server = new SharedServer({ HTTP: '1', HTTP_PORT: '0' })

const at = ({ httpPort }: ServerProcess) => ({ httpUrl: `http://127.0.0.1:${httpPort}` })

async function connected(where = server.process, options: object = {}): Promise<FlashQ> {
  const client = new FlashQ({ ...at(where), ...options })
  onTestFinished(() => client.close())
  await client.connect()
  return client
}

describe('the client over HTTP', () => {
  it('is the same in the entry for browsers', async () => {
    const client = new HttpFlashQ(at(server.process))
    onTestFinished(() => client.close())
    const job = await client.push('entry', { a: 1 })
    expect(await client.pull('entry', { wait: 5000 })).toMatchObject({ id: job.id, data: { a: 1 } })
  })

  it('pushes thousands of jobs of one tick in batches, each with its own answer', async () => {
    const client = await connected()
    const jobs = await Promise.all(
      Array.from({ length: 5000 }, (_, n) => client.push('tick', n, { unique_key: `k${n}` })),
    )
    expect(new Set(jobs.map((job) => job.id)).size).toBe(5000)
    const again = await Promise.allSettled([
      client.push('tick', 'twice', { unique_key: 'k7' }),
      client.push('tick', 'once'),
    ])
    expect(again).toMatchObject([
      { status: 'rejected', reason: { code: 'duplicate_key', maybeExecuted: false } },
      { status: 'fulfilled' },
    ])
    const sums = (await client.listQueues()).find(({ name }) => name === 'tick')
    expect(sums).toMatchObject({ pending: 5001 })
  })

  it('has the errors of TCP: same class, code and text', async () => {
    const line = new FlashQ({ host: '127.0.0.1', port: server.process.port })
    onTestFinished(() => line.close())
    const http = await connected()
    const faults = (client: FlashQ): Promise<unknown[]> =>
      Promise.all(
        [
          client.push('', 1),
          client.push('errors', 'x'.repeat(1_100_000)),
          client.ack(3),
          client.fail(3, 'no'),
          client.progress(3, 5),
          client.getProgress(3),
          client.cancel(3),
          client.heartbeat(3),
          client.release(3),
          client.deleteCron('none'),
          client.addCron('bad', { queue: 'errors', data: 1, schedule: 'never' }),
          client.setRateLimit('errors', -1),
          client.push('errors', 1, { priority: 1.5 }),
        ].map((call) =>
          Promise.resolve(call).then(
            () => 'done',
            ({ name, code, message }) => ({ name, code, message }),
          ),
        ),
      )
    // A name that is empty has no path of its own in HTTP.
    expect((await faults(http)).slice(1)).toEqual((await faults(line)).slice(1))
  })

  it('runs a worker: every job once, none left behind', async () => {
    const client = await connected()
    const ids = await client.pushBatch(
      'worker',
      Array.from({ length: 300 }, (_, n) => ({ data: n })),
    )
    const runs: number[] = []
    const options = { ...at(server.process), concurrency: 10 }
    const work = (job: Job<number>): number => {
      runs.push(job.id)
      return job.data
    }
    const worker = new Worker<number, number>('worker', work, options)
    onTestFinished(() => worker.stop({ timeoutMs: 0 }))
    await worker.start()
    await eventually('all jobs are completed', 20_000, async () => {
      const states = await Promise.all(ids.slice(-5).map((id) => client.getState(id)))
      return runs.length >= 300 && states.every((state) => state === 'completed')
    })
    await worker.stop()
    expect(runs.sort((a, b) => a - b)).toEqual([...ids].sort((a, b) => a - b))
    expect(await client.getResult(ids[7] ?? 0)).toBe(7)
  })

  it('loses no job to a worker that stops while it waits', async () => {
    const client = await connected()
    const worker = new Worker('stops', () => {}, at(server.process))
    const completed = new Promise((resolve) => worker.once('completed', resolve))
    await worker.start()
    await client.push('stops', 1)
    // It asks for the next one from here on.
    await completed
    await worker.stop()
    const { id } = await client.push('stops', 2)
    expect(await client.pull('stops', { wait: 5000 })).toMatchObject({ id, attempts: 0 })
  })

  it('hands back the job of a pull that was aborted', async () => {
    const client = await connected()
    const abort = new AbortController()
    const pulled = client.pull('aborted', { signal: abort.signal })
    abort.abort(new Error('enough'))
    await expect(pulled).rejects.toThrow('enough')
    const { id } = await client.push('aborted', 1)
    expect(await client.pull('aborted', { wait: 10_000 })).toMatchObject({ id, attempts: 0 })
  })

  it('keeps integers beyond 2^53 with `bigint`', async () => {
    const client = await connected(server.process, { bigint: true })
    const big = '{"n":12345678901234567890}'
    const { id } = await client.push('big', new JsonText(big))
    expect(await client.pull('big', { wait: 0 })).toMatchObject({
      data: { n: 12345678901234567890n },
    })
    await client.ack(id, new JsonText(big))
    expect(await client.getResult(id)).toEqual({ n: 12345678901234567890n })
  })

  it('goes on when the server was away: pulls wait, what was not sent is sent', async () => {
    const first = await startServer({ HTTP: '1', HTTP_PORT: '0' })
    const client = await connected(first, { timeout: 20_000 })
    const told: string[] = []
    client.on('disconnect', () => told.push('disconnect'))
    client.on('connect', () => told.push('connect'))
    const pulled = client.pull('away')
    await first.stop()
    const second = new ServerProcess({ HTTP: '1', HTTP_PORT: `${first.httpPort}` })
    onTestFinished(async () => void (await second.stop()))
    const pushed = client.push('away', 'after', { unique_key: 'one' })
    await second.ready()
    const outcome = await pushed.catch(({ code, maybeExecuted }) => ({ code, maybeExecuted }))
    if (!('id' in outcome))
      await client.push('away', 'after', { unique_key: 'one' }).catch(() => {})
    expect(await within(20_000, 'the pull is answered', pulled)).toMatchObject({ data: 'after' })
    expect(told).toEqual(['disconnect', 'connect'])
  })

  it('gives events to a loop, and the whole job to a listener', async () => {
    const client = await connected()
    const events = client.events({ queues: ['events'], types: ['pushed', 'completed'] })
    await events.opened
    const told: unknown[] = []
    const unsubscribe = await client.subscribe('events', ['completed'], (event) => told.push(event))
    const { id } = await client.push('events', { a: 1 })
    await client.pull('events', { wait: 5000 })
    await client.ack(id, 'done')
    expect((await events.next()).value).toMatchObject({
      event: 'pushed',
      job_id: id,
      data: { a: 1 },
    })
    expect((await events.next()).value).toMatchObject({
      event: 'completed',
      job_id: id,
      data: 'done',
    })
    await eventually('the listener is told', 10_000, () => told.length > 0)
    expect(told).toMatchObject([
      { event: 'completed', result: 'done', job: { id, queue: 'events' } },
    ])
    await unsubscribe()
    await events.return()
  })
})

describe('one round of the HTTP client', () => {
  const { bun, deno } = findRuntimes()
  const runtimes: [name: string, runtime: Runtime][] = [
    ['Node', { command: [process.execPath] }],
    ['Bun', bun],
    ['Deno', deno],
  ]
  for (const [name, runtime] of runtimes) {
    it(`goes well in ${name}`, async ({ skip }) => {
      if ('missing' in runtime) return skip(`${name} is not here: ${runtime.missing}`)
      const [program = '', ...args] = runtime.command
      const { httpUrl } = at(server.process)
      const child = spawn(program, [...args, ROUND, httpUrl, `round-${name}`], {
        env: { PATH: process.env['PATH'], NO_COLOR: '1', HOME: process.env['HOME'] },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      onTestFinished(() => void child.kill('SIGKILL'))
      let out = ''
      let err = ''
      child.stdout.on('data', (text) => {
        out += text
      })
      child.stderr.on('data', (text) => {
        err += text
      })
      const ended = new Promise((resolve) => child.on('close', resolve))
      const code = await within(ROUND_MS_MAX, `the round in ${name}`, ended)
      expect({ code, err }).toEqual({ code: 0, err: '' })
      expect(JSON.parse(out)).toEqual({
        first: 49,
        result: { by: 'hand' },
        states: ['completed'],
        worked: 49,
        heard: 50,
        refused: { code: 'job_not_cancellable' },
      })
    })
  }
})
