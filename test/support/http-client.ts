// HTTP as a test wants it: one call for a request and its answer, and a raw socket where the request is none.

import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** As it came. */
  readonly text: string
  readonly json: { ok?: boolean; data?: unknown; error?: string; code?: string; cursor?: unknown }
}

export interface HttpAsk {
  readonly headers?: Readonly<Record<string, string>>
  /** A string or buffer is sent as it is, anything else as JSON; with a content type unless the headers have one. */
  readonly body?: unknown
}

export class HttpClient {
  private readonly port: number
  private readonly headers: Readonly<Record<string, string>>
  private readonly agent = new Agent({ keepAlive: true })

  /** `headers`: of each request. */
  constructor(port: number, headers: Readonly<Record<string, string>> = {}) {
    this.port = port
    this.headers = headers
    onTestFinished(() => this.agent.destroy())
  }

  get(path: string, ask: HttpAsk = {}): Promise<HttpAnswer> {
    return this.ask('GET', path, ask)
  }

  post(path: string, body?: unknown, ask: HttpAsk = {}): Promise<HttpAnswer> {
    return this.ask('POST', path, body === undefined ? ask : { ...ask, body })
  }

  delete(path: string): Promise<HttpAnswer> {
    return this.ask('DELETE', path)
  }

  ask(method: string, path: string, { headers, body }: HttpAsk = {}): Promise<HttpAnswer> {
    const bytes = bytesOf(body)
    const type = bytes === null ? {} : { 'content-type': 'application/json' }
    const length = bytes === null ? {} : { 'content-length': String(bytes.length) }
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          host: '127.0.0.1',
          port: this.port,
          method,
          path,
          agent: this.agent,
          headers: { ...type, ...length, ...this.headers, ...headers },
        },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString()
            const { statusCode: status = 0, headers: got } = response
            resolve({ status, headers: got, text, json: text === '' ? {} : parsed(text) })
          })
        },
      )
      outgoing.on('error', reject)
      outgoing.end(bytes ?? undefined)
    })
  }
}

/** Sends bytes as they are; what comes back until the server closes, or until `until` is in it. */
export class RawHttp {
  readonly socket: Socket
  private received = ''
  private isClosed = false
  private readonly watchers = new Set<() => void>()

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.on('data', (chunk) => {
      this.received += chunk.toString('latin1')
      this.look()
    })
    this.socket.on('error', () => undefined)
    this.socket.on('close', () => {
      this.isClosed = true
      this.look()
    })
    onTestFinished(() => void this.socket.destroy())
  }

  send(text: string): this {
    this.socket.write(Buffer.from(text, 'latin1'))
    return this
  }

  connected(): Promise<void> {
    const { socket } = this
    if (!socket.connecting) return Promise.resolve()
    return new Promise((resolve) => {
      socket.once('connect', resolve)
      socket.once('close', () => resolve())
    })
  }

  async closed(): Promise<string> {
    await this.until(() => this.isClosed)
    return this.received
  }

  /** Everything received, when `text` is in it so many times. */
  async answer(text: string, times = 1): Promise<string> {
    await this.until(() => this.received.split(text).length > times || this.isClosed)
    return this.received
  }

  private until(isThere: () => boolean): Promise<void> {
    if (isThere()) return Promise.resolve()
    return new Promise((resolve) => {
      const watcher = (): void => {
        if (!isThere()) return
        this.watchers.delete(watcher)
        resolve()
      }
      this.watchers.add(watcher)
    })
  }

  private look(): void {
    for (const watcher of [...this.watchers]) watcher()
  }
}

/** Status and body of the only answer in `text`. */
export function readRaw(text: string): { status: number; head: string; json: HttpAnswer['json'] } {
  const at = text.indexOf('\r\n\r\n')
  const head = text.slice(0, at).toLowerCase()
  return { status: Number(text.slice(9, 12)), head, json: parsed(text.slice(at + 4)) }
}

function bytesOf(body: unknown): Buffer | null {
  if (body === undefined) return null
  if (Buffer.isBuffer(body)) return body
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
}

function parsed(text: string): HttpAnswer['json'] {
  try {
    return JSON.parse(text) as HttpAnswer['json']
  } catch {
    return {}
  }
}
