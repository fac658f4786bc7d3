// Tokens at the HTTP door: who is let in, as whom, and what they see. (Catalogue 48–51, 55.)

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { HttpClient, RawHttp, readRaw } from '../support/http-client.ts'
import { startServer } from '../support/server-process.ts'
import { SharedServer } from '../support/shared-server.ts'

const REQUIRED = { ok: false, error: 'Authentication required', code: 'auth_required' }
const WRONG = { ok: false, error: 'Invalid token', code: 'auth_invalid' }
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const HTTP = { HTTP: '1', HTTP_PORT: '0' }

describe('with AUTH_TOKENS', () => {
  const server = new SharedServer({ ...HTTP, AUTH_TOKENS: 'canary-a, b é', LOG_LEVEL: 'trace' })
  const client = (headers = {}): HttpClient => new HttpClient(server.process.httpPort, headers)

  it('every route needs one, but those that show nothing', async () => {
    const document = (await client(bearer('canary-a')).get('/openapi.json')).text
    const { paths } = JSON.parse(document) as { paths: Record<string, Record<string, object>> }
    let routes = 0
    for (const [path, methods] of Object.entries(paths)) {
      for (const [method, route] of Object.entries(methods)) {
        const isPublic = 'security' in route
        const answer = await client().ask(method.toUpperCase(), path.replace(/\{\w+\}/g, '1'))
        const shown = `${method} ${path}`
        if (isPublic) expect(answer.status, shown).toBeLessThan(400)
        else {
          expect(answer.status, shown).toBe(401)
          expect(answer.json, shown).toEqual(REQUIRED)
          expect(answer.headers['www-authenticate'], shown).toBe('Bearer')
        }
        routes++
      }
    }
    expect(routes).toBeGreaterThan(40)
    expect(await client().get('/no-such-route')).toMatchObject({ status: 401, json: REQUIRED })
    expect(await client().get('/openapi.json')).toMatchObject({ status: 401, json: REQUIRED })
    expect((await client().get('/health')).status).toBe(200)
  })

  it('each token of the list is good, in its header only', async () => {
    for (const token of ['canary-a', 'b é']) {
      const text = Buffer.from(token).toString('latin1')
      expect((await client(bearer(text)).get('/stats')).status).toBe(200)
    }
    for (const path of ['/stats?token=canary-a', '/stats?access_token=canary-a']) {
      expect(await client().get(path)).toMatchObject({ status: 401, json: REQUIRED })
    }
    expect((await client({ 'x-forwarded-for': '127.0.0.2' }).get('/stats')).status).toBe(401)
  })

  it('48 no token, and what is none, is refused and is no guess', async () => {
    for (const authorization of ['', 'Bearer', 'Bearer ', 'Basic Y2FuYXJ5LWE=', 'canary-a']) {
      const answer = await client({ authorization }).get('/stats')
      expect(answer.status, authorization).toBe(401)
      expect(answer.json, authorization).toEqual(REQUIRED)
    }
    const raw = async (value: string) =>
      readRaw(
        await new RawHttp(server.process.httpPort)
          .send(
            `GET /stats HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: ${value}\r\n\r\n`,
          )
          .closed(),
      )
    expect((await raw(`Bearer ${'x'.repeat(1_000_000)}`)).status).toBe(431)
    expect((await raw('Bearer canary\0-a')).status).toBe(400)
    expect((await raw('Bearer  canary-a')).status).toBe(200)
  })

  it('the settings show how many there are, and nothing of them', async () => {
    const settings = await client(bearer('canary-a')).get('/settings')
    expect(settings.json.data).toMatchObject({ auth_enabled: true, auth_token_count: 2 })
    expect(settings.text).not.toContain('canary')
    const log = JSON.stringify(server.process.log) + server.process.errors
    expect(log).toContain('ready')
    expect(log).not.toContain('canary')
  })
})

