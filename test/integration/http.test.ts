// Every route of the HTTP API, on two workers: what it answers, and what it does.

import { describe, expect, it } from 'vitest'
import { HttpClient, RawHttp } from '../support/http-client.ts'
import { readResponses } from '../support/http-responses.ts'
import { startServer } from '../support/server-process.ts'
import { SharedServer } from '../support/shared-server.ts'

const server = new SharedServer({ HTTP: '1', HTTP_PORT: '0' })
const client = (): HttpClient => new HttpClient(server.process.httpPort)
let queues = 0
const newQueue = (): string => `http-${++queues}`

interface Job {
  readonly id: number
  readonly token?: number
  readonly [key: string]: unknown
}

async function push(http: HttpClient, queue: string, more: object = {}): Promise<Job> {
  const { status, json } = await http.post(`/queues/${queue}/jobs`, { data: 1, ...more })
  expect(status).toBe(200)
  return json.data as Job
}

async function pullOne(http: HttpClient, queue: string, query = ''): Promise<Job> {
  const { json } = await http.get(`/queues/${queue}/jobs?timeout=5000${query}`)
  return (json.data as Job[])[0] as Job
}

const stateOf = async (http: HttpClient, id: number): Promise<unknown> =>
  ((await http.get(`/jobs/${id}/state`)).json.data as { state: string }).state

const NULL = { ok: true, data: null }

describe('a push', () => {
  it('answers with the whole job, its data byte for byte', async () => {
    const http = client()
    const data = '{"b" : 12345678901234567890,"a":"é\\u0041\\ud83d\\ude00", "n":1e2}'
    const queue = newQueue()
    const answer = await http.post(
      `/queues/${queue}/jobs`,
      ` {\n"tags":["x"],"data":${data},\r\n"priority":7}\n`,
    )
    const { id, created_at } = answer.json.data as Job
    expect(answer.text).toBe(
      `{"ok":true,"data":{"id":${id},"queue":"${queue}","data":${data},"priority":7,"created_at":${created_at},"run_at":${created_at},"started_at":0,"attempts":0,"max_attempts":0,"backoff":0,"ttl":0,"timeout":0,"unique_key":null,"depends_on":[],"progress":0,"progress_msg":null,"tags":["x"]}}`,
    )
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    const pulled = await http.get(`/queues/${queue}/jobs`)
    expect(pulled.text).toContain(`"data":${data},"priority":7`)
  })

  it('goes to the queue that the path names, percent-decoded, whoever owns it', async () => {
    const http = client()
    for (let n = 0; n < 8; n++) {
      const queue = `队列-${n}.${newQueue()}`
      const job = await push(http, encodeURIComponent(queue))
      expect(job).toMatchObject({ queue })
      const [pulled] = (await http.get(`/queues/${encodeURIComponent(queue)}/jobs`)).json
        .data as Job[]
      expect(pulled?.id).toBe(job.id)
    }
  })

  it('of many answers with their ids, and says which were refused', async () => {
    const http = client()
    const queue = newQueue()
    const answer = await http.post(`/queues/${queue}/jobs/batch`, {
      jobs: [{ data: 1, unique_key: 'k' }, { data: 2, unique_key: 'k' }, { data: 3 }],
    })
    expect(answer.json).toEqual({
      ok: true,
      data: {
        ids: [expect.any(Number), expect.any(Number)],
        errors: [{ index: 1, error: 'Duplicate job with key: k', code: 'duplicate_key' }],
      },
    })
    const jobs = Array.from({ length: 1000 }, (_, n) => ({ data: 'x'.repeat(4000), priority: n }))
    const large = await http.post(`/queues/${queue}/jobs/batch`, { jobs })
    expect((large.json.data as { ids: number[] }).ids).toHaveLength(1000)
    const tooMany = await http.post(`/queues/${queue}/jobs/batch`, { jobs: [...jobs, { data: 1 }] })
    expect(tooMany).toMatchObject({ status: 400, json: { code: 'limit_exceeded' } })
  })

  it('from anybody with JSON takes all of it as data', async () => {
    const http = client()
    const queue = newQueue()
    const answer = await http.post(`/webhooks/incoming/${queue}`, '[1, {"a":2}]')
    expect(answer.json.data).toMatchObject({ queue, data: [1, { a: 2 }], priority: 0 })
    for (const body of ['1,"priority":5', '', '{"a":1}}', '{']) {
      expect(await http.post(`/webhooks/incoming/${queue}`, body), body).toMatchObject({
        status: 400,
        json: { ok: false, error: 'Invalid: the body is not JSON', code: 'invalid' },
      })
    }
  })
})

