// What strangers and liars send, each with its exact answer. The numbers are those of the catalogue of bad inputs:
// 47–55 authentication, 67 addresses, 99–100 connections.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { LineClient } from '../support/line-client.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { startServer } from '../support/server-process.ts'
import { clientOf, SharedServer } from '../support/shared-server.ts'
import { WireClient, within } from '../support/wire-client.ts'

const OK = { ok: true }
const INVALID = { ok: false, error: 'Invalid token', code: 'auth_invalid' }
const REQUIRED = { ok: false, error: 'Authentication required', code: 'auth_required' }
const FORBIDDEN = { ok: false, error: 'This token may not do that', code: 'forbidden' }
const THROTTLED = {
  ok: false,
  error: 'Too many failed attempts, try again later',
  code: 'auth_throttled',
}
const TOKEN = `fq_abcd1234_${'x'.repeat(43)}`
const STATS = { cmd: 'STATS' }

const folder = scratchFolder()
const authFile = join(folder, 'tokens.json')
const unix = join(folder, 'q.sock')
writeFileSync(
  authFile,
  JSON.stringify({
    tokens: [
      { name: 'full', token: TOKEN, scopes: ['read', 'produce', 'consume', 'admin'] },
      { name: 'reader', token: 'reader', scopes: ['read'], queues: ['mine'] },
      { name: 'over', token: 'over', scopes: ['read'], expires_at: '2001-01-01T00:00:00Z' },
    ],
  }),
  { mode: 0o600 },
)
// The peers of a Unix socket are not throttled, so many guesses can be made.
const server = new SharedServer({ AUTH_FILE: authFile, UNIX_SOCKET: unix, LOG_LEVEL: 'trace' })

function peer(): Promise<WireClient> {
  return WireClient.open({ path: unix })
}

const auth = (token: unknown) => ({ cmd: 'AUTH', token })
const refused = (error: string): object => ({ ok: false, error, code: 'invalid' })

