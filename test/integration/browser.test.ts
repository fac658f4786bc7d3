// The client in a real browser, on a page of another origin than the server's: CORS as browsers have it.

import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, it, onTestFinished } from 'vitest'
import { findBrowser } from '../support/browser.ts'
import { startServer } from '../support/server-process.ts'
import { within } from '../support/wire-client.ts'

const PAGE_MS_MAX = 60_000
const PAGE = '<!doctype html><script type="module" src="/page.mjs"></script>'
const browser = findBrowser()

/** A site with the page, the client, and what the page must know; and what the page tells in the end. */
async function openSite(
  servers: () => object,
): Promise<{ origin: string; outcome: Promise<object> }> {
  let tell: (outcome: object) => void = () => {}
  const outcome = new Promise<object>((resolve) => {
    tell = resolve
  })
  const site = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://site')
    if (pathname === '/outcome') {
      tell(JSON.parse(await text(request)))
      response.end()
    } else if (pathname === '/servers') {
      response.end(JSON.stringify(servers()))
    } else if (pathname === '/') {
      response.setHeader('content-type', 'text/html').end(PAGE)
    } else {
      const folder = pathname.startsWith('/dist/') ? 'sdk/typescript' : 'test/support'
      const name = pathname === '/page.mjs' ? 'browser-page.mjs' : pathname
      const script = await readFile(join(folder, name)).catch(() => null)
      response.setHeader('content-type', 'text/javascript')
      response.writeHead(script === null ? 404 : 200).end(script)
    }
  })
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    site.closeAllConnections()
    site.close()
  })
  return { origin: `http://127.0.0.1:${(site.address() as AddressInfo).port}`, outcome }
}

it('a page pushes, works and listens at a server that allows its origin, and at no other', async ({
  skip,
}) => {
  if ('missing' in browser) return skip(`no browser here: ${browser.missing}`)
  let servers = {}
  const { origin, outcome } = await openSite(() => servers)
  const http = { HTTP: '1', HTTP_PORT: '0', AUTH_TOKENS: 'secret' }
  const [here, elsewhere] = await Promise.all([
    startServer({ ...http, CORS_ORIGINS: origin }),
    startServer({ ...http, CORS_ORIGINS: 'https://other.example' }),
  ])
  const at = ({ httpPort }: { httpPort: number }) => ({
    httpUrl: `http://127.0.0.1:${httpPort}`,
    token: 'secret',
  })
  servers = { here: at(here), elsewhere: at(elsewhere) }
  browser.open(`${origin}/`)
  expect(await within(PAGE_MS_MAX, 'the page tells', outcome)).toEqual({
    here: {
      heard: ['pushed', 'completed'],
      own: true,
      result: { twice: 42 },
      removed: true,
      refused: 'webhook_not_found',
    },
    elsewhere: 'not_connected',
  })
})
