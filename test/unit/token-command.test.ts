import { describe, expect, it } from 'vitest'
import { answerToken } from '../../src/token-command.ts'
import { digestOf } from '../../src/transports/auth/token.ts'
import { readTokenFile } from '../../src/transports/auth/token-file.ts'

describe('flashq-server token', () => {
  it('prints a token, and an entry for AUTH_FILE that knows it without holding it', () => {
    const { text, exitCode } = answerToken([
      '--name',
      'shop',
      '--scopes',
      'produce, read',
      '--queues',
      'orders,mail.*',
      '--expires',
      '2027-01-31T00:00:00Z',
    ])
    expect(exitCode).toBe(0)
    const [token = ''] = text.match(/fq_[\w-]{8}_[\w-]{43}/) ?? []
    const [entry = ''] = text.match(/\{.*\}/) ?? []
    expect(entry).not.toContain(token)
    const read = readTokenFile(Buffer.from(`{"tokens":[${entry}]}`))
    expect(read).toEqual({
      ok: true,
      tokens: [
        {
          digest: digestOf(token),
          id: token.slice(3, 11),
          principal: {
            name: 'shop',
            scopes: new Set(['produce', 'read']),
            queues: ['orders', 'mail.*'],
          },
          expiresAtMs: Date.UTC(2027, 0, 31),
        },
      ],
    })
  })

  it('is for every queue and for good, and no admin, unless it is told so', () => {
    const { text } = answerToken(['--name', 'x'])
    expect(text).toContain('"scopes":["read","produce","consume"]}')
  })

  it.each([
    [[], 'the entry needs a "name"'],
    [['--name', 'x', '--scopes', 'all'], 'the entry needs "scopes"'],
    [['--name', 'x', '--queues', 'a b'], 'the entry has "queues" that are none'],
    [['--name', 'x', '--expires', 'soon'], 'the entry has an "expires_at" that is none'],
    [['--nam', 'x'], 'nam'],
    [['x'], 'x'],
  ])('refuses %j', (args, why) => {
    const { text, exitCode } = answerToken(args)
    expect(exitCode).toBe(2)
    expect(text).toContain(why)
    expect(text).toMatch(/^flashq-server token: .*Try --help\n$/)
  })
})
