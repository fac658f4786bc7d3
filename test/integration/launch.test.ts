// From the command line to the exit code: arguments, settings, where it listens, what it prints, how it stops.

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { settings } from '../../src/config.ts'
import { eventually } from '../support/eventually.ts'
import { ServerProcess, startServer } from '../support/server-process.ts'
import { clientOf } from '../support/shared-server.ts'
import { WireClient, within } from '../support/wire-client.ts'

const MAIN =
  process.env['FLASHQ_MAIN'] ?? fileURLToPath(new URL('../../dist/main.js', import.meta.url))
const NAMES = Object.values(settings).map(({ name }) => name)

interface Run {
  readonly code: number | null
  readonly out: string
  readonly errors: string
}

/** A start that is to end by itself. */
async function run(args: readonly string[], env: Record<string, string> = {}): Promise<Run> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env['PATH'], HOST: '127.0.0.1', PORT: '0', WORKERS: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let errors = ''
  child.stdout.on('data', (text) => {
    out += text
  })
  child.stderr.on('data', (text) => {
    errors += text
  })
  const ended = new Promise<number | null>((resolve) => {
    child.on('close', resolve)
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return { code: await within(20_000, 'it ends by itself', ended), out, errors }
}

function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'flashq-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

describe('a start', () => {
  it('prints where it listens and what to try next to stderr, and JSON lines to stdout', async () => {
    const server = await startServer()
    const ready = await server.logged('ready')
    expect(ready).toMatchObject({ level: 'info', host: '127.0.0.1', workers: 2 })
    // The two streams come in no order.
    await eventually('the banner', 5000, () => server.errors.includes('Ctrl-C stops it.'))
    expect(server.errors).toContain(`TCP          127.0.0.1:${server.port}`)
    expect(server.errors).toContain('2 workers, jobs in memory, no tokens needed')
  })

  it('with --help or -h lists every setting and exits 0', async () => {
    for (const argument of ['--help', '-h']) {
      const { code, out, errors } = await run([argument])
      expect({ code, errors }).toEqual({ code: 0, errors: '' })
      for (const name of NAMES) expect(out).toContain(`\n${name}\n`)
    }
  })

  it('with --version says its version and exits 0', async () => {
    expect(await run(['--version'])).toEqual({
      code: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      errors: '',
    })
  })

  it('with an argument that it does not know exits 2', async () => {
    const { code, errors } = await run(['--prot', '5'])
    expect(code).toBe(2)
    expect(errors).toContain('--prot 5')
  })

  it('with values that are not allowed exits 2 and names all of them at once', async () => {
    const bad = {
      PORT: '70000',
      WORKERS: '0',
      AUTH_TOKENS: ',,',
      LOG_LEVEL: 'loud',
      UNIX_SOCKET: 'yes',
      MEMORY_MAX_MB: '1.5',
      DRAIN_TIMEOUT_MS: '-1',
    }
    const { code, out, errors } = await run([], bad)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(errors.trimEnd().split('\n')).toHaveLength(Object.keys(bad).length)
    for (const name of Object.keys(bad)) expect(errors).toContain(`flashq-server: ${name} `)
  })

  it('on a port that is taken exits 1 and says which, whoever has it', async () => {
    const stranger = createServer()
    await new Promise<void>((resolve) => {
      stranger.listen(0, '127.0.0.1', resolve)
    })
    onTestFinished(() => void stranger.close())
    const { port } = stranger.address() as { port: number }
    for (const workers of ['1', '3']) {
      const { code, out } = await run([], { PORT: `${port}`, WORKERS: workers })
      expect(code).toBe(1)
      expect(out).toContain(`cannot listen on 127.0.0.1:${port}`)
      expect(out).toContain('in use (EADDRINUSE)')
    }
  })

  it('on an address that is not of this machine exits 1 and says so', async () => {
    const { code, out } = await run([], { HOST: '192.0.2.1' })
    expect(code).toBe(1)
    expect(out).toContain('cannot listen on 192.0.2.1')
  })
})

describe('a Unix socket', () => {
  it('serves besides TCP, by the same protocol, and is gone after the stop', async () => {
    const path = join(tempFolder(), 'q.sock')
    const server = await startServer({ UNIX_SOCKET: path })
    const unix = await WireClient.open({ path })
    const tcp = await clientOf(server)
    const id = await unix.push('both', { via: 'unix' })
    expect(await tcp.pull('both')).toMatchObject({ id, data: { via: 'unix' } })
    expect(await unix.ask({ cmd: 'ACK', id, result: 1 })).toEqual({ ok: true })
    expect(await tcp.ok({ cmd: 'GETRESULT', id })).toMatchObject({ result: 1 })
    expect(server.errors).toContain(path)
    for (const client of [unix, tcp]) client.destroy()
    expect(await server.stop()).toEqual({ code: 0, signal: null })
    expect(existsSync(path)).toBe(false)
  })

  it('that a killed server has left behind is replaced', async () => {
    const path = join(tempFolder(), 'q.sock')
    const killed = await startServer({ UNIX_SOCKET: path })
    killed.signal('SIGKILL')
    await killed.exited
    expect(existsSync(path)).toBe(true)
    await startServer({ UNIX_SOCKET: path })
    const unix = await WireClient.open({ path })
    expect(await unix.push('again', 1)).toBeGreaterThan(0)
  })

  it('of a server that runs is not taken over, nor is a file that is no socket', async () => {
    const path = join(tempFolder(), 'q.sock')
    await startServer({ UNIX_SOCKET: path })
    const taken = await run([], { UNIX_SOCKET: path })
    expect(taken.code).toBe(1)
    expect(taken.out).toContain(`cannot listen on ${path}`)
    expect(await (await WireClient.open({ path })).push('q', 1)).toBeGreaterThan(0)
    const file = join(tempFolder(), 'precious')
    writeFileSync(file, 'text')
    const refused = await run([], { UNIX_SOCKET: file })
    expect(refused.code).toBe(1)
    expect(existsSync(file)).toBe(true)
  })
})

describe('a stop', () => {
  it('by Ctrl-C, which a terminal and npm both pass on, is a clean one', async () => {
    const server = await startServer()
    const waiting = await clientOf(server)
    waiting.send({ cmd: 'PULL', queue: 'q' }, { cmd: 'PUSH', queue: 'other', data: 1 })
    const watcher = await clientOf(server)
    expect((await watcher.pull('other')).data).toBe(1)
    // To all processes of the group, as a terminal does it, and once more to the one that npm knows.
    for (const pid of server.workerPids()) process.kill(pid, 'SIGINT')
    server.signal('SIGINT')
    await server.logged('draining')
    server.signal('SIGINT')
    expect(await waiting.answers(2)).toMatchObject([{ ok: false, code: 'draining' }, { ok: true }])
    for (const client of [waiting, watcher]) client.lines.socket.end()
    expect(await within(20_000, 'it exits', server.exited)).toEqual({ code: 0, signal: null })
  })

  it('while it starts ends it, and leaves no worker behind', async () => {
    const server = new ServerProcess({})
    onTestFinished(() => server.signal('SIGKILL'))
    await server.logged('worker started')
    server.signal('SIGTERM')
    const { signal } = await within(20_000, 'it exits', server.exited)
    expect(signal).toBeNull()
  })
})