it('49 a guesser is stopped after 10 failures of its address, on every door', async () => {
  const server = await startServer({ ...HTTP, AUTH_TOKENS: 'right-token', WORKERS: '1' })
  const port = server.httpPort
  for (let guess = 0; guess < 10; guess++) {
    // What a proxy says of others is not believed (67).
    const http = new HttpClient(port, {
      ...bearer(`right-toke${guess}`),
      'x-forwarded-for': `10.0.0.${guess}`,
    })
    expect(await http.get('/stats')).toMatchObject({ status: 401, json: WRONG })
  }
  const stopped = await new HttpClient(port, bearer('right-token')).get('/stats')
  expect(stopped).toMatchObject({ status: 429, json: { code: 'auth_throttled' } })
  expect(stopped.headers['retry-after']).toBe('60')
  const line = await server.client()
  line.send({ cmd: 'AUTH', token: 'right-token' })
  expect(await line.line()).toContain('auth_throttled')
})

describe('with AUTH_FILE', () => {
  const folder = mkdtempSync(join(tmpdir(), 'flashq-http-auth-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'tokens.json')
  writeFileSync(
    file,
    JSON.stringify({
      tokens: [
        {
          token: 'all-of-it-0000000000000001',
          name: 'all',
          scopes: ['read', 'produce', 'consume', 'admin'],
        },
        {
          token: 'mail-only-0000000000000002',
          name: 'mail',
          scopes: ['read', 'produce', 'consume'],
          queues: ['mail.*'],
        },
        { token: 'reader-00000000000000000003', name: 'reader', scopes: ['read'] },
      ],
    }),
    { mode: 0o600 },
  )
  const server = new SharedServer({ ...HTTP, AUTH_FILE: file })
  const as = (token: string): HttpClient => new HttpClient(server.process.httpPort, bearer(token))
  const FORBIDDEN = { ok: false, error: 'This token may not do that', code: 'forbidden' }

  it('a token does what its scopes say', async () => {
    const reader = as('reader-00000000000000000003')
    expect((await reader.get('/stats')).status).toBe(200)
    for (const [method, path] of [
      ['POST', '/queues/mail.a/jobs'],
      ['GET', '/queues/mail.a/jobs'],
      ['POST', '/queues/mail.a/pause'],
      ['POST', '/server/shutdown'],
      ['POST', '/jobs/1/ack'],
    ] as const) {
      const answer = await reader.ask(method, path, { body: { data: 1 } })
      expect(answer.status, path).toBe(403)
      expect(answer.json, path).toEqual(FORBIDDEN)
    }
  })

  it('55 a token for some queues sees and does nothing in others', async () => {
    const all = as('all-of-it-0000000000000001')
    const mail = as('mail-only-0000000000000002')
    const own = (await mail.post('/queues/mail.a/jobs', { data: 'own' })).json.data as {
      id: number
    }
    const other = (await all.post('/queues/pay/jobs', { data: 'other' })).json.data as {
      id: number
    }
    expect((await mail.post('/queues/pay/jobs', { data: 1 })).json).toEqual(FORBIDDEN)
    expect((await mail.get('/queues/pay/jobs?timeout=0')).json).toEqual(FORBIDDEN)
    expect((await mail.get(`/jobs/${own.id}`)).json.data).toMatchObject({ data: 'own' })
    expect((await mail.get(`/jobs/${other.id}`)).json.data).toMatchObject({ state: 'unknown' })
    expect((await mail.get(`/jobs/${other.id}`)).text).not.toContain('other')
    expect((await mail.post(`/jobs/${other.id}/cancel`)).status).toBe(404)
    expect((await mail.get('/queues')).text).not.toContain('pay')
    expect((await mail.get('/jobs')).text).not.toContain('"other"')
    expect((await mail.get('/jobs')).text).toContain('"own"')
    const pulled = (await mail.get('/queues/mail.a/jobs')).json.data as { id: number }[]
    expect(pulled.map(({ id }) => id)).toEqual([own.id])
    const acked = await mail.post('/jobs/ack', { ids: [own.id, other.id], results: [1, 2] })
    expect(acked.json.data).toMatchObject({
      count: 1,
      errors: [{ index: 1, code: 'job_not_found' }],
    })
  })
})
