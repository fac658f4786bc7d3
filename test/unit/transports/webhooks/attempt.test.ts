// One attempt against receivers of all kinds, on the loopback, with short times.

import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { AddressRules, type Network } from '../../../../src/transports/webhooks/address-rules.ts'
import {
  type Attempted,
  type AttemptOptions,
  attempt,
} from '../../../../src/transports/webhooks/attempt.ts'
import { UrlPolicy } from '../../../../src/transports/webhooks/url-policy.ts'
import { Authority } from '../../../support/certificates.ts'

const loopback: readonly Network[] = [{ address: '127.0.0.1', prefix: 32 }]
const never = new AbortController().signal
const PRIVATE = 'its address is not public (WEBHOOK_ALLOW)'

async function listening(server: ReturnType<typeof createTcpServer>): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const receiver = (listener: RequestListener): Promise<number> => listening(createServer(listener))
/** Speaks what it likes. */
const rawReceiver = (onSocket: (socket: Socket) => void): Promise<number> =>
  listening(
    createTcpServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => onSocket(socket))
    }),
  )

interface Options extends Partial<AttemptOptions> {
  readonly scheme?: 'http' | 'https'
  readonly host?: string
  readonly path?: string
  readonly allowed?: readonly Network[]
  readonly signal?: AbortSignal
}

function post(port: number, options: Options = {}): Promise<Attempted> {
  const { scheme = 'http', host = '127.0.0.1', path = '/' } = options
  const { allowed = loopback, signal = never } = options
  const rules = new AddressRules(allowed)
  const policy = new UrlPolicy({
    ...{ rules, allowHttp: true, ports: [port], localAddresses: () => [] },
  })
  const url = `${scheme}://${host}:${port}${path}`
  const what = { url, headers: { 'x-a': 'b' }, body: Buffer.from('{"a":1}') }
  const resolve = (): Promise<readonly string[]> => Promise.resolve(['127.0.0.1'])
  return attempt(what, { policy, resolve, ...options }, signal)
}

describe('an attempt', () => {
  it('sends the body and the headers, and tells the status', async () => {
    const seen: unknown[] = []
    const port = await receiver((request, response) => {
      const { method, url, headers } = request
      request.setEncoding('utf8').on('data', (body: string) => {
        seen.push([method, url, headers['x-a'], headers.host, headers['content-length'], body])
        response.writeHead(202).end('thanks')
      })
    })
    expect(await post(port, { path: '/a?b=c', host: 'hook.example' })).toEqual({
      ...{ status: 202, retryAfterMs: null },
    })
    expect(seen).toEqual([['POST', '/a?b=c', 'b', `hook.example:${port}`, '7', '{"a":1}']])
  })

  it.each([301, 307])('does not follow a redirect (%i)', async (status) => {
    let asked = 0
    const port = await receiver((_request, response) => {
      asked++
      response.writeHead(status, { location: 'http://169.254.169.254/latest' }).end()
    })
    expect(await post(port)).toMatchObject({ status })
    expect(asked).toBe(1)
  })

  it('takes no proxy from the environment', async () => {
    const before = process.env['http_proxy']
    process.env['http_proxy'] = 'http://127.0.0.1:9'
    onTestFinished(() => {
      if (before === undefined) delete process.env['http_proxy']
      else process.env['http_proxy'] = before
    })
    const port = await receiver((_request, response) => response.end())
    expect(await post(port)).toMatchObject({ status: 200 })
  })

  it('reads Retry-After as seconds, and as a date', async () => {
    const date = 'Tue, 14 Nov 2023 22:13:20 GMT'
    const later = 'Tue, 14 Nov 2023 22:15:00 GMT'
    const given: Record<string, Record<string, string>> = {
      '/s': { 'retry-after': '120' },
      '/d': { date, 'retry-after': later },
      '/x': { 'retry-after': 'soon' },
    }
    const port = await receiver((request, response) => {
      response.writeHead(503, given[request.url ?? '']).end()
    })
    const waits = ['/s', '/d', '/x'].map((path) => post(port, { path }))
    expect(await Promise.all(waits)).toEqual(
      [120_000, 100_000, null].map((retryAfterMs) => ({ status: 503, retryAfterMs })),
    )
  })
})

