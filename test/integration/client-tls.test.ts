// The client and the command line over TLS: flashqs:// with an authority and a certificate of one's own, and https://.

import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ClientOptions, FlashQ, Worker } from 'flashq'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Authority } from '../support/certificates.ts'
import { Command } from '../support/cli-command.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { SharedServer } from '../support/shared-server.ts'
import { within } from '../support/wire-client.ts'

const ROUND = fileURLToPath(new URL('../support/http-round.mjs', import.meta.url))
const ROUND_MS_MAX = 30_000
const folder = scratchFolder()
const authority = new Authority()
const clients = new Authority('of clients')
const ca = file('ca.pem', authority.cert)
const { cert, key } = authority.issue('server')
const own = clients.issue('client')
const mine = { cert: file('client.crt', own.cert), key: file('client.key', own.key) }

const settings = {
  TLS_CERT: file('server.crt', cert),
  TLS_KEY: file('server.key', key),
  AUTH_TOKENS: 'secret',
  HTTP: '1',
  HTTP_PORT: '0',
}
const server = new SharedServer(settings)
const demanding = new SharedServer({ ...settings, TLS_CA: file('clients.pem', clients.cert) })

const lineUrl = ({ process }: SharedServer): string => `flashqs://:secret@localhost:${process.port}`
const webUrl = (): string => `https://localhost:${server.process.httpPort}`

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text, { mode: 0o600 })
  return path
}

function clientOf(options: ClientOptions): FlashQ {
  const client = new FlashQ(options)
  onTestFinished(() => client.close())
  return client
}

describe('flashqs://', () => {
  it('carries commands, a worker and events', async () => {
    const options = { url: lineUrl(server), tls: { ca: authority.cert } }
    const client = clientOf(options)
    const events = client.events({ queues: ['tls'], types: ['completed'] })
    await events.opened
    const worker = new Worker<number, number>('tls', (job) => job.data + 1, options)
    onTestFinished(() => worker.stop({ timeoutMs: 0 }))
    await worker.start()
    const { id } = await client.push('tls', 1)
    expect((await events.next()).value).toMatchObject({ event: 'completed', job_id: id, data: 2 })
    await events.return()
  })

  it('shows a certificate of its own where the server wants to see one', async () => {
    const client = clientOf({ url: lineUrl(demanding), tls: { ca: authority.cert, ...own } })
    const { id } = await client.push('shown', 1)
    expect(await client.getState(id)).toBe('waiting')
  })

  it('is not spoken by a client that does not know the authority', async () => {
    await expect(clientOf({ url: lineUrl(server) }).connect()).rejects.toMatchObject({
      code: 'not_connected',
      message: expect.stringContaining('certificate'),
    })
  })
})

describe('the command line', () => {
  it('speaks flashqs:// with an authority from a flag or from the environment', async () => {
    const url = lineUrl(server)
    const flag = await new Command(url, ['stats', '--ca', ca, '--json']).ended
    expect(flag).toMatchObject({ code: 0, err: '', out: expect.stringContaining('"queued"') })
    const variable = await new Command(url, ['stats'], { env: { FLASHQ_CA: ca } }).ended
    expect(variable).toMatchObject({ code: 0, err: '' })
  })

  it('believes nobody else, and says why', async () => {
    const stranger = file('stranger.pem', new Authority().cert)
    for (const args of [['stats'], ['stats', '--ca', stranger]]) {
      const { code, out, err } = await new Command(lineUrl(server), args).ended
      expect({ code, out }).toEqual({ code: 3, out: '' })
      expect(err).toMatch(/certificate.* \(not_connected\)\n$/)
    }
  })

  it('shows its own certificate, and cannot do without where it is wanted', async () => {
    const url = lineUrl(demanding)
    const shows = ['--ca', ca, '--cert', mine.cert, '--key', mine.key]
    expect(await new Command(url, ['stats', ...shows]).ended).toMatchObject({ code: 0, err: '' })
    const env = { FLASHQ_CA: ca, FLASHQ_CERT: mine.cert, FLASHQ_KEY: mine.key }
    expect(await new Command(url, ['stats'], { env }).ended).toMatchObject({ code: 0, err: '' })
    const hides = new Command(url, ['stats', '--ca', ca, '--timeout', '1s'])
    expect(await hides.ended).toMatchObject({ code: 3, out: '' })
  })

  it.each([
    ['a file that is not there', ['--ca', join(folder, 'none')], /--ca \(FLASHQ_CA\): .*ENOENT/],
    ['a certificate without its key', ['--cert', mine.cert], /--cert and --key/],
    ['an authority that is of no use', ['--ca', ca, '-u', 'https://h'], /NODE_EXTRA_CA_CERTS/],
  ])('refuses %s', async (_, args, words) => {
    const end = await new Command(lineUrl(server), ['stats', ...args]).ended
    expect(end).toMatchObject({ code: 2, out: '', err: expect.stringMatching(words) })
  })

  it('speaks https:// when Node knows the authority', async () => {
    const env = { FLASHQ_TOKEN: 'secret', NODE_EXTRA_CA_CERTS: ca }
    expect(await new Command(webUrl(), ['workers', '--json'], { env }).ended).toMatchObject({
      code: 0,
      err: '',
    })
    const stranger = await new Command(webUrl(), ['stats'], { env: { FLASHQ_TOKEN: 'secret' } })
      .ended
    expect(stranger).toMatchObject({ code: 3, err: expect.stringContaining('certificate') })
  })
})

describe('https://', () => {
  it('carries a whole round of the client: pushes, a worker, events', async () => {
    const child = spawn(process.execPath, [ROUND, webUrl(), 'round', 'secret'], {
      env: { PATH: process.env['PATH'], NODE_EXTRA_CA_CERTS: ca },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    let out = ''
    child.stdout.on('data', (text) => {
      out += text
    })
    const ended = new Promise((resolve) => child.on('close', resolve))
    expect(await within(ROUND_MS_MAX, 'the round', ended)).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ worked: 49, heard: 50, states: ['completed'] })
  })

  it('is not spoken by a client that does not know the authority', async () => {
    await expect(clientOf({ url: webUrl(), token: 'secret' }).connect()).rejects.toMatchObject({
      code: 'not_connected',
      message: expect.stringContaining('certificate'),
    })
  })
})
