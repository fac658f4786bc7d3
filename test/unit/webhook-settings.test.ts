import { describe, expect, it } from 'vitest'
import { readConfig } from '../../src/config.ts'

const machine = { parallelism: 1, memoryBytes: 1e9 }

function read(env: Record<string, string>): unknown {
  const result = readConfig(env, machine)
  return result.ok ? result.config : result.errors
}

describe('the settings of webhooks', () => {
  it('are lists, blanks around their items left out', () => {
    const env = {
      WEBHOOK_ALLOW: '10.0.0.0/8, 127.0.0.1,fd00::/8',
      WEBHOOK_PORTS: '8443, 9000',
      WEBHOOK_RETRIES_MS: '10,20',
      WEBHOOK_INCOMING_SECRET: `one, whsec_${Buffer.alloc(24).toString('base64')}`,
      WEBHOOK_DISABLE_HOURS: '2',
      WEBHOOK_PROXY: 'http://me:secret@proxy.local:3128',
    }
    expect(read(env)).toMatchObject({
      webhookAllow: [
        { address: '10.0.0.0', prefix: 8 },
        { address: '127.0.0.1', prefix: 32 },
        { address: 'fd00::', prefix: 8 },
      ],
      webhookPorts: [8443, 9000],
      webhookPausesMs: [10, 20],
      webhookIncomingSecrets: ['one', `whsec_${Buffer.alloc(24).toString('base64')}`],
      webhookDisableMs: 7_200_000,
      webhookProxy: 'http://me:secret@proxy.local:3128',
    })
  })

  it.each([
    ['WEBHOOK_ALLOW', '10.0.0.0/33'],
    ['WEBHOOK_ALLOW', '10.0.0/8'],
    ['WEBHOOK_ALLOW', 'fe80::1%eth0'],
    ['WEBHOOK_ALLOW', '1.2.3.4/8/9'],
    ['WEBHOOK_ALLOW', 'localhost'],
    ['WEBHOOK_ALLOW', '1.2.3.4,'],
    ['WEBHOOK_PORTS', '0'],
    ['WEBHOOK_PORTS', '65536'],
    ['WEBHOOK_RETRIES_MS', '0'],
    ['WEBHOOK_RETRIES_MS', Array(31).fill('1').join()],
    ['WEBHOOK_DISABLE_HOURS', '-1'],
    ['WEBHOOK_INCOMING_SECRET', 'whsec_short'],
    ['WEBHOOK_PROXY', 'proxy.local:3128'],
    ['WEBHOOK_PROXY', 'http://proxy.local/path'],
    ['WEBHOOK_PROXY', 'socks5://proxy.local'],
  ])('%s is not %s', (name, value) => {
    const errors = read({ [name]: value }) as string[]
    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatch(new RegExp(`^${name} `))
    if (name === 'WEBHOOK_INCOMING_SECRET') expect(errors[0]).not.toContain(value)
  })
})