describe('through a proxy', () => {
  /** Asked to connect to what, by whom; `port` stands for whatever it is asked for. */
  async function proxyTo(port: number, status = 200): Promise<{ url: string; asked: string[] }> {
    const asked: string[] = []
    const server = createServer()
    server.on('connect', (request: IncomingMessage, client: Socket) => {
      asked.push(`${request.url} ${request.headers['proxy-authorization']}`)
      client.write(`HTTP/1.1 ${status} So\r\n\r\n`)
      if (status !== 200) return client.end()
      const target = connect(port, '127.0.0.1')
      target.on('error', () => client.destroy()).pipe(client)
      client.on('error', () => target.destroy()).pipe(target)
    })
    return { url: `http://me:secret@127.0.0.1:${await listening(server)}`, asked }
  }
  const credentials = `Basic ${Buffer.from('me:secret').toString('base64')}`

  it('it goes to the name, which is not resolved here', async () => {
    const port = await receiver((request, response) => response.end(request.headers.host))
    const { url: proxy, asked } = await proxyTo(port)
    const resolve = (): Promise<never> => Promise.reject(new Error('resolved here'))
    const options = { proxy, resolve, host: 'hook.example', allowed: [] }
    expect(await post(port, options)).toMatchObject({ status: 200 })
    expect(asked).toEqual([`hook.example:${port} ${credentials}`])
  })

  it('the certificate must still be that of the name', async () => {
    const port = await receiver((_request, response) => response.end())
    const { url: proxy, asked } = await proxyTo(port)
    const options = { proxy, host: 'hook.example', scheme: 'https' as const }
    expect(await post(port, options)).toMatchObject({ error: expect.any(String) })
    expect(asked).toHaveLength(1)
  })

  it('that refuses, or is not there, it fails', async () => {
    const { url: refusing } = await proxyTo(1, 403)
    expect(await post(443, { proxy: refusing, host: 'hook.example' })).toEqual({
      error: 'the proxy refuses it (403)',
    })
    const gone = createTcpServer()
    const port = await listening(gone)
    await new Promise((resolve) => gone.close(resolve))
    const proxy = `http://127.0.0.1:${port}`
    expect(await post(443, { proxy, host: 'hook.example' })).toEqual({
      error: 'connection refused',
    })
  })

  it('a private address is refused without asking it', async () => {
    const { url: proxy, asked } = await proxyTo(1)
    expect(await post(443, { proxy, host: '10.0.0.1' })).toEqual({ error: PRIVATE })
    expect(asked).toEqual([])
  })
})

