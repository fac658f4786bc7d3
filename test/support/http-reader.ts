// Reads the HTTP door of a server as operators do.

import { Exposition } from './exposition-parser.ts'
import type { ServerProcess } from './server-process.ts'

export interface HttpAnswer {
  readonly status: number
  readonly type: string
  readonly text: string
}

export class HttpReader {
  private readonly base: string
  private readonly token: string | null

  constructor(server: ServerProcess, token: string | null = null) {
    this.token = token
    this.base = `http://127.0.0.1:${String(server.find('ready')?.['httpPort'])}`
  }

  /** On a connection of its own: any worker may get it. */
  async get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> {
    return this.send('GET', path, undefined, headers)
  }

  async post(
    path: string,
    body: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<HttpAnswer> {
    return this.send('POST', path, body, headers)
  }

  /** The `data` of an answer. */
  async data<T>(path: string): Promise<T> {
    const { text } = await this.get(path)
    return (JSON.parse(text) as { data: T }).data
  }

  async metrics(headers: Readonly<Record<string, string>> = {}): Promise<Exposition> {
    const { status, text } = await this.get('/metrics/prometheus', headers)
    if (status !== 200) throw new Error(`status ${status}: ${text}`)
    return new Exposition(text)
  }

  private async send(
    method: string,
    path: string,
    body?: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<HttpAnswer> {
    const response = await fetch(this.base + path, {
      method,
      headers: {
        connection: 'close',
        ...(this.token === null ? {} : { authorization: `Bearer ${this.token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
    })
    const type = response.headers.get('content-type') ?? ''
    return { status: response.status, type, text: await response.text() }
  }
}
