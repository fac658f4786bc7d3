import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { FlashQ, type FlashQError } from '../../../sdk/typescript/src/http.ts'
import { JsonText } from '../../../sdk/typescript/src/json-text.ts'
import { data, FakeFetch, networkFault, never, refused } from './fake-fetch.ts'
import { job } from './fake-server.ts'

let web: FakeFetch
let client: FlashQ

beforeEach(() => {
  web = new FakeFetch().install()
  client = new FlashQ({ httpUrl: 'http://flashq.test:1/base/', reconnectDelay: 0 })
})

afterEach(async () => {
  await client.close({ timeoutMs: 0 })
  vi.unstubAllGlobals()
})

describe('over HTTP', () => {
  it('stats are asked at the start too, to learn whether the server answers', async () => {
    web.script = () => data({ queued: 1, processing: 2, delayed: 3, dlq: 4 })
    expect(await client.stats()).toEqual({ queued: 1, processing: 2, delayed: 3, dlq: 4 })
    expect(web.calls).toHaveLength(2)
  })

  it('pushes of a tick travel together, and each has its own answer', async () => {
    web.script = (call) =>
      call.path.endsWith('/batch')
        ? data({ ids: [5], errors: [{ index: 1, error: 'twice', code: 'duplicate_key' }] })
        : undefined
    const [first, second] = await Promise.allSettled([
      client.push('q', 1),
      client.push('q', 2, { unique_key: 'k' }),
    ])
    expect(web.of('/base/queues/q/jobs/batch').map((call) => call.body)).toEqual([
      '{"jobs":[{"data":1},{"data":2,"unique_key":"k"}]}',
    ])
    expect(first).toMatchObject({ status: 'fulfilled', value: { id: 5, queue: 'q', data: 1 } })
    expect(second).toMatchObject({ status: 'rejected', reason: { code: 'duplicate_key' } })
  })

  it('a payload is sent byte for byte', async () => {
    const text = '{"n":12345678901234567890, "f":1.50}'
    web.script = (call) => (call.path.endsWith('/jobs') ? data({ id: 5 }) : undefined)
    await client.push('q', new JsonText(text))
    expect(web.calls.at(-1)?.body).toBe(`{"data":${text}}`)
  })

  it('big integers of an answer are exact when asked for', async () => {
    web.script = () => new Response('{"ok":true,"data":{"n":12345678901234567890,"m":1}}')
    expect(await client.getResult(1)).toEqual({ n: 12345678901234567000, m: 1 })
    const exact = new FlashQ({ httpUrl: 'http://flashq.test', bigint: true })
    expect(await exact.getResult(1)).toEqual({ n: 12345678901234567890n, m: 1 })
    await exact.close()
  })

  it('a token goes as Bearer, also one that was given later', async () => {
    const known = new FlashQ({ httpUrl: 'http://flashq.test', token: 'one' })
    await known.auth('two')
    await known.pause('q')
    await known.close()
    expect(web.calls.map((call) => call.headers['authorization'])).toEqual([
      'Bearer one',
      'Bearer two',
      'Bearer two',
    ])
  })
})

describe('connect over HTTP', () => {
  it('rejects when nobody is there', async () => {
    web.script = () => {
      throw networkFault('ECONNREFUSED')
    }
    await expect(client.connect()).rejects.toMatchObject({
      code: 'not_connected',
      message: 'connect ECONNREFUSED',
    })
  })

  it('rejects a token that is not known', async () => {
    const stranger = new FlashQ({ httpUrl: 'http://flashq.test', token: 'x' })
    web.script = () => refused(401, 'auth_invalid', 'Invalid token')
    await expect(stranger.connect()).rejects.toMatchObject({ code: 'auth_invalid' })
    await stranger.close()
  })

  it('is content with a server that answers, but lets it look at nothing', async () => {
    web.script = () => refused(403, 'forbidden')
    await expect(client.connect()).resolves.toBeUndefined()
    expect(client.isConnected()).toBe(true)
  })

  it('says what answers when it is no FlashQ', async () => {
    web.script = () => new Response('<h1>Bad gateway</h1>', { status: 502 })
    await expect(client.connect()).rejects.toMatchObject({
      code: 'protocol',
      message: "No answer of FlashQ's: HTTP 502",
    })
  })

  it('ends with `timeout` when no answer comes', async () => {
    const hasty = new FlashQ({ httpUrl: 'http://flashq.test', timeout: 1 })
    web.script = never
    await expect(hasty.connect()).rejects.toMatchObject({ code: 'timeout' })
    await hasty.close()
  })

  it('refuses a URL that is not of the web', () => {
    expect(() => new FlashQ({ httpUrl: 'ftp://x' })).toThrow(RangeError)
  })
})

