// Somebody who receives webhooks, on the loopback: keeps what came, and answers as the test says.

import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly event: {
    readonly event: string
    readonly job_id: number
    readonly queue: string
    readonly data: unknown
    readonly error: string | null
  }
}

/** Undefined: no answer ever comes. */
export type Answering = (received: Received, count: number) => number | undefined

export class WebhookReceiver {
  readonly received: Received[] = []
  answering: Answering = () => 200
  private readonly server: Server
  private readonly sockets = new Set<Socket>()

  private constructor() {
    this.server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const body = Buffer.concat(chunks)
        const { url: path = '', headers } = request
        const received = { path, headers, body, event: JSON.parse(body.toString()) }
        this.received.push(received)
        const status = this.answering(received, this.received.length)
        if (status !== undefined) response.writeHead(status).end('{"ok":true}')
      })
    })
    this.server.on('connection', (socket) => {
      this.sockets.add(socket)
      socket.on('close', () => this.sockets.delete(socket))
    })
  }

  static async open(): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver()
    await new Promise<void>((resolve) => receiver.server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      for (const socket of receiver.sockets) socket.destroy()
      receiver.server.close()
    })
    return receiver
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/hook`
  }

  /** The settings under which a server may reach it. */
  get settings(): Readonly<Record<string, string>> {
    return { WEBHOOK_HTTP: '1', WEBHOOK_ALLOW: '127.0.0.1', WEBHOOK_PORTS: String(this.port) }
  }

  /** Ids of the jobs whose event came at least once. */
  jobsOf(event: string): Set<number> {
    const of = this.received.filter((each) => each.event.event === event)
    return new Set(of.map((each) => each.event.job_id))
  }
}