describe('before AUTH', () => {
  it.each([
    [
      '47 an unknown command',
      '{"cmd":"OBLITERATE"}\n',
      refused('Invalid: unknown command "OBLITERATE"'),
    ],
    [
      '47 one in lower case',
      '{"cmd":"auth","token":"x"}\n',
      refused('Invalid: unknown command "auth"'),
    ],
    [
      '47 `constructor`',
      '{"cmd":"constructor"}\n',
      refused('Invalid: unknown command "constructor"'),
    ],
    ['48 no token', '{"cmd":"AUTH"}\n', refused('Invalid: missing field "token"')],
    [
      '48 null',
      '{"cmd":"AUTH","token":null}\n',
      refused('Invalid: field "token" must be a string'),
    ],
    [
      '48 a list',
      '{"cmd":"AUTH","token":["x"]}\n',
      refused('Invalid: field "token" must be a string'),
    ],
    ['48 an empty token', '{"cmd":"AUTH","token":""}\n', INVALID],
    ['48 `Bearer`', '{"cmd":"AUTH","token":"Bearer"}\n', INVALID],
    ['48 `Bearer  x`', '{"cmd":"AUTH","token":"Bearer  x"}\n', INVALID],
    ['48 the token behind `Bearer`', `{"cmd":"AUTH","token":"Bearer ${TOKEN}"}\n`, INVALID],
    ['48 non-ASCII', '{"cmd":"AUTH","token":"réàder"}\n', INVALID],
    ['48 NUL', '{"cmd":"AUTH","token":"reader\\u0000"}\n', INVALID],
    ['48 a lone surrogate', '{"cmd":"AUTH","token":"\\ud800"}\n', INVALID],
    [
      '49 the right id, a wrong secret',
      `{"cmd":"AUTH","token":"fq_abcd1234_${'y'.repeat(43)}"}\n`,
      INVALID,
    ],
    ['49 a prefix of it', `{"cmd":"AUTH","token":"${TOKEN.slice(0, -1)}"}\n`, INVALID],
    ['49 a character more', `{"cmd":"AUTH","token":"${TOKEN}x"}\n`, INVALID],
    ['49 the id alone', '{"cmd":"AUTH","token":"abcd1234"}\n', INVALID],
    ['49 an unknown id', `{"cmd":"AUTH","token":"fq_zzzz1234_${'x'.repeat(43)}"}\n`, INVALID],
    ['50 a token that is over', '{"cmd":"AUTH","token":"over"}\n', INVALID],
    ['51 a token in another command', `{"cmd":"STATS","token":"${TOKEN}"}\n`, REQUIRED],
    ['51 one in a key of HTTP', `{"cmd":"STATS","authorization":"Bearer ${TOKEN}"}\n`, REQUIRED],
    ['53 a command', '{"cmd":"PUSH","queue":"mine","data":1}\n', REQUIRED],
    [
      '67 a header of the PROXY protocol',
      'PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n',
      refused("Invalid: not a JSON object: unexpected 'P' at position 0"),
    ],
    ['67 a forged address', '{"cmd":"STATS","x-forwarded-for":"127.0.0.1"}\n', REQUIRED],
  ])('%s', async (_, line, answer) => {
    const client = await peer()
    client.send(line)
    expect(await client.answer()).toEqual(answer)
    // The connection goes on, and is as strange as before.
    expect(await client.ask(STATS)).toEqual(REQUIRED)
    expect(await client.ask(auth(TOKEN))).toEqual(OK)
    expect(await client.ask(STATS)).toMatchObject(OK)
  })

  it('48 a token of 1 MB is cut off, and after AUTH it is wrong', async () => {
    const stranger = await peer()
    stranger.send(auth('x'.repeat(1_000_000)))
    expect(await stranger.answer()).toEqual({
      ok: false,
      error: 'Frame too large (max 4096 bytes)',
      code: 'frame_too_large',
    })
    expect(await stranger.lines.rests()).toEqual([])
    const friend = await peer()
    await friend.ok(auth(TOKEN))
    expect(await friend.ask(auth('x'.repeat(1_000_000)))).toEqual(INVALID)
    expect(await friend.ask(STATS)).toMatchObject(OK)
  })

  it('52 AUTH twice: the last token that is right counts', async () => {
    const client = await peer()
    const push = { cmd: 'PUSH', queue: 'theirs', data: 1 }
    client.send(auth(TOKEN), push, auth('reader'), push, auth('wrong'), push, auth(TOKEN), push)
    const answers = await client.answers(8)
    const ok = expect.objectContaining(OK)
    expect(answers).toEqual([OK, ok, OK, FORBIDDEN, INVALID, FORBIDDEN, OK, ok])
  })

  it('53 commands piped with AUTH: those before it are refused, those behind it run', async () => {
    const client = await peer()
    const push = { cmd: 'PUSH', queue: 'piped-auth', data: 1 }
    client.send(push, auth('wrong'), push, auth(TOKEN), push)
    const answers = await client.answers(5)
    expect(answers.slice(0, 4)).toEqual([REQUIRED, INVALID, REQUIRED, OK])
    client.send({ cmd: 'PULLB', queue: 'piped-auth', count: 9, wait: 0 })
    expect((await client.answer()).jobs?.map(({ id }) => id)).toEqual([answers[4]?.id])
  })

  it('54 a guess is not answered sooner or later for being nearly right', async () => {
    const client = await peer()
    const near = auth(`${TOKEN.slice(0, -1)}y`)
    const far = auth(`fq_zzzz9999_${'q'.repeat(43)}`)
    const tookNs = { near: [] as number[], far: [] as number[] }
    for (let round = 0; round < 3000; round++) {
      for (const which of round % 2 === 0
        ? (['near', 'far'] as const)
        : (['far', 'near'] as const)) {
        const from = process.hrtime.bigint()
        expect(await client.ask(which === 'near' ? near : far)).toEqual(INVALID)
        tookNs[which].push(Number(process.hrtime.bigint() - from))
      }
    }
    expect(median(tookNs.near) / median(tookNs.far)).toBeGreaterThan(0.8)
    expect(median(tookNs.near) / median(tookNs.far)).toBeLessThan(1.25)
  })

  it('55 the job of others is as unknown as one that never was', async () => {
    const full = await peer()
    await full.ok(auth(TOKEN))
    const id = await full.push('theirs', 'their secret')
    const reader = await peer()
    await reader.ok(auth('reader'))
    expect(await reader.ask({ cmd: 'GETJOB', id })).toEqual({
      ok: true,
      job: null,
      state: 'unknown',
    })
    expect(await reader.ask({ cmd: 'GETSTATE', id })).toEqual({ ok: true, id, state: 'unknown' })
    expect(await reader.ask({ cmd: 'GETRESULT', id })).toEqual({ ok: true, id, result: null })
    expect(await reader.ask({ cmd: 'GETPROGRESS', id })).toEqual({
      ok: false,
      error: `Job ${id} not found`,
      code: 'job_not_found',
    })
    for (const cmd of ['ACK', 'FAIL', 'CANCEL']) {
      expect(await reader.ask({ cmd, id })).toEqual(FORBIDDEN)
    }
    const subscribe = { cmd: 'SUBSCRIBE', queue: 'theirs', events: ['*'] }
    expect(await reader.ask(subscribe)).toEqual(FORBIDDEN)
  })

  it('no token is in the log', () => {
    const log = JSON.stringify(server.process.log) + server.process.errors
    expect(log).toContain('ready')
    expect(log).not.toContain('xxxxx')
    expect(log).not.toContain('reader')
  })
})

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] as number
}