describe('a pull', () => {
  it('gives jobs at once, as many as asked, by GET and by POST', async () => {
    const http = client()
    const queue = newQueue()
    for (let n = 0; n < 5; n++) await push(http, queue, { data: n })
    const first = (await http.get(`/queues/${queue}/jobs?count=2`)).json.data as Job[]
    expect(first.map(({ data }) => data)).toEqual([0, 1])
    expect(first[0]).not.toHaveProperty('token')
    const more = (await http.post(`/queues/${queue}/pull`, { count: 2, lease: 60_000 })).json
    expect(more.data).toMatchObject([
      { data: 2, token: expect.any(Number) },
      { data: 3, token: expect.any(Number) },
    ])
    const last = (await http.post(`/queues/${queue}/pull`)).json.data as Job[]
    expect(last.map(({ data }) => data)).toEqual([4])
  })

  it('waits for a job that comes, and not longer than it says', async () => {
    const http = client()
    const queue = newQueue()
    expect((await http.get(`/queues/${queue}/jobs?timeout=0`)).json).toEqual({ ok: true, data: [] })
    expect((await http.get(`/queues/${queue}/jobs?timeout=20`)).json.data).toEqual([])
    expect((await http.get(`/queues/${queue}/jobs?count=0`)).json.data).toEqual([])
    const waiting = http.get(`/queues/${queue}/jobs?timeout=30000`)
    const job = await push(http, queue)
    expect(((await waiting).json.data as Job[]).map(({ id }) => id)).toEqual([job.id])
  })

  it('whose client goes away takes nothing', async () => {
    const http = client()
    const queue = newQueue()
    const left = new AbortController()
    const gone = fetch(
      `http://127.0.0.1:${server.process.httpPort}/queues/${queue}/jobs?timeout=60000`,
      { signal: left.signal },
    ).catch(() => 'gone')
    await push(http, `${queue}-other`)
    left.abort()
    expect(await gone).toBe('gone')
    const job = await push(http, queue)
    // Whichever came first, the job comes to who is there.
    expect((await pullOne(http, queue)).id).toBe(job.id)
  })
})

