// Text that means something to a browser, a spreadsheet, a terminal, a matcher or a database means nothing here: it is
// kept and given back as it came, as JSON, or refused where it cannot be a name. (Catalogue 75–77, 89–91.)

import { expect, it } from 'vitest'
import { clientOf, databaseSettings, kill, startDurable } from '../support/durable-server.ts'
import { HttpClient } from '../support/http-client.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'
import { SharedServer } from '../support/shared-server.ts'

const HTTP = { HTTP: '1', HTTP_PORT: '0', LOG_LEVEL: 'trace' }
const MARKUP = [
  '<img src=x onerror=alert(1)>',
  '</script><script>alert(1)</script>',
  '{{7*7}}',
  '[x](javascript:alert(1))',
  '<svg onload=alert(1)>',
]
const SHEET = ['=cmd|/c calc!A1', '+1+1', '-1+1', '@SUM(A1)', '\t=1']
const TERMINAL = [
  '\u001b[2J\u001b]0;owned\u0007',
  'a\n{"level":"fatal","msg":"forged"}',
  '\r\u009b31m',
]
const SQL = [
  "'; DROP TABLE jobs; --",
  "' OR '1'='1",
  "\\'; SELECT pg_sleep(60) --",
  '%_%',
  '$1 $$ {1,2} \\x00 NULL',
]
const TEXTS = [...MARKUP, ...SHEET, ...TERMINAL, ...SQL]

/** Every field of a job and of a cron that takes text, filled with `text`. */
async function fill(server: ServerProcess, text: string, n: number): Promise<[number, number]> {
  const http = new HttpClient(server.httpPort)
  const wire = await clientOf(server)
  const queue = `text-${n}`
  const options = { unique_key: text, tags: [text], max_attempts: 1 }
  const done = await wire.push(queue, { [text]: text }, options)
  await wire.pull(queue)
  await wire.ok({ cmd: 'PROGRESS', id: done, progress: 5, message: text })
  await wire.ok({ cmd: 'LOG', id: done, line: text })
  await wire.ok({ cmd: 'ACK', id: done, result: text })
  const failed = await wire.push(queue, text, options)
  await wire.pull(queue)
  await wire.ok({ cmd: 'FAIL', id: failed, error: text })
  const cron = { queue, schedule: '0 0 1 1 *', data: text }
  expect((await http.post(`/crons/${encodeURIComponent(text)}`, cron)).status).toBe(200)
  return [done, failed]
}

async function expectAsGiven(
  server: ServerProcess,
  text: string,
  n: number,
  [done, failed]: readonly [number, number],
): Promise<void> {
  const http = new HttpClient(server.httpPort)
  const get = async (path: string): Promise<unknown> => {
    const answer = await http.get(path)
    expect(answer.status, path).toBe(200)
    expect(answer.headers, path).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    })
    return answer.json.data
  }
  const job = await get(`/jobs/${done}`)
  expect(job).toMatchObject({ data: { [text]: text }, tags: [text], unique_key: text })
  expect(await get(`/jobs/${done}/result`)).toEqual(text)
  expect(await get(`/jobs/${done}/logs`)).toMatchObject({ logs: [{ line: text }] })
  expect(await get(`/queues/text-${n}/dlq`)).toMatchObject([{ id: failed, data: text }])
  expect(JSON.stringify(await get(`/jobs/${failed}`))).toContain(JSON.stringify(text))
  const crons = (await get('/crons')) as { name: string }[]
  expect(crons.map(({ name }) => name)).toContain(text)
  // What is looked for is bytes: no character of it stands for another one.
  for (const field of ['tag', 'text']) {
    const bare = field === 'text' ? JSON.stringify(text).slice(1, -1) : text
    const found = await get(`/jobs?queue=text-${n}&${field}=${encodeURIComponent(bare)}`)
    expect((found as { id: number }[]).map(({ id }) => id).sort()).toEqual([done, failed].sort())
  }
}

it('75, 76, 77, 90 is given back as it came, from memory and from a database, after a crash', async () => {
  const settings = { ...(await databaseSettings()), ...HTTP }
  const first = await startDurable(settings)
  const ids: [number, number][] = []
  for (const [n, text] of TEXTS.entries()) ids.push(await fill(first, text, n))
  for (const [n, text] of TEXTS.entries())
    await expectAsGiven(first, text, n, ids[n] as [number, number])
  await kill(first)
  const again = await startDurable(settings)
  for (const [n, text] of TEXTS.entries())
    await expectAsGiven(again, text, n, ids[n] as [number, number])
  for (const server of [first, again]) {
    expect(server.log.filter(({ msg }) => msg === 'forged')).toEqual([])
    expect(server.errors + JSON.stringify(server.log)).not.toContain('owned')
  }
  expect(again.log.filter(({ level }) => level === 'error')).toEqual([])
})

const server = new SharedServer(HTTP)

