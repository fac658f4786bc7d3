// Webhooks at every door: the same commands have the same outcomes, and what is secret is shown at none.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { answerOf, done, doorNames, refused } from '../support/doors/door-client.ts'
import { openDoor, openDoors } from '../support/doors/open-doors.ts'
import { eventually } from '../support/eventually.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { startServer } from '../support/server-process.ts'
import { SharedServer } from '../support/shared-server.ts'
import { WebhookReceiver } from '../support/webhook-receiver.ts'

const WITHIN_MS = 15_000
const CANARY = 'whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5'
const MS = expect.any(Number)

const authFile = join(scratchFolder(), 'tokens.json')
writeFileSync(
  authFile,
  JSON.stringify({
    tokens: [
      { name: 'consumer', token: 'no-admin', scopes: ['read', 'produce', 'consume'] },
      { name: 'some', token: 'of-some', scopes: ['admin'], queues: ['own'] },
    ],
  }),
  { mode: 0o600 },
)
const settings = openDoors()
const guarded = new SharedServer({ ...settings, WORKERS: '1', AUTH_FILE: authFile })

describe.each(doorNames)('over %s', (name) => {
  it('a webhook is added, listed, changed, tried and removed', async () => {
    const receiver = await WebhookReceiver.open()
    const own = openDoors()
    const server = await startServer({ ...own, ...receiver.settings, WORKERS: '1' })
    const door = await openDoor(name, server, own.UNIX_SOCKET)
    const { url } = receiver
    const list = async (): Promise<unknown> =>
      (await answerOf(door, { cmd: 'WEBHOOKLIST' }))['webhooks']
    expect(await list()).toEqual([])

    const terms = { url, events: ['job.completed', 'failed'], queue: 'mail' }
    const hidden = { secret: CANARY, headers: { 'x-key': CANARY, 'x-other': '' } }
    const id = 'wh_1'
    expect(await door.run({ cmd: 'WEBHOOK', ...terms, ...hidden })).toEqual(done({ id }))
    const masked = { secret: '***', headers: { 'x-key': '***', 'x-other': '***' } }
    const shown = { id, ...terms, ...masked, created_at: MS, enabled: true, reason: null }
    expect(await list()).toEqual([shown])

    const off = { enabled: false, reason: 'moving "house"' }
    expect(await door.run({ cmd: 'WEBHOOK', id, ...off })).toEqual(done({ id }))
    expect(await list()).toEqual([{ ...shown, ...off }])
    expect(await door.run({ cmd: 'WEBHOOKPING', id })).toEqual(refused('webhook_invalid'))
    const on = { enabled: true, queue: null, secret: null, headers: {}, events: ['*'] }
    expect(await door.run({ cmd: 'WEBHOOK', id, ...on })).toEqual(done({ id }))
    expect(await list()).toEqual([{ ...shown, ...on, reason: null }])

    const { id: delivery } = await answerOf(door, { cmd: 'WEBHOOKPING', id })
    const tried = async (): Promise<unknown[]> =>
      (await answerOf(door, { cmd: 'WEBHOOKLOG', id }))['deliveries'] as unknown[]
    await eventually('it is delivered', WITHIN_MS, async () => (await tried()).length > 0)
    expect(await tried()).toEqual([
      {
        ...{ id: delivery, event: 'ping', attempt: 1, at: MS, ok: true, status: 200 },
        ...{ error: null, took_ms: MS, next_at: null },
      },
    ])

    expect(await door.run({ cmd: 'WEBHOOKDELETE', id })).toEqual(done())
    expect(await door.run({ cmd: 'WEBHOOKDELETE', id })).toEqual(refused('webhook_not_found'))
    expect(await door.run({ cmd: 'WEBHOOK', id, enabled: true })).toEqual(
      refused('webhook_not_found'),
    )
    expect(await list()).toEqual([])
    expect(JSON.stringify(server.log)).not.toContain(CANARY)
  })

  it('whoever may not is refused', async () => {
    const door = await openDoor(name, guarded.process, settings.UNIX_SOCKET, 'of-some')
    const all = await openDoor(name, guarded.process, settings.UNIX_SOCKET, 'no-admin')
    const good = { url: 'https://example.org/', events: ['*'] }
    for (const each of [door, all]) {
      expect(await each.run({ cmd: 'WEBHOOKLIST' })).toEqual(refused('forbidden'))
      expect(await each.run({ cmd: 'WEBHOOK', ...good })).toEqual(refused('forbidden'))
      for (const cmd of ['WEBHOOKPING', 'WEBHOOKLOG', 'WEBHOOKDELETE'] as const) {
        expect(await each.run({ cmd, id: 'wh_1' }), cmd).toEqual(refused('forbidden'))
      }
    }
  })
})
