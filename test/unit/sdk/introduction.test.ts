import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { afterEach, expect, it, onTestFinished, vi } from 'vitest'
import { Worker as HttpWorker } from '../../../sdk/typescript/src/http.ts'
import { Worker } from '../../../sdk/typescript/src/index.ts'
import { VERSION } from '../../../sdk/typescript/src/version.ts'
import { data, FakeFetch, never, refused } from './fake-fetch.ts'
import { FakeServer, refusal } from './fake-server.ts'

const BEAT = '/workers/w/heartbeat'

afterEach(() => {
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

it('the version is that of the package', () => {
  const page = readFileSync('sdk/typescript/package.json', 'utf8')
  expect(VERSION).toBe(JSON.parse(page).version)
})

it('a worker says who it is on every connection, before it pulls', async () => {
  const server = await new FakeServer().start()
  const queues = Array.from({ length: 120 }, (_, n) => `q${n}`)
  const worker = new Worker(queues, () => {}, { ...server.options, id: 'w', concurrency: 3 })
  onTestFinished(async () => {
    await worker.stop({ timeoutMs: 0 })
    await server.stop()
  })
  await worker.start()
  await server.received('PULLB')
  expect(server.frames[0]).toMatchObject({
    cmd: 'HELLO',
    name: 'w',
    data: {
      queues: queues.slice(0, 100),
      concurrency: 3,
      host: hostname(),
      version: `flashq ${VERSION}`,
    },
  })
  const first = await server.connected()
  first.drop()
  const hellos = await server.received('HELLO', 2)
  expect(hellos.map(({ from }) => from.index)).toEqual([0, 1])
})

it('a worker goes on when the server does not care who it is, and says so', async () => {
  const server = await new FakeServer().start()
  server.script = ({ cmd }) => (cmd === 'HELLO' ? refusal('forbidden') : undefined)
  const worker = new Worker('q', () => {}, server.options)
  onTestFinished(async () => {
    await worker.stop({ timeoutMs: 0 })
    await server.stop()
  })
  const failed = new Promise((resolve) => worker.on('error', resolve))
  await worker.start()
  expect(await failed).toMatchObject({ code: 'forbidden' })
  await server.received('PULLB')
  expect(worker.isRunning()).toBe(true)
})

it('by HTTP it says so again every 10 s, with its counts, until it stops', async () => {
  vi.useFakeTimers()
  const web = new FakeFetch().install()
  web.script = ({ path }) => (path.includes('/pull') ? never() : undefined)
  const options = { httpUrl: 'http://flashq.test', id: 'w', hostname: 'h', version: 'mine 2' }
  const worker = new HttpWorker('q', () => {}, options)
  await worker.start()
  await web.received(BEAT)
  await vi.advanceTimersByTimeAsync(20_000)
  const beats = await web.received(BEAT, 3)
  const claims = { queues: ['q'], concurrency: 1, host: 'h', version: 'mine 2' }
  for (const { body } of beats) {
    expect(JSON.parse(body ?? '')).toEqual({ ...claims, processed: 0, active: 0 })
  }
  await worker.stop({ timeoutMs: 0 })
  await vi.advanceTimersByTimeAsync(60_000)
  expect(web.of(BEAT)).toHaveLength(3)
  expect(vi.getTimerCount()).toBe(0)
})

it('by HTTP a refusal is an error of the worker, no end', async () => {
  const web = new FakeFetch().install()
  web.script = ({ path }) => {
    if (path.includes('/pull')) return never()
    return path === BEAT ? refused(403, 'forbidden') : data(null)
  }
  const worker = new HttpWorker('q', () => {}, { httpUrl: 'http://flashq.test', id: 'w' })
  onTestFinished(() => worker.stop({ timeoutMs: 0 }))
  const failed = new Promise((resolve) => worker.on('error', resolve))
  await worker.start()
  expect(await failed).toMatchObject({ code: 'forbidden' })
  expect(worker.isRunning()).toBe(true)
})
