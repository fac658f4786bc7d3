// AUTH_FILE while the server runs: what is revoked, changed or over is gone within a second, also from connections that
// are open, wait or move; and a mistake in the file costs nobody anything.

import { chmodSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { queueOnWorker } from '../support/queue-names.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { ServerProcess, startServer } from '../support/server-process.ts'
import { clientOf, SharedServer } from '../support/shared-server.ts'
import type { WireClient } from '../support/wire-client.ts'

const INVALID = { ok: false, error: 'Invalid token', code: 'auth_invalid' }
const FORBIDDEN = { ok: false, error: 'This token may not do that', code: 'forbidden' }
/** What is promised, and a little for a busy machine. */
const GONE_MS = 1500
const everything = ['read', 'produce', 'consume', 'admin']

const folder = scratchFolder()
const path = join(folder, 'tokens.json')
let version = 0

function write(tokens: readonly object[] | string): void {
  const text = typeof tokens === 'string' ? tokens : JSON.stringify({ tokens })
  const next = `${path}.${++version}`
  writeFileSync(next, text, { mode: 0o600 })
  renameSync(next, path)
}

const entry = (token: string, fields: object = {}): object => ({
  name: `of ${token}`,
  token,
  scopes: everything,
  ...fields,
})

write([entry('canary-first')])
const server = new SharedServer({ AUTH_FILE: path, LOG_LEVEL: 'trace' })

async function clientWith(token: string): Promise<WireClient> {
  const client = await server.client()
  await client.ok({ cmd: 'AUTH', token })
  return client
}

/** Writes it, and waits until every worker has read it. A version that is not waited for may be read late, and be taken for the next. */
async function apply(tokens: readonly object[]): Promise<void> {
  const before = readLines()
  write(tokens)
  await eventually('it is read', 5000, () => readLines() >= before + 2)
}

function readLines(): number {
  return server.process.log.filter(({ msg }) => msg === 'AUTH_FILE was read again').length
}

/** Milliseconds until the server has ended that connection. */
async function endOf(client: WireClient): Promise<number> {
  const startMs = Date.now()
  await client.lines.ended
  return Date.now() - startMs
}

describe('a token of AUTH_FILE', () => {
  it('is known soon after it was written, and may do what stands there', async () => {
    await apply([
      entry('canary-first'),
      entry('canary-new', { scopes: ['produce'], queues: ['a*'] }),
    ])
    const client = await clientWith('canary-new')
    expect(await client.ask({ cmd: 'PUSH', queue: 'ab', data: 1 })).toMatchObject({ ok: true })
    expect(await client.ask({ cmd: 'PUSH', queue: 'b', data: 1 })).toEqual(FORBIDDEN)
    expect(await client.ask({ cmd: 'PULL', queue: 'ab' })).toEqual(FORBIDDEN)
  })

  it('that is revoked loses its connections within a second, those that wait too', async () => {
    await apply([entry('canary-first'), entry('canary-gone')])
    const idle = await clientWith('canary-gone')
    const waiting = await clientWith('canary-gone')
    const subscribed = await clientWith('canary-gone')
    const friend = await clientWith('canary-first')
    await subscribed.ok({ cmd: 'SUBSCRIBE', queue: 'gone', events: ['*'] })
    waiting.send({ cmd: 'PULL', queue: 'gone' })
    const ends = Promise.all([idle, waiting, subscribed].map(endOf))
    await apply([entry('canary-first')])
    for (const ms of await ends) expect(ms).toBeLessThan(GONE_MS)
    expect(await waiting.lines.rests()).toEqual([JSON.stringify(INVALID)])
    // The job is for whoever may have it.
    const id = await friend.push('gone', 1)
    expect((await friend.pull('gone')).id).toBe(id)
    expect(await subscribed.lines.rests()).toEqual([])
    expect(await (await server.client()).ask({ cmd: 'AUTH', token: 'canary-gone' })).toEqual(
      INVALID,
    )
  })

  it('that is over loses its connections', async () => {
    const ends = new Date(Date.now() + 3000).toISOString()
    await apply([entry('canary-first'), entry('canary-brief', { expires_at: ends })])
    const client = await clientWith('canary-brief')
    client.send({ cmd: 'PULLB', queue: 'brief', count: 1 })
    await client.lines.ended
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(ends))
    expect(Date.now()).toBeLessThan(Date.parse(ends) + GONE_MS)
    expect(await client.lines.rests()).toEqual([JSON.stringify(INVALID)])
    expect(await (await server.client()).ask({ cmd: 'AUTH', token: 'canary-brief' })).toEqual(
      INVALID,
    )
  })

  it('with other rights loses its connections; one that stays as it is keeps them', async () => {
    await apply([entry('canary-first'), entry('canary-less')])
    const less = await clientWith('canary-less')
    const first = await clientWith('canary-first')
    const end = endOf(less)
    await apply([entry('canary-less', { scopes: ['read'] }), entry('canary-first')])
    expect(await end).toBeLessThan(GONE_MS)
    expect(await first.ask({ cmd: 'STATS' })).toMatchObject({ ok: true })
    const again = await clientWith('canary-less')
    expect(await again.ask({ cmd: 'PUSH', queue: 'q', data: 1 })).toEqual(FORBIDDEN)
  })

  it('of two that one connection has shown ends it, whichever it is', async () => {
    const two = [entry('canary-one'), entry('canary-two')]
    await apply([entry('canary-first'), ...two])
    const client = await clientWith('canary-one')
    expect(await client.ask({ cmd: 'AUTH', token: 'canary-two' })).toEqual({ ok: true })
    const end = endOf(client)
    await apply([entry('canary-first'), entry('canary-two')])
    expect(await end).toBeLessThan(GONE_MS)
  })

  it('goes with its connection to another worker, as far as it reaches', async () => {
    const queues = ['moved*']
    await apply([entry('canary-first'), entry('canary-moves', { queues })])
    for (const worker of [0, 1]) {
      const queue = queueOnWorker(worker, 'moved')
      const clients = await Promise.all([1, 2, 3].map(() => clientWith('canary-moves')))
      for (const client of clients) {
        for (let i = 0; i < 100; i++) await client.push(queue, i)
        expect(await client.ask({ cmd: 'PUSH', queue: 'other', data: 1 })).toEqual(FORBIDDEN)
        expect(await client.ask({ cmd: 'STATS' })).toEqual(FORBIDDEN)
        const job = await client.pull(queue)
        expect(await client.ask({ cmd: 'ACK', id: job.id })).toEqual({ ok: true })
      }
      const ends = Promise.all(clients.map(endOf))
      await apply([entry('canary-first')])
      for (const ms of await ends) expect(ms).toBeLessThan(GONE_MS)
      await apply([entry('canary-first'), entry('canary-moves', { queues })])
    }
  })

  it('outlives a mistake in the file, which is logged without what stands there', async () => {
    write([entry('canary-first')])
    const client = await clientWith('canary-first')
    const broken = [
      '{"tokens":[\n{"name":"canary-broken",}]}',
      '{"tokens":[{"name":"x","token":"canary-broken","scope":["canary-broken"]}]}',
      'canary-broken',
    ]
    for (const text of broken) {
      const before = wrongLines().length
      write(text)
      // Both workers.
      await eventually('it is told', 5000, () => wrongLines().length >= before + 2)
      expect(await client.ask({ cmd: 'STATS' })).toMatchObject({ ok: true })
      await clientWith('canary-first')
    }
    expect(wrongLines().at(-1)).toMatchObject({
      level: 'error',
      path,
      errors: ['line 1 is not JSON'],
    })
    await apply([entry('canary-first'), entry('canary-repaired')])
  })

  it('is in no log', () => {
    const log = JSON.stringify(server.process.log) + server.process.errors
    expect(log).toContain('AUTH_FILE was read again')
    expect(log).not.toContain('canary')
  })
})