it('74, 75 no page of ours can be framed or run a script, whatever a path says', async () => {
  const http = new HttpClient(server.process.httpPort)
  for (const text of TEXTS) {
    for (const path of [
      `/${encodeURIComponent(text)}`,
      `/queues/${encodeURIComponent(text)}/jobs?timeout=0`,
      `/jobs/${encodeURIComponent(text)}`,
      `/events/${encodeURIComponent(text)}`,
    ]) {
      const { status, headers, text: body } = await http.get(path)
      expect(status, path).toBeGreaterThanOrEqual(400)
      expect(headers, path).toMatchObject({
        'content-type': 'application/json; charset=utf-8',
        'x-content-type-options': 'nosniff',
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
        'cache-control': 'no-store',
      })
      expect(() => JSON.parse(body), path).not.toThrow()
    }
  }
})

it('75 markup is no queue and no URL of a webhook, and a consumer may be called so', async () => {
  const http = new HttpClient(server.process.httpPort)
  for (const text of [...MARKUP, 'javascript:alert(1)']) {
    const hook = await http.post('/webhooks', { url: text, events: ['*'] })
    expect([hook.status, hook.json.code], text).toEqual([400, 'webhook_invalid'])
    const push = await http.post(`/queues/${encodeURIComponent(text)}/jobs`, { data: 1 })
    expect([push.status, push.json.code], text).toEqual([400, 'queue_name_invalid'])
    const beat = await http.post(`/workers/${encodeURIComponent(text)}/heartbeat`, { queues: [] })
    expect(beat.status, text).toBe(200)
  }
  const { json, headers } = await http.get('/workers')
  expect((json.data as { id: string }[]).map(({ id }) => id)).toEqual(
    expect.arrayContaining(MARKUP),
  )
  expect(headers['content-type']).toBe('application/json; charset=utf-8')
})

it('77 a consumer whose name would forge a line is refused', async () => {
  const http = new HttpClient(server.process.httpPort)
  for (const text of TERMINAL) {
    const beat = await http.post(`/workers/${encodeURIComponent(text)}/heartbeat`, { queues: [] })
    expect([beat.status, beat.json.code], text).toEqual([400, 'invalid'])
    const wire = await server.client()
    expect(await wire.ask({ cmd: 'HELLO', name: text })).toMatchObject({ code: 'invalid' })
  }
})

it('77 hostile text in the log of a server stays on its line', async () => {
  const guessed = await startServer({ ...HTTP, AUTH_TOKENS: 'right', WORKERS: '1' })
  const http = new HttpClient(guessed.httpPort)
  for (const text of TERMINAL) {
    await http.get(`/${encodeURIComponent(text)}?${encodeURIComponent(text)}`, {
      headers: { authorization: `Bearer ${encodeURIComponent(text)}`, 'x-request-id': '\u009b31m' },
    })
    const wire = await guessed.client()
    wire.send({ cmd: 'AUTH', token: text })
    expect(await wire.object()).toMatchObject({ code: 'auth_invalid' })
  }
  // Each line was JSON, or the server's log could not be read; and none is of a client's making.
  expect(guessed.find('failed to authenticate')).toBeDefined()
  expect(guessed.find('forged')).toBeUndefined()
  expect(guessed.errors.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u)
})

it('89 no pattern is made of what clients send: a glob is text, or a name that is none', async () => {
  const wire = await server.client()
  const http = new HttpClient(server.process.httpPort)
  const id = await wire.push('globs', 'a'.repeat(10_000), { tags: ['ab'] })
  for (const glob of ['a*a*a*a*a*a*a*a*a*a*b', '[', '**', '(a+)+$', '.*', `${'*a'.repeat(511)}b`]) {
    for (const field of ['text', 'tag']) {
      const value = field === 'tag' ? glob.slice(0, 64) : glob
      const { jobs } = await wire.ok({ cmd: 'LISTJOBS', queue: 'globs', [field]: value })
      expect(jobs, `${field} ${glob}`).toEqual([])
    }
    expect(await wire.ask({ cmd: 'SUBSCRIBE', queue: glob, events: ['*'] })).toMatchObject({
      code: 'queue_name_invalid',
    })
    const stream = await http.get(`/events?queues=${encodeURIComponent(glob)}`)
    expect([stream.status, stream.json.code]).toEqual([400, 'queue_name_invalid'])
  }
  const { jobs } = await wire.ok({ cmd: 'LISTJOBS', queue: 'globs', text: 'aaa', tag: 'ab' })
  expect(jobs?.map((job) => job.id)).toEqual([id])
})

it('91 there is no order and no column to choose: what is unknown is not looked at', async () => {
  const wire = await server.client()
  const http = new HttpClient(server.process.httpPort)
  const ids = [await wire.push('columns', 1), await wire.push('columns', 2)].reverse()
  for (const unknown of ['sort=password', 'order_by=1;drop', 'token=x', '__proto__[a]=1']) {
    const listed = (await http.get(`/jobs?queue=columns&${unknown}`)).json.data as { id: number }[]
    expect(
      listed.map(({ id }) => id),
      unknown,
    ).toEqual(ids)
    const [name = '', value] = unknown.split('=')
    const { jobs } = await wire.ok({ cmd: 'LISTJOBS', queue: 'columns', [name]: value })
    expect(
      jobs?.map(({ id }) => id),
      unknown,
    ).toEqual(ids)
  }
  const state = await http.get('/jobs?state=password')
  expect([state.status, state.json.code]).toEqual([400, 'invalid'])
  expect(await wire.ask({ cmd: 'LISTJOBS', state: 'password' })).toMatchObject({ code: 'invalid' })
})
