// TLS_CERT, TLS_KEY and TLS_CA: every port is encrypted, certificates are replaced while clients go on, and whoever
// does not speak it right is turned away without harm to others.

import { renameSync, writeFileSync } from 'node:fs'
import { get } from 'node:https'
import { connect as connectPlain } from 'node:net'
import { join } from 'node:path'
import { FlashQ } from 'flashq'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Authority, type Issued } from '../support/certificates.ts'
import { eventually } from '../support/eventually.ts'
import { queueOnWorker } from '../support/queue-names.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { ServerProcess, startServer } from '../support/server-process.ts'
import { SharedServer } from '../support/shared-server.ts'
import { handshake, shownBy, tlsClient } from '../support/tls-client.ts'
import { WireClient, within } from '../support/wire-client.ts'

const STATS = { cmd: 'STATS' }
/** How HTTP/2 begins, with an empty frame of settings. */
const PREFACE = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
])
const authority = new Authority()
const { cert: ca } = authority
const folder = scratchFolder()
const unix = join(folder, 'q.sock')

/** The files of a server, replaced as a whole each by `put`. */
class Files {
  readonly cert: string
  readonly key: string
  readonly settings: Record<string, string>

  constructor(name: string, issued: Issued) {
    this.cert = join(folder, `${name}.crt`)
    this.key = join(folder, `${name}.key`)
    this.settings = { TLS_CERT: this.cert, TLS_KEY: this.key }
    put(this.cert, issued.cert)
    put(this.key, issued.key)
  }
}

function put(path: string, text: string): string {
  writeFileSync(`${path}.next`, text, { mode: 0o600 })
  renameSync(`${path}.next`, path)
  return path
}

const files = new Files('shared', authority.issue('shared'))
const server = new SharedServer({
  ...files.settings,
  AUTH_TOKENS: 'secret',
  UNIX_SOCKET: unix,
  AUTH_TIMEOUT_MS: '2000',
})

async function authed(options = {}): Promise<WireClient> {
  const client = await tlsClient(server.process.port, { ca, ...options })
  await client.ok({ cmd: 'AUTH', token: 'secret' })
  return client
}

describe('a client over TLS', () => {
  it('is served like any other: pipelined, large, waiting, half closed', async () => {
    const client = await authed()
    const data = 'x'.repeat(100_000)
    const frames = Array.from({ length: 20 }, (_, no) => ({
      cmd: 'PUSH',
      queue: 'tls-large',
      data: `${no}${data}`,
    }))
    client.send(...frames, { cmd: 'PULLB', queue: 'tls-large', count: 20 })
    const answers = await client.answers(21)
    expect(answers.slice(0, 20).every(({ ok }) => ok)).toBe(true)
    expect(answers[20]?.jobs?.map((job) => job.data)).toEqual(frames.map((frame) => frame.data))
    client.send(...Array.from({ length: 5000 }, () => STATS))
    for (const answer of await client.answers(5000)) expect(answer.ok).toBe(true)
    const other = await authed()
    client.send({ cmd: 'PULL', queue: 'tls-wait' })
    const id = await other.push('tls-wait', 1)
    expect((await client.answer()).job?.id).toBe(id)
    client.send(STATS, { cmd: 'PULL', queue: 'tls-wait' })
    client.lines.socket.end()
    expect(await client.answers(2)).toMatchObject([{ ok: true }, { ok: true, job: null }])
    expect(await client.lines.rests()).toEqual([])
  })

  it('that goes without reading its jobs gives them back', async () => {
    const friend = await authed()
    const ids: number[] = []
    for (let i = 0; i < 20; i++) ids.push(await friend.push('tls-unread', 'x'.repeat(900_000)))
    const deaf = await authed()
    deaf.lines.socket.pause()
    for (let i = 0; i < 20; i++) deaf.send({ cmd: 'PULL', queue: 'tls-unread' })
    await eventually('some are under way', 5000, async () => {
      const { queues = [] } = await friend.ok({ cmd: 'LISTQUEUES' })
      return Number(queues.find(({ name }) => name === 'tls-unread')?.['processing']) > 0
    })
    deaf.destroy()
    await eventually('those that were not written are back', 5000, async () => {
      const states = []
      for (const id of ids) states.push(await friend.stateOf(id))
      // Node counts as written what the kernel has taken.
      return states.filter((state) => state === 'waiting').length >= 10
    })
  })

  it('stays at its worker, whose queues it uses or not', async () => {
    const clients = await Promise.all([1, 2, 3, 4].map(() => authed()))
    for (const client of clients) {
      const at = (await client.ok({ cmd: 'METRICS' })).metrics?.['worker']
      for (const worker of [0, 1]) {
        const queue = queueOnWorker(worker, 'tls-moves')
        for (let i = 0; i < 100; i++) await client.push(queue, i)
      }
      expect((await client.ok({ cmd: 'METRICS' })).metrics?.['worker']).toBe(at)
    }
  })

  it('may be the client library, which checks whom it speaks to', async () => {
    const { port } = server.process
    const options = { host: '127.0.0.1', port, token: 'secret' }
    const client = new FlashQ({ ...options, tls: { ca } })
    onTestFinished(() => client.close())
    const { id } = await client.push('tls-sdk', { a: 1 })
    expect(await client.getState(id)).toBe('waiting')
    const byName = new FlashQ({ ...options, host: 'localhost', tls: { ca } })
    onTestFinished(() => byName.close())
    await byName.connect()
    const careless = new FlashQ({ ...options, tls: { rejectUnauthorized: false } })
    onTestFinished(() => careless.close())
    await careless.connect()
    const refusing = [
      { ...options, tls: true },
      { ...options, tls: { ca: new Authority().cert } },
      { ...options, tls: { ca, servername: 'elsewhere.example' } },
      { ...options, tls: false, timeout: 2000 },
    ]
    for (const each of refusing) {
      const refused = new FlashQ(each)
      onTestFinished(() => refused.close())
      await expect(refused.connect()).rejects.toMatchObject({ code: 'not_connected' })
    }
  })

  it('may use the Unix socket, which is plain', async () => {
    const client = await WireClient.open({ path: unix })
    expect(await client.ask({ cmd: 'AUTH', token: 'secret' })).toEqual({ ok: true })
  })
})