describe('a run', () => {
  it('is ended with a result, which can be read', async () => {
    const http = client()
    const queue = newQueue()
    const { id } = await push(http, queue, { data: { a: 1 } })
    await pullOne(http, queue)
    expect(await stateOf(http, id)).toBe('active')
    expect((await http.post(`/jobs/${id}/ack`, '{"result": [1.0]}')).json).toEqual(NULL)
    expect((await http.get(`/jobs/${id}/result`)).text).toBe('{"ok":true,"data":[1.0]}')
    expect((await http.get(`/jobs/${id}`)).json.data).toMatchObject({
      id,
      data: { a: 1 },
      state: 'completed',
      result: [1],
      error: null,
      finished_at: expect.any(Number),
    })
    expect(await http.post(`/jobs/${id}/ack`)).toMatchObject({
      status: 404,
      json: { ok: false, error: `Job ${id} not found`, code: 'job_not_found' },
    })
  })

  it('tells how far it is', async () => {
    const http = client()
    const queue = newQueue()
    const { id } = await push(http, queue)
    expect(await http.post(`/jobs/${id}/progress`, { progress: 5 })).toMatchObject({
      status: 409,
      json: { code: 'job_not_active' },
    })
    await pullOne(http, queue)
    const told = await http.post(`/jobs/${id}/progress`, { progress: 40, message: 'half' })
    expect(told.json).toEqual(NULL)
    expect((await http.get(`/jobs/${id}/progress`)).json).toEqual({ ok: true, data: [40, 'half'] })
  })

  it('fails into the DLQ, from where one or all are retried or purged', async () => {
    const http = client()
    const queue = newQueue()
    const ids: number[] = []
    for (let n = 0; n < 4; n++) {
      ids.push((await push(http, queue, { max_attempts: 1 })).id)
      const { id } = await pullOne(http, queue)
      expect((await http.post(`/jobs/${id}/fail`, { error: `no ${n}` })).json).toEqual(NULL)
    }
    const dlq = (await http.get(`/queues/${queue}/dlq`)).json.data as Job[]
    expect(dlq.map(({ id }) => id)).toEqual(ids)
    expect((await http.get(`/queues/${queue}/dlq?count=1`)).json.data).toHaveLength(1)
    expect((await http.get(`/jobs/${ids[0]}`)).json.data).toMatchObject({
      state: 'failed',
      error: 'no 0',
    })
    const one = await http.post(`/queues/${queue}/dlq/${ids[1]}/retry`)
    expect(one.json).toEqual({ ok: true, data: 1 })
    expect((await http.post(`/queues/${queue}/dlq/${ids[1]}/retry`)).json.data).toBe(0)
    expect(await stateOf(http, ids[1] as number)).toBe('waiting')
    expect((await http.post(`/queues/${queue}/dlq/retry`)).json.data).toBe(3)
    for (let n = 0; n < 4; n++) {
      await http.post(`/jobs/${(await pullOne(http, queue)).id}/fail`)
    }
    expect((await http.delete(`/queues/${queue}/dlq`)).json.data).toBe(4)
    expect((await http.get(`/queues/${queue}/dlq`)).json.data).toEqual([])
  })

  it('is acknowledged with others, and each that could not be is told', async () => {
    const http = client()
    const queue = newQueue()
    const other = newQueue()
    const a = await push(http, queue)
    const b = await push(http, other)
    await pullOne(http, queue)
    await pullOne(http, other)
    const body = `{"ids":[${a.id},1,${b.id}],"results":[{"n":1},null,2]}`
    expect((await http.post('/jobs/ack', body)).json).toEqual({
      ok: true,
      data: { count: 2, errors: [{ index: 1, error: 'Job 1 not found', code: 'job_not_found' }] },
    })
    expect((await http.get(`/jobs/${b.id}/result`)).json.data).toBe(2)
  })

  it('is held by heartbeats and given back, and a stale token does neither', async () => {
    const http = client()
    const queue = newQueue()
    const { id } = await push(http, queue)
    const { token } = await pullOne(http, queue, '&token=true')
    const beat = await http.post(`/jobs/${id}/heartbeat`, { lease: 60_000, token })
    expect(beat.json).toEqual(NULL)
    expect((await http.post('/jobs/heartbeat', { ids: [id], tokens: [token] })).json.data).toEqual({
      count: 1,
    })
    expect((await http.post(`/jobs/${id}/release`, { token })).json).toEqual(NULL)
    expect(await stateOf(http, id)).toBe('waiting')
    await pullOne(http, queue)
    expect(await http.post(`/jobs/${id}/ack`, { token })).toMatchObject({
      status: 409,
      json: { code: 'stale_token' },
    })
    expect((await http.post('/jobs/release', { ids: [id] })).json.data).toEqual({ count: 1 })
    expect(await http.post(`/jobs/${id}/heartbeat`)).toMatchObject({
      status: 409,
      json: { code: 'job_not_active' },
    })
  })

  it('keeps lines with its job', async () => {
    const http = client()
    const { id } = await push(http, newQueue())
    for (const line of ['one', '<img onerror=x>\u001b[31m']) {
      expect((await http.post(`/jobs/${id}/logs`, { line })).json).toEqual(NULL)
    }
    expect((await http.get(`/jobs/${id}/logs`)).json.data).toEqual({
      id,
      logs: [
        { at: expect.any(Number), line: 'one' },
        { at: expect.any(Number), line: '<img onerror=x>\u001b[31m' },
      ],
      dropped: 0,
    })
  })
})

