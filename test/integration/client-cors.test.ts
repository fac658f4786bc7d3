// The built entry for browsers under the rules of CORS, kept by `page-fetch.ts`; browser.test.ts has a real browser.

import { FlashQ, Worker } from 'flashq/http'
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest'
import { type PageFetch, pageFetch } from '../support/page-fetch.ts'
import { SharedServer } from '../support/shared-server.ts'

const ORIGIN = 'https://app.example'
const WRONG_TOKENS_MAX = 30
const server = new SharedServer({
  HTTP: '1',
  HTTP_PORT: '0',
  CORS_ORIGINS: ORIGIN,
  AUTH_TOKENS: 'secret',
})
let page: PageFetch

function visit(origin: string): void {
  page = pageFetch(origin)
  vi.stubGlobal('fetch', page.fetch)
  onTestFinished(() => void vi.unstubAllGlobals())
}

const site = () => ({ httpUrl: `http://127.0.0.1:${server.process.httpPort}`, token: 'secret' })

function clientOf(options = {}): FlashQ {
  const client = new FlashQ({ ...site(), ...options })
  onTestFinished(() => client.close())
  return client
}

beforeEach(() => visit(ORIGIN))

it('a page may do all that the client can: jobs, a worker, events, changes and removals', async () => {
  const client = clientOf()
  const events = client.events({ queues: ['page'], types: ['completed'] })
  await events.opened
  const worker = new Worker<number, number>('page', (job) => job.data + 1, site())
  onTestFinished(() => worker.stop({ timeoutMs: 0 }))
  await worker.start()
  const { id } = await client.push('page', 1)
  expect((await events.next()).value).toMatchObject({ event: 'completed', job_id: id, data: 2 })
  await events.return()
  const unknown = { code: 'webhook_not_found' }
  await expect(client.changeWebhook('wh_9', { enabled: false })).rejects.toMatchObject(unknown)
  await expect(client.deleteWebhook('wh_9')).rejects.toMatchObject(unknown)
  expect(await client.deleteQueue('page')).toBe(0)
  const methods = new Set(page.preflights.map((preflight) => preflight.split(' ')[0]))
  expect([...methods].sort()).toEqual(['DELETE', 'GET', 'PATCH', 'POST'])
  expect(page.preflights).toContain('GET /events/page')
})

it('a page of another origin may do nothing, and is told nothing', async () => {
  visit('https://evil.example')
  const unseen = { code: 'not_connected', message: expect.stringContaining('Failed to fetch') }
  await expect(clientOf().connect()).rejects.toMatchObject(unseen)
  await expect(clientOf().events().opened).rejects.toMatchObject(unseen)
})

it('a page sees the errors as they are, and how long it should wait', async () => {
  const stranger = clientOf({ token: 'wrong' })
  await expect(stranger.connect()).rejects.toMatchObject({ code: 'auth_invalid' })
  const { httpUrl } = site()
  const headers = { authorization: 'Bearer wrong' }
  let answer = await fetch(`${httpUrl}/stats`, { headers })
  for (let n = 0; answer.status !== 429 && n < WRONG_TOKENS_MAX; n++) {
    await answer.arrayBuffer()
    answer = await fetch(`${httpUrl}/stats`, { headers })
  }
  expect(await answer.json()).toMatchObject({ ok: false, code: 'auth_throttled' })
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
})