describe('a refusal over HTTP', () => {
  it('has the class, code and text that it has over TCP', async () => {
    web.script = (call) =>
      call.path.endsWith('/stats') ? undefined : refused(404, 'job_not_found', 'Job 7 not found')
    const error = await client.cancel(7).catch((thrown: FlashQError) => thrown)
    expect(error).toMatchObject({
      name: 'FlashQError',
      code: 'job_not_found',
      message: 'Job 7 not found',
      maybeExecuted: false,
    })
  })

  it('of a cron that is not there is one, though HTTP answers false', async () => {
    web.script = () => data(false)
    await expect(client.deleteCron('c')).rejects.toMatchObject({ code: 'cron_not_found' })
  })

  it('of a server that is away for a moment is asked again', async () => {
    let away = 2
    web.script = (call) => {
      if (!call.path.endsWith('/pause')) return undefined
      away -= 1
      return away >= 0 ? refused(503, 'unavailable') : data(null)
    }
    await client.pause('q')
    expect(web.of('/base/queues/q/pause')).toHaveLength(3)
  })

  it('of a gateway is a doubt: it may have run', async () => {
    web.script = (call) =>
      call.path.endsWith('/pause') ? new Response('', { status: 504 }) : undefined
    await expect(client.pause('q')).rejects.toMatchObject({ code: 'protocol', maybeExecuted: true })
  })
})

describe('a connection that fails', () => {
  beforeEach(() => client.connect())

  function failing(path: string, times: number, code: string): void {
    let left = times
    web.script = (call) => {
      if (!call.path.startsWith(`/base${path}`)) return undefined
      left -= 1
      if (left >= 0) throw networkFault(code)
      return data({ state: 'waiting' })
    }
  }

  it('ends what may have run with a doubt, and repeats it not', async () => {
    failing('/queues/q/pause', 1, 'ECONNRESET')
    await expect(client.pause('q')).rejects.toMatchObject({
      code: 'connection_lost',
      maybeExecuted: true,
    })
    expect(web.of('/base/queues/q/pause')).toHaveLength(1)
  })

  it('repeats what was provably not sent', async () => {
    failing('/queues/q/pause', 2, 'ECONNREFUSED')
    await client.pause('q')
    expect(web.of('/base/queues/q/pause')).toHaveLength(3)
  })

  it('repeats what only reads', async () => {
    failing('/jobs/7/state', 1, 'ECONNRESET')
    expect(await client.getState(7)).toBe('waiting')
  })

  it('repeats a pull', async () => {
    let left = 1
    web.script = (call) => {
      if (!call.path.endsWith('/pull')) return undefined
      left -= 1
      if (left >= 0) throw networkFault('ECONNRESET')
      return data([job(7)])
    }
    expect(await client.pull('q')).toEqual(job(7))
  })

  it('is told by events', async () => {
    const told: string[] = []
    client.on('disconnect', () => told.push('disconnect'))
    client.on('reconnecting', () => told.push('reconnecting'))
    client.on('connect', () => told.push('connect'))
    failing('/jobs/7/state', 1, 'ECONNRESET')
    await client.getState(7)
    expect(told).toEqual(['disconnect', 'reconnecting', 'connect'])
  })
})