describe('a job', () => {
  it('is cancelled, once', async () => {
    const http = client()
    const { id } = await push(http, newQueue())
    expect((await http.post(`/jobs/${id}/cancel`)).json).toEqual(NULL)
    expect(await http.post(`/jobs/${id}/cancel`)).toMatchObject({ status: 404 })
    expect((await http.get(`/jobs/${id}`)).json).toEqual({
      ok: true,
      data: { state: 'unknown', result: null, error: null, finished_at: null },
    })
  })

  it('that is delayed can be promoted', async () => {
    const http = client()
    const queue = newQueue()
    const { id } = await push(http, queue, { delay: 3_600_000 })
    expect(await stateOf(http, id)).toBe('delayed')
    expect((await http.post(`/jobs/${id}/promote`)).json).toEqual(NULL)
    expect((await pullOne(http, queue)).id).toBe(id)
    expect(await http.post(`/jobs/${id}/promote`)).toMatchObject({
      status: 409,
      json: { code: 'job_not_delayed' },
    })
  })

  it('is found in lists, by queue, state, tag and text, page by page', async () => {
    const http = client()
    const queue = newQueue()
    const ids: number[] = []
    for (let n = 0; n < 5; n++) {
      ids.push((await push(http, queue, { data: { needle: n }, tags: n % 2 ? ['odd'] : [] })).id)
    }
    const list = async (query: string) =>
      (await http.get(`/jobs?queue=${queue}&${query}`)).json as { data: Job[]; cursor: string }
    expect((await list('')).data.map(({ id }) => id)).toEqual([...ids].reverse())
    expect((await list('')).data[0]).toMatchObject({ state: 'waiting', queue })
    expect((await list('tag=odd')).data).toHaveLength(2)
    expect((await list(`text=${encodeURIComponent('{"needle":3}')}`)).data).toHaveLength(1)
    expect((await list('state=completed')).data).toEqual([])
    expect((await list('state=waitingchildren')).data).toEqual([])
    expect((await list('since=9999999999999')).data).toEqual([])
    expect((await list('until=1')).data).toEqual([])
    expect((await list('offset=4')).data.map(({ id }) => id)).toEqual([ids[0]])
    const seen: number[] = []
    let page = await list('limit=2')
    for (;;) {
      seen.push(...page.data.map(({ id }) => id))
      if (page.cursor === null) break
      page = await list(`limit=2&cursor=${encodeURIComponent(page.cursor)}`)
    }
    expect(seen).toEqual([...ids].reverse())
  })
})

describe('a queue', () => {
  it('is paused, limited, listed, and as it was', async () => {
    const http = client()
    const queue = newQueue()
    await push(http, queue)
    const info = async () =>
      ((await http.get('/queues')).json.data as { name: string }[]).find(
        ({ name }) => name === queue,
      )
    expect((await http.post(`/queues/${queue}/pause`)).json).toEqual(NULL)
    expect((await http.get(`/queues/${queue}/jobs?timeout=0`)).json.data).toEqual([])
    expect((await http.post(`/queues/${queue}/rate-limit`, { limit: 5 })).json).toEqual(NULL)
    expect((await http.post(`/queues/${queue}/concurrency`, { limit: 2 })).json).toEqual(NULL)
    expect(await info()).toEqual({
      name: queue,
      pending: 1,
      processing: 0,
      dlq: 0,
      paused: true,
      rate_limit: 5,
      concurrency_limit: 2,
      worker: expect.any(Number),
    })
    for (const path of ['rate-limit', 'concurrency']) {
      expect((await http.delete(`/queues/${queue}/${path}`)).json).toEqual(NULL)
      expect(await http.post(`/queues/${queue}/${path}`)).toMatchObject({
        status: 400,
        json: { error: 'Invalid: missing field "limit"' },
      })
    }
    expect((await http.post(`/queues/${queue}/resume`)).json).toEqual(NULL)
    expect(await info()).toMatchObject({ paused: false, rate_limit: null, concurrency_limit: null })
  })

  it('is drained, and deleted', async () => {
    const http = client()
    const queue = newQueue()
    await push(http, queue)
    await push(http, queue, { delay: 60_000 })
    await push(http, queue)
    await pullOne(http, queue)
    expect((await http.post(`/queues/${queue}/drain`)).json).toEqual({ ok: true, data: 2 })
    expect(await http.delete(`/queues/${queue}`)).toMatchObject({
      status: 409,
      json: { code: 'queue_busy' },
    })
    expect((await http.delete(`/queues/${queue}?force=true`)).json).toEqual({ ok: true, data: 1 })
  })
})