describe('a receiver that', () => {
  it('is not there is told from others', async () => {
    const server = createTcpServer()
    const port = await listening(server)
    await new Promise((resolve) => server.close(resolve))
    expect(await post(port)).toEqual({ error: 'connection refused' })
  })

  it('hangs is left', async () => {
    const port = await rawReceiver(() => undefined)
    expect(await post(port, { totalMs: 50 })).toEqual({ error: 'took too long' })
  })

  it('drips its head is left, and one that drips its body has answered', async () => {
    const drip = (socket: Socket, text: string): void => {
      const timer = setInterval(() => socket.write(text), 5)
      socket.on('close', () => clearInterval(timer))
    }
    const head = await rawReceiver((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n')
      drip(socket, 'a: b\r\n')
    })
    expect(await post(head, { totalMs: 60 })).toEqual({ error: 'took too long' })
    const body = await rawReceiver((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')
      drip(socket, '1\r\nx\r\n')
    })
    expect(await post(body, { totalMs: 500 })).toMatchObject({ status: 200 })
  })

  it('says more and more headers is left', async () => {
    const port = await rawReceiver((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n')
      for (let i = 0; i < 100; i++) socket.write(`x-${i}: ${'y'.repeat(1000)}\r\n`)
    })
    expect(await post(port)).toEqual({ error: 'its answer has too many headers' })
  })

  it('answers without end is cut off', async () => {
    let written = 0
    const port = await receiver((_request, response) => {
      const chunk = Buffer.alloc(16_384, 0x78)
      const more = (): void => {
        while (!response.destroyed && response.write(chunk)) written += chunk.length
        response.once('drain', more)
      }
      more()
    })
    expect(await post(port)).toMatchObject({ status: 200 })
    expect(written).toBeLessThan(64 * 1024 * 1024)
  })

  it('answers a bomb is not unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(8 * 1024 * 1024))
    const port = await receiver((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb)
    })
    expect(await post(port)).toMatchObject({ status: 200 })
  })

  it('speaks no HTTP, or breaks off, has failed', async () => {
    const noise = await rawReceiver((socket) => socket.end('SSH-2.0-x\r\n'))
    expect(await post(noise)).toEqual({ error: 'failed (HPE_INVALID_CONSTANT)' })
    const broken = await rawReceiver((socket) => socket.destroy())
    expect(await post(broken)).toEqual({ error: 'connection reset' })
  })

  it.each([
    ['signed by nobody that is known', {}, 'its certificate can not be verified'],
    ['over', { endsAtMs: Date.now() - 1000 }, 'its certificate has expired'],
  ])('98 has a certificate that is %s gets nothing', async (_, wishes, error) => {
    let asked = 0
    const issued = new Authority().issue('receiver', wishes)
    const port = await listening(createHttpsServer(issued, () => asked++))
    const answer = await post(port, { scheme: 'https' })
    expect(answer).toEqual({ error })
    expect(asked).toBe(0)
  })

  it('is being asked when the server ends is left at once', async () => {
    const ending = new AbortController()
    const port = await rawReceiver(() => ending.abort())
    expect(await post(port, { signal: ending.signal })).toEqual({ error: 'took too long' })
  })
})

describe('a name', () => {
  const counted = (answers: readonly (readonly string[])[]): AttemptOptions['resolve'] => {
    let asked = 0
    return () => Promise.resolve(answers[asked++] ?? [])
  }

  it.each([[['127.0.0.1']], [['::1']], [['8.8.8.8', '10.0.0.1']], [['169.254.169.254']]])(
    'that leads to %j is not asked',
    async (addresses) => {
      let asked = 0
      const port = await receiver(() => asked++)
      const resolve = counted([addresses])
      expect(await post(port, { host: 'a.example', allowed: [], resolve })).toEqual({
        error: PRIVATE,
      })
      expect(asked).toBe(0)
    },
  )

  it('is looked up at each attempt, once: what was good before may not be now', async () => {
    const port = await receiver((_request, response) => response.end())
    const resolve = counted([['127.0.0.1'], ['10.0.0.1']])
    expect(await post(port, { host: 'a.example', resolve })).toMatchObject({ status: 200 })
    expect(await post(port, { host: 'a.example', resolve })).toEqual({ error: PRIVATE })
  })

  it('that has no address, or none in time, has failed', async () => {
    expect(await post(9, { host: 'a.example', resolve: counted([]) })).toEqual({
      error: 'its name has no address',
    })
    const absent = Object.assign(new Error('getaddrinfo a.example'), { code: 'ENOTFOUND' })
    expect(await post(9, { host: 'a.example', resolve: () => Promise.reject(absent) })).toEqual({
      error: 'its name has no address',
    })
    const slow = post(9, {
      ...{ host: 'a.example', totalMs: 20, resolve: () => new Promise(() => undefined) },
    })
    expect(await slow).toEqual({ error: 'took too long' })
  })
})