function wrongLines(): object[] {
  return server.process.log.filter(({ msg }) => msg.startsWith('AUTH_FILE is wrong'))
}

describe('a start', () => {
  it.each([
    ['is not there', null, 'AUTH_FILE cannot be read: ENOENT'],
    ['is no JSON', '{\n"tokens": canary }', 'line 2 is not JSON'],
    ['has no list', '{}', 'it must be an object with a list "tokens"'],
    [
      'has a mistake in an entry',
      JSON.stringify({ tokens: [entry('canary-a'), entry('canary-b', { queues: ['or ders'] })] }),
      'tokens[1] has "queues" that are none',
    ],
  ])('with a file that %s fails, and says why', async (_, text, why) => {
    const file = join(folder, 'start.json')
    if (text !== null) writeFileSync(file, text)
    const failed = new ServerProcess({ AUTH_FILE: text === null ? join(folder, 'no') : file })
    expect(await failed.exited).toEqual({ code: 1, signal: null })
    expect(failed.log.map(({ msg }) => msg).join()).toContain(why)
    expect(JSON.stringify(failed.log) + failed.errors).not.toContain('canary')
  })

  it('with a file that everybody can read says so', async () => {
    const file = join(folder, 'open.json')
    writeFileSync(file, JSON.stringify({ tokens: [entry('t')] }))
    chmodSync(file, 0o644)
    const open = await startServer({ AUTH_FILE: file, WORKERS: '1' })
    expect(open.find(`AUTH_FILE ${file} can be read by every user`)).toMatchObject({
      level: 'warn',
    })
  })

  it('with an empty list lets nobody in', async () => {
    const file = join(folder, 'empty.json')
    writeFileSync(file, '{"tokens":[]}', { mode: 0o600 })
    const client = await clientOf(await startServer({ AUTH_FILE: file, WORKERS: '1' }))
    expect(await client.ask({ cmd: 'AUTH', token: '' })).toEqual(INVALID)
    expect(await client.ask({ cmd: 'STATS' })).toMatchObject({ code: 'auth_required' })
  })
})