describe('guessing', () => {
  it('is logged with its address when it begins and when it is stopped', async () => {
    const guessed = await startServer({ AUTH_TOKENS: 'secret', WORKERS: '1', LOG_LEVEL: 'trace' })
    const client = await clientOf(guessed)
    for (let i = 0; i < 10; i++) expect(await client.ask(auth(`guess-${i}`))).toEqual(INVALID)
    expect(await client.ask(auth('guess-10'))).toEqual(THROTTLED)
    expect(await client.lines.rests()).toEqual([])
    const told = guessed.log.filter(({ msg }) => msg.includes('authenticate'))
    expect(told).toMatchObject([
      { level: 'warn', address: '127.0.0.1', msg: 'failed to authenticate' },
      { level: 'warn', address: '127.0.0.1', msg: 'too many failed attempts to authenticate' },
    ])
    expect(JSON.stringify(guessed.log)).not.toContain('guess-')
  })
})

describe('connections', () => {
  it('99 beyond the most are told so and closed, and the others are served on', async () => {
    const small = await startServer({ CONNECTIONS_MAX: '5', WORKERS: '1' })
    const served = await Promise.all([1, 2, 3, 4, 5].map(() => clientOf(small)))
    for (const client of served) await client.ok(STATS)
    for (let i = 0; i < 200; i++) {
      const line = await LineClient.open({ host: '127.0.0.1', port: small.port })
      expect(await line.rests()).toEqual([
        '{"ok":false,"error":"Limit exceeded: connections (max 5)","code":"limit_exceeded"}',
      ])
      line.destroy()
    }
    for (const client of served) expect(await client.ask(STATS)).toMatchObject(OK)
    served[0]?.destroy()
    await eventually('there is room again', 5000, async () => {
      const client = await clientOf(small)
      return (await client.ask(STATS)).ok
    })
  })

  it('100 that never authenticate are told so and closed', async () => {
    const brief = await startServer({ AUTH_TOKENS: 'secret', AUTH_TIMEOUT_MS: '300', WORKERS: '1' })
    const silent = await clientOf(brief)
    const talking = await clientOf(brief)
    const friend = await clientOf(brief)
    await friend.ok(auth('secret'))
    expect(await talking.ask(STATS)).toEqual(REQUIRED)
    for (const client of [silent, talking]) {
      expect(await within(5000, 'it is closed', client.lines.rests())).toEqual([
        JSON.stringify(REQUIRED),
      ])
    }
    expect(await friend.ask(STATS)).toMatchObject(OK)
  })

  it('100 of one address that have not authenticated are so many at most', async () => {
    const strict = await startServer({
      AUTH_TOKENS: 'secret',
      UNAUTHENTICATED_MAX: '3',
      WORKERS: '1',
      UNIX_SOCKET: join(folder, 'strict.sock'),
    })
    const strangers = await Promise.all([1, 2, 3].map(() => clientOf(strict)))
    for (const stranger of strangers) expect(await stranger.ask(STATS)).toEqual(REQUIRED)
    const fourth = await clientOf(strict)
    expect(await fourth.lines.rests()).toEqual([
      '{"ok":false,"error":"Limit exceeded: connections of an address before AUTH (max 3)","code":"limit_exceeded"}',
    ])
    // One that is known makes room, as one that goes does.
    expect(await strangers[0]?.ask(auth('secret'))).toEqual(OK)
    const fifth = await clientOf(strict)
    expect(await fifth.ask(auth('secret'))).toEqual(OK)
    strangers[1]?.destroy()
    for (let i = 0; i < 20; i++) {
      const client = await clientOf(strict)
      expect(await client.ask(auth('secret'))).toEqual(OK)
    }
  })
})