describe('a pull over HTTP', () => {
  it('asks again until there is a job, however long that takes', async () => {
    let empty = 3
    web.script = (call) => {
      if (!call.path.endsWith('/pull')) return undefined
      empty -= 1
      return data(empty >= 0 ? [] : [job(7)])
    }
    expect(await client.pull('q')).toEqual(job(7))
    const asked = web.of('/base/queues/q/pull').map((call) => JSON.parse(call.body ?? ''))
    expect(asked).toHaveLength(4)
    expect(asked[0]).toEqual({ count: 1, timeout: 20_000 })
  })

  it('that is aborted without a lease hands back the job that comes too late', async () => {
    let answer: (response: Response) => void = () => {}
    web.script = (call) => {
      if (call.path.endsWith('/pull')) return new Promise((resolve) => (answer = resolve))
      return data({ count: 1 })
    }
    const abort = new AbortController()
    const pulled = client.pull('q', { signal: abort.signal })
    const [call] = await web.received('/base/queues/q/pull')
    abort.abort(new Error('enough'))
    await expect(pulled).rejects.toThrow('enough')
    expect(call?.signal.aborted).toBe(false)
    answer(data([{ ...job(7), token: 3 }]))
    const [released] = await web.received('/base/jobs/release')
    expect(released?.body).toBe('{"ids":[7],"tokens":[3]}')
  })

  it('that is aborted with a lease ends its request: the lease brings back what was on its way', async () => {
    web.script = (call) => (call.path.endsWith('/pull') ? never() : undefined)
    const abort = new AbortController()
    const pulled = client.pull('q', { signal: abort.signal, lease: 1000 })
    const [call] = await web.received('/base/queues/q/pull')
    abort.abort(new Error('enough'))
    await expect(pulled).rejects.toThrow('enough')
    expect(call?.signal.aborted).toBe(true)
  })

  it('does not keep other calls waiting, nor the other way round', async () => {
    await client.connect()
    web.script = (call) => (call.path.endsWith('/state') ? data({ state: 'active' }) : never())
    const pulls = Array.from({ length: 100 }, () => client.pull('q').catch(() => {}))
    expect(await client.getState(1)).toBe('active')
    await client.close({ timeoutMs: 0 })
    await Promise.all(pulls)
  })
})

describe('many calls at a time', () => {
  it('are under way 64 at a time, in their order', async () => {
    await client.connect()
    const answers: (() => void)[] = []
    web.script = () =>
      new Promise((resolve) => answers.push(() => resolve(data({ state: 'active' }))))
    const calls = Array.from({ length: 100 }, (_, id) => client.getState(id))
    await web.received('/base/jobs/63/state')
    expect(web.calls).toHaveLength(1 + 64)
    while (web.calls.length < 101) {
      answers.shift()?.()
      await new Promise((resolve) => setImmediate(resolve))
    }
    for (const answer of answers) answer()
    await Promise.all(calls)
    expect(web.calls.slice(1).map((call) => call.path)).toEqual(
      Array.from({ length: 100 }, (_, id) => `/base/jobs/${id}/state`),
    )
  })
})

describe('close over HTTP', () => {
  it('lets what was sent be answered', async () => {
    let answer: (response: Response) => void = () => {}
    web.script = (call) =>
      call.path.endsWith('/pause') ? new Promise((resolve) => (answer = resolve)) : undefined
    const paused = client.pause('q')
    await web.received('/base/queues/q/pause')
    const closed = client.close()
    answer(data(null))
    await Promise.all([paused, closed])
  })

  it('cuts off what is not answered in its time', async () => {
    web.script = (call) => (call.path.endsWith('/pause') ? never() : undefined)
    const paused = client.pause('q')
    const [call] = await web.received('/base/queues/q/pause')
    await Promise.all([
      client.close({ timeoutMs: 1 }),
      expect(paused).rejects.toMatchObject({ code: 'closed', maybeExecuted: true }),
    ])
    expect(call?.signal.aborted).toBe(true)
  })

  it('refuses every call afterwards, until connect', async () => {
    await client.connect()
    await client.close()
    await expect(client.pause('q')).rejects.toMatchObject({ code: 'not_connected' })
    await client.connect()
    await client.pause('q')
  })
})
