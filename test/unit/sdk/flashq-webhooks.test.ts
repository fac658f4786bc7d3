import { afterEach, beforeEach, expect, it } from 'vitest'
import { FlashQ } from '../../../sdk/typescript/src/index.ts'
import { FakeServer, refusal } from './fake-server.ts'

let server: FakeServer
let client: FlashQ

beforeEach(async () => {
  server = await new FakeServer().start()
  client = new FlashQ(server.options)
})

afterEach(async () => {
  await client.close()
  await server.stop()
})

it('a webhook is added, changed, listed and removed as the protocol says', async () => {
  const shown = { id: 'wh_7', url: 'https://a.example/', secret: '***', enabled: true }
  server.script = ({ cmd }) => {
    if (cmd === 'WEBHOOK') return { id: 'wh_7' }
    if (cmd === 'WEBHOOKLIST') return { webhooks: [shown] }
    if (cmd === 'WEBHOOKPING') return { id: 'msg_1' }
    return cmd === 'WEBHOOKLOG' ? { deliveries: [{ id: 'msg_1', ok: true }] } : {}
  }
  const webhook = { url: 'https://a.example/', events: ['job.completed', '*'] as const, queue: 'q' }
  expect(await client.addWebhook({ ...webhook, secret: 'ü"' })).toBe('wh_7')
  expect(await client.changeWebhook('wh_7', { enabled: false, reason: 'moving' })).toBe('wh_7')
  expect(await client.listWebhooks()).toEqual([shown])
  expect(await client.pingWebhook('wh_7')).toBe('msg_1')
  expect(await client.webhookAttempts('wh_7')).toEqual([{ id: 'msg_1', ok: true }])
  expect(await client.deleteWebhook('wh_7')).toBe(true)
  const [added, changed] = await server.received('WEBHOOK', 2)
  expect(added).toMatchObject({ ...webhook, secret: 'ü"' })
  expect(added).not.toHaveProperty('id')
  expect(changed).toMatchObject({ id: 'wh_7', enabled: false, reason: 'moving' })
  expect(await server.received('WEBHOOKPING')).toMatchObject([{ id: 'wh_7' }])
  expect(await server.received('WEBHOOKDELETE')).toMatchObject([{ id: 'wh_7' }])
})

it('a webhook that is refused says why', async () => {
  server.script = () => refusal('webhook_invalid', 'Invalid webhook: its URL is not https')
  await expect(client.addWebhook({ url: 'ftp://a', events: ['*'] })).rejects.toMatchObject({
    code: 'webhook_invalid',
    message: 'Invalid webhook: its URL is not https',
  })
})
