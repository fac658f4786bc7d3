// A client of the line protocol that does only what it is told: sends bytes, hands out lines.

import { connect, type NetConnectOpts, type Socket } from 'node:net'

export class LineClient {
  readonly socket: Socket
  /** The connection is gone, whatever the reason. */
  readonly closed: Promise<void>
  /** The server will send no more. */
  readonly ended: Promise<void>
  private readonly lines: string[] = []
  private readonly waiting: { resolve: (line: string) => void; reject: () => void }[] = []
  private rest = ''
  private isOver = false

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => this.take(text))
    socket.on('error', () => undefined)
    this.ended = new Promise((resolve) => {
      socket.on('end', () => {
        this.over()
        resolve()
      })
    })
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.over()
        resolve()
      })
    })
  }

  static async open(where: NetConnectOpts): Promise<LineClient> {
    const socket = connect({ allowHalfOpen: true, ...where } as NetConnectOpts)
    const client = new LineClient(socket)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return client
  }

  /** Of a socket that is connected, or encrypted. */
  static over(socket: Socket): LineClient {
    return new LineClient(socket)
  }

  send(...lines: (object | string)[]): void {
    this.socket.write(lines.map(toLine).join(''))
  }

  /** The next line; rejects when there will be none. */
  line(): Promise<string> {
    const line = this.lines.shift()
    if (line !== undefined) return Promise.resolve(line)
    // Made here, so that its stack says who waited.
    const over = new Error('the connection is over')
    if (this.isOver) return Promise.reject(over)
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject: () => reject(over) })
    })
  }

  async linesOf(count: number): Promise<string[]> {
    const lines: string[] = []
    while (lines.length < count) lines.push(await this.line())
    return lines
  }

  async object(): Promise<Record<string, unknown>> {
    return JSON.parse(await this.line()) as Record<string, unknown>
  }

  /** All lines until the server has ended. */
  async rests(): Promise<string[]> {
    await Promise.race([this.ended, this.closed])
    return this.lines.splice(0)
  }

  destroy(): void {
    this.socket.destroy()
  }

  private take(text: string): void {
    const lines = (this.rest + text).split('\n')
    this.rest = lines.pop() ?? ''
    for (const line of lines) {
      const waiting = this.waiting.shift()
      if (waiting === undefined) this.lines.push(line)
      else waiting.resolve(line)
    }
  }

  private over(): void {
    this.isOver = true
    for (const { reject } of this.waiting.splice(0)) reject()
  }
}

function toLine(line: object | string): string {
  return typeof line === 'string' ? line : `${JSON.stringify(line)}\n`
}