describe('a stranger to TLS', () => {
  it.each([
    ['plain text', '{"cmd":"STATS"}\n'],
    ['a request of HTTP', 'GET / HTTP/1.1\r\n\r\n'],
    ['nonsense', Buffer.alloc(1000, 0xff)],
    ['half a hello, and the end', Buffer.from([22, 3, 1, 2])],
  ])('that sends %s is cut off, and others are served on', async (_, bytes) => {
    const bystander = await authed()
    const socket = connectPlain(server.process.port, '127.0.0.1')
    onTestFinished(() => {
      socket.destroy()
    })
    socket.on('error', () => undefined)
    let got = ''
    socket.on('data', (chunk) => {
      got += chunk.toString('latin1')
    })
    socket.end(bytes)
    await within(15_000, 'it is closed', new Promise((resolve) => socket.on('close', resolve)))
    expect(got).not.toContain('"ok"')
    expect(await bystander.ask(STATS)).toMatchObject({ ok: true })
    expect(server.process.log.filter(({ level }) => level === 'error')).toEqual([])
  })

  it('that says nothing is cut off, and counts until then', async () => {
    const brief = await startServer({
      ...files.settings,
      AUTH_TIMEOUT_MS: '2000',
      UNAUTHENTICATED_MAX: '3',
      WORKERS: '1',
    })
    const silent = [1, 2, 3].map(() => connectPlain(brief.port, '127.0.0.1'))
    for (const socket of silent) {
      socket.on('error', () => undefined)
      await new Promise((resolve) => socket.on('connect', resolve))
    }
    await expect(handshake(brief.port, { ca })).rejects.toThrow()
    const closed = silent.map((socket) => new Promise((resolve) => socket.on('close', resolve)))
    await within(15_000, 'they are closed', Promise.all(closed))
    // Its end is seen here a moment before the server has counted it.
    await eventually('there is room again', 5000, () =>
      tlsClient(brief.port, { ca })
        .then((client) => client.ask(STATS))
        .then(
          ({ ok }) => ok,
          () => false,
        ),
    )
  })

  it('that knows old versions alone is refused', async () => {
    const { port } = server.process
    const old = { ca, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }
    await expect(handshake(port, old as object)).rejects.toThrow()
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = await handshake(port, { ca, minVersion: version, maxVersion: version })
      expect(socket.getProtocol()).toBe(version)
    }
  })
})

describe('TLS_CA', () => {
  const clients = new Authority('of clients')
  const demanding = new SharedServer({
    ...files.settings,
    TLS_CA: put(join(folder, 'clients.crt'), clients.cert),
    WORKERS: '1',
  })

  it('lets in who has a certificate of it', async () => {
    const client = await tlsClient(demanding.process.port, { ca, ...clients.issue('client') })
    expect(await client.ask(STATS)).toMatchObject({ ok: true })
    const { port } = demanding.process
    const tls = { ca, ...clients.issue('client') }
    const library = new FlashQ({ host: '127.0.0.1', port, tls })
    onTestFinished(() => library.close())
    await library.connect()
  })

  it.each([
    ['none', {}],
    ['one of somebody else', new Authority('of clients').issue('client')],
    ['one that has ended', clients.issue('client', { endsAtMs: Date.now() - 1000 })],
  ])('keeps out who has %s', async (_, credentials) => {
    // With TLS 1.3 the client is through before the server has looked at its certificate.
    const answered = tlsClient(demanding.process.port, { ca, ...credentials }).then((client) =>
      client.ask(STATS),
    )
    await expect(answered).rejects.toThrow()
  })
})

