// Whose events a token may hear, over HTTP and TCP, and what becomes of its stream when it is revoked.

import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { EventClient } from '../support/event-client.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { startServer } from '../support/server-process.ts'

const all = { name: 'all', token: 'token-of-all', scopes: ['read', 'produce'] }
const tenant = { name: 'tenant', token: 'token-of-tenant', scopes: ['read'], queues: ['mine.*'] }
const path = join(scratchFolder(), 'tokens.json')

function write(...tokens: object[]): void {
  writeFileSync(`${path}.new`, JSON.stringify({ tokens }), { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

it('a stream tells its token only what it may know, and ends with it', async () => {
  write(all, tenant)
  const server = await startServer({ HTTP: '1', HTTP_PORT: '0', AUTH_FILE: path })
  const open = (token: string | null, at = '/events'): Promise<EventClient> =>
    EventClient.open({
      port: server.httpPort,
      path: at,
      headers: token === null ? {} : { authorization: `Bearer ${token}` },
    })
  expect((await open(null)).status).toBe(401)
  expect((await open('wrong')).status).toBe(401)
  expect((await open(tenant.token, '/events/other')).status).toBe(403)
  expect((await open(tenant.token, '/events?queues=mine.a,other')).status).toBe(403)
  const mine = await open(tenant.token)
  const one = await open(tenant.token, '/events/mine.b')
  const everything = await open(all.token)
  const client = await server.client()
  client.send({ cmd: 'AUTH', token: all.token })
  await client.line()
  for (const queue of ['other', 'mine.a', 'mine', 'mine.b']) {
    client.send({ cmd: 'PUSH', queue, data: 1 })
    await client.line()
  }
  await everything.until('all are there', ({ jobs }) => jobs.length === 4)
  await mine.until('its two are there', ({ jobs }) => jobs.length === 2)
  await one.until('its one is there', ({ jobs }) => jobs.length === 1)
  expect(mine.events.map(({ data }) => data['queue']).sort()).toEqual(['mine.a', 'mine.b'])
  const line = await server.client()
  line.send({ cmd: 'AUTH', token: tenant.token }, { cmd: 'SUBSCRIBE', queue: '*', events: ['*'] })
  await line.line()
  expect(await line.object()).toMatchObject({ code: 'forbidden' })
  write(all)
  await mine.ended()
  await one.ended()
  expect(everything.isEnded).toBe(false)
})