describe('a cron', () => {
  it('is set, listed, replaced and removed', async () => {
    const http = client()
    const name = 'nightly clean-up/é'
    const path = `/crons/${encodeURIComponent(name)}`
    const body = '{"queue":"c","schedule":"0 0 3 * * *","data":{"n":1.0},"priority":2}'
    expect((await http.post(path, body)).json).toEqual(NULL)
    expect((await http.get('/crons')).text).toContain(
      `{"name":"${name}","queue":"c","data":{"n":1.0},"schedule":"0 0 3 * * *","priority":2,`,
    )
    expect(await http.post(path, { queue: 'c', schedule: '*/0', data: 1 })).toMatchObject({
      status: 400,
      json: { error: 'Invalid interval format: */0', code: 'cron_invalid' },
    })
    expect((await http.delete(path)).json).toEqual({ ok: true, data: true })
    expect((await http.delete(path)).json).toEqual({ ok: true, data: false })
  })
})

describe('the node', () => {
  it('shows its figures, on every worker the same', async () => {
    const http = client()
    const queue = newQueue()
    await push(http, queue)
    for (let n = 0; n < 4; n++) {
      const { data: stats } = (await client().get('/stats')).json
      expect(stats).toEqual({
        queued: expect.any(Number),
        processing: expect.any(Number),
        delayed: expect.any(Number),
        dlq: expect.any(Number),
      })
      const metrics = (await client().get('/metrics')).json.data as { queues: { name: string }[] }
      expect(metrics.queues.map(({ name }) => name)).toContain(queue)
    }
  })

  it('says how it is and how it is set', async () => {
    const http = client()
    const { httpPort, port } = server.process
    expect((await http.get('/health')).json).toEqual({
      ok: true,
      data: {
        status: 'healthy',
        node_id: null,
        is_leader: true,
        cluster_enabled: false,
        postgres_connected: false,
      },
    })
    expect((await http.ask('HEAD', '/health')).status).toBe(200)
    expect((await http.get('/settings')).json.data).toEqual({
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      tcp_port: port,
      http_port: httpPort,
      database_connected: false,
      database_url: null,
      auth_enabled: false,
      auth_token_count: 0,
      uptime_seconds: expect.any(Number),
    })
    expect((await http.get('/cluster/nodes')).json.data).toEqual([
      {
        node_id: 'standalone',
        host: '127.0.0.1',
        port: httpPort,
        is_leader: true,
        last_heartbeat: expect.any(Number),
        started_at: expect.any(Number),
      },
    ])
  })

  for (const [route, text, code] of [
    ['shutdown', 'Server shutting down...', 0],
    ['restart', 'Server restarting...', 100],
  ] as const) {
    it(`ends by POST /server/${route} with ${code}, and answers what is in flight`, async () => {
      const own = await startServer({ HTTP: '1', HTTP_PORT: '0' })
      const http = new HttpClient(own.httpPort)
      const polls = [1, 2, 3].map((n) => {
        const head = 'HTTP/1.1\r\nHost: localhost\r\n\r\n'
        const poll = `GET /queues/q${n}/jobs ${head}`
        return new RawHttp(own.httpPort).send(`GET /stats ${head}${poll}`)
      })
      // What comes in one piece with a request that is answered has been read.
      for (const poll of polls) await poll.answer('"ok":true')
      const answer = await http.post(`/server/${route}`)
      expect(answer.json).toEqual({ ok: true, data: text })
      for (const poll of polls) {
        const [, last] = readResponses(await poll.closed())
        expect(last?.headers.get('connection')).toBe('close')
        // Either it is told that nothing will come, or to ask somebody else.
        const json: unknown = JSON.parse(last?.body ?? '')
        if (last?.status === 200) expect(json).toEqual({ ok: true, data: [] })
        else expect(json).toMatchObject({ ok: false, code: 'draining' })
      }
      expect(await own.exited).toEqual({ code, signal: null })
    })
  }
})