describe('TLS_CA at the other doors', () => {
  const clients = new Authority('of clients')
  const demanding = new SharedServer({
    ...files.settings,
    TLS_CA: put(join(folder, 'others.crt'), clients.cert),
    WORKERS: '1',
    HTTP: '1',
    HTTP_PORT: '0',
    GRPC: '1',
    GRPC_PORT: '0',
  })

  it.each(['httpPort', 'grpcPort'])('asks for a certificate at %s', async (name) => {
    const port = Number(demanding.process.find('ready')?.[name])
    const options = { ca, ALPNProtocols: [name === 'grpcPort' ? 'h2' : 'http/1.1'] }
    const alerts: string[] = []
    for (const credentials of [{}, clients.issue('client')]) {
      try {
        const socket = await handshake(port, { ...options, ...credentials })
        const refused = new Promise<string>((resolve) => {
          socket.on('error', ({ message }) => resolve(message))
        })
        const answered = new Promise<string>((resolve) => socket.on('data', () => resolve('data')))
        socket.write(
          name === 'grpcPort' ? PREFACE : 'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n',
        )
        alerts.push(await Promise.race([refused, answered]))
      } catch (error) {
        alerts.push((error as Error).message)
      }
    }
    expect(alerts).toEqual([expect.not.stringMatching(/^data$/), 'data'])
  })
})

describe('a certificate that is replaced', () => {
  it('is shown at every port from then on, and open connections go on', async () => {
    const own = new Files('replaced', authority.issue('before'))
    const replaced = await startServer({
      ...own.settings,
      HTTP: '1',
      HTTP_PORT: '0',
      GRPC: '1',
      GRPC_PORT: '0',
    })
    const { httpPort, grpcPort } = replaced.find('ready') as unknown as Record<string, number>
    const ports = [replaced.port, Number(httpPort), Number(grpcPort)]
    const options = { ca, ALPNProtocols: ['h2', 'http/1.1'] }
    for (const port of ports)
      expect(await shownBy(port, port === ports[0] ? { ca } : options)).toBe('before')
    expect(await statusOf(Number(httpPort))).toBe(200)
    const open = await tlsClient(replaced.port, { ca })
    await open.ok(STATS)
    // First the one, then the other, as people do it: in between they do not fit.
    const next = authority.issue('after')
    put(own.cert, next.cert)
    await replaced.logged('the TLS files are wrong')
    expect(await shownBy(replaced.port, { ca })).toBe('before')
    put(own.key, next.key)
    await eventually('both workers have read it', 5000, () => {
      const read = replaced.log.filter(({ msg }) => msg === 'the TLS certificate was read again')
      return read.length === 2
    })
    for (const port of ports) {
      for (let i = 0; i < 4; i++) {
        expect(await shownBy(port, port === ports[0] ? { ca } : options), String(port)).toBe(
          'after',
        )
      }
    }
    expect(await open.ask(STATS)).toMatchObject({ ok: true })
    expect(JSON.stringify(replaced.log)).not.toContain('PRIVATE')
  })
})

function statusOf(port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: '/livez', ca, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    }).on('error', reject)
  })
}

describe('the life of workers', () => {
  it('a stop answers what is under way', async () => {
    const stopping = await startServer({ ...files.settings })
    const client = await tlsClient(stopping.port, { ca })
    client.send({ cmd: 'PULL', queue: 'q' })
    await client.ok({ cmd: 'PUSH', queue: 'other', data: 1, reqId: 1 })
    expect(await stopping.stop()).toEqual({ code: 0, signal: null })
    expect(await client.answer()).toMatchObject({ ok: false, code: 'draining' })
    expect(await client.lines.rests()).toEqual([])
  })
})

describe('a start', () => {
  const good = new Files('good', authority.issue('good'))
  const other = put(join(folder, 'other.key'), authority.issue('other').key)
  const empty = put(join(folder, 'empty'), '')
  const none = join(folder, 'none')

  it.each([
    ['no certificate', { TLS_CERT: none, TLS_KEY: good.key }, 'TLS_CERT cannot be read: ENOENT'],
    ['no key', { TLS_CERT: good.cert, TLS_KEY: none }, 'TLS_KEY cannot be read: ENOENT'],
    ['no authority', { ...good.settings, TLS_CA: none }, 'TLS_CA cannot be read: ENOENT'],
    ['an empty certificate', { TLS_CERT: empty, TLS_KEY: good.key }, 'is no certificate in PEM'],
    ['an empty key', { TLS_CERT: good.cert, TLS_KEY: empty }, 'is no private key in PEM'],
    ['an empty authority', { ...good.settings, TLS_CA: empty }, 'is no certificate in PEM'],
    [
      'the key of another certificate',
      { TLS_CERT: good.cert, TLS_KEY: other },
      `TLS_KEY ${other} is not the key of TLS_CERT ${good.cert}`,
    ],
  ])('with %s fails, and says why', async (_, settings, why) => {
    const failed = new ServerProcess(settings as Record<string, string>)
    expect(await failed.exited).toEqual({ code: 1, signal: null })
    expect(failed.log.map(({ msg }) => msg).join()).toContain(why)
  })

  it('with a certificate that ends soon says so', async () => {
    const endsAtMs = Date.now() + 3 * 24 * 60 * 60 * 1000
    const brief = new Files('brief', authority.issue('brief', { endsAtMs }))
    const warned = await startServer({ ...brief.settings, WORKERS: '1' })
    expect(warned.find(`TLS_CERT ${brief.cert} ends on`)).toMatchObject({ level: 'warn' })
  })
})
