// AUTH_TOKENS: who may use the server, how guessing is slowed down, and that a token is never shown.

import { describe, expect, it } from 'vitest'
import { startServer } from '../support/server-process.ts'
import { clientOf, SharedServer } from '../support/shared-server.ts'

const REQUIRED = { ok: false, error: 'Authentication required', code: 'auth_required' }
const WRONG = { ok: false, error: 'Invalid token', code: 'auth_invalid' }
const auth = (token: unknown) => ({ cmd: 'AUTH', token })

describe('with AUTH_TOKENS', () => {
  const server = new SharedServer({ AUTH_TOKENS: ' canary-a , b é,,"', LOG_LEVEL: 'trace' })

  it('every command before AUTH is refused, and the connection goes on', async () => {
    const client = await server.client()
    for (const frame of [
      { cmd: 'PUSH', queue: 'q', data: 1 },
      { cmd: 'PULL', queue: 'q' },
      { cmd: 'STATS', reqId: 7 },
      { cmd: 'SUBSCRIBE', queue: 'q', events: ['*'] },
      { cmd: 'UNSUBSCRIBE', queue: 'q' },
      { cmd: 'METRICS' },
    ]) {
      expect(await client.ask(frame), frame.cmd).toMatchObject(REQUIRED)
    }
    expect(await client.ask(auth('canary-a'))).toEqual({ ok: true })
    expect(await client.push('q', 1)).toBeGreaterThan(0)
  })

  it('a line that is no command is refused as such, AUTH or not', async () => {
    const client = await server.client()
    for (const line of [
      '\n',
      'GET / HTTP/1.1\n',
      '{"cmd":"PUSH"}\n',
      '{"cmd":"AUTH","token":5}\n',
    ]) {
      expect(await client.ask(line)).toMatchObject({ ok: false, code: 'invalid' })
    }
    expect(await client.ask({ cmd: 'STATS' })).toEqual(REQUIRED)
  })

  it('each token of the list is good, without the blanks around it', async () => {
    for (const token of ['canary-a', 'b é', '"']) {
      const client = await server.client()
      expect(await client.ask(auth(token))).toEqual({ ok: true })
      expect(await client.ask({ cmd: 'STATS' })).toMatchObject({ ok: true })
    }
  })

  it('a connection that is in stays in, whatever it tries afterwards', async () => {
    const client = await server.client()
    await client.ok(auth('canary-a'))
    expect(await client.ask(auth('wrong'))).toEqual(WRONG)
    expect(await client.ask({ cmd: 'STATS' })).toMatchObject({ ok: true })
    const next = await server.client()
    expect(await next.ask({ cmd: 'STATS' })).toEqual(REQUIRED)
  })

  it('commands piped behind AUTH run, those before it do not', async () => {
    const client = await server.client()
    const push = { cmd: 'PUSH', queue: 'piped', data: 1 }
    client.send(push, auth('canary-a'), push, { cmd: 'PULLB', queue: 'piped', count: 5 })
    const [before, authed, pushed, pulled] = await client.answers(4)
    expect(before).toEqual(REQUIRED)
    expect(authed).toEqual({ ok: true })
    expect(pulled?.jobs?.map(({ id }) => id)).toEqual([pushed?.id])
  })

  it('a line before AUTH may have 4 KiB, one after it as much as any', async () => {
    const client = await server.client()
    const large = { cmd: 'PUSH', queue: 'large', data: 'x'.repeat(5000) }
    client.send(auth('canary-a'), large)
    expect(await client.answers(2)).toMatchObject([{ ok: true }, { ok: true }])
    const stranger = await server.client()
    expect(await stranger.ask(large)).toMatchObject({ ok: false, code: 'frame_too_large' })
    expect(await stranger.lines.rests()).toEqual([])
  })

  it('no token, given or guessed, is in the log', async () => {
    const client = await server.client()
    await client.ask(auth('canary-guess'))
    await client.ask('{"cmd":"AUTH","token":"canary-broken}\n')
    const log = JSON.stringify(server.process.log) + server.process.errors
    expect(log).toContain('ready')
    expect(log).not.toContain('canary')
  })
})

describe('guessing', () => {
  it('is refused after 10 failures of an address, though the 11th guess be right', async () => {
    const server = await startServer({ AUTH_TOKENS: 'secret', WORKERS: '1' })
    const inside = await clientOf(server)
    await inside.ok(auth('secret'))
    const wrong = ['', 'secre', 'secrett', ' secret', 'SECRET', '\0', 'é', 'a', 'b', 'c']
    const guesser = await clientOf(server)
    for (const token of wrong) expect(await guesser.ask(auth(token))).toEqual(WRONG)
    for (const client of [guesser, await clientOf(server)]) {
      client.send(auth('secret'), { cmd: 'STATS' })
      expect(await client.answer()).toEqual({
        ok: false,
        error: 'Too many failed attempts, try again later',
        code: 'auth_throttled',
      })
      expect(await client.lines.rests()).toEqual([])
    }
    expect(await inside.ask({ cmd: 'STATS' })).toMatchObject({ ok: true })
  })
})

describe('without AUTH_TOKENS', () => {
  const server = new SharedServer({ WORKERS: '1' })

  it('every token is accepted, the empty one too', async () => {
    const client = await server.client()
    for (const token of ['', 'anything'])
      expect(await client.ask(auth(token))).toEqual({ ok: true })
    expect(await client.ask({ cmd: 'STATS' })).toMatchObject({ ok: true })
  })
})
