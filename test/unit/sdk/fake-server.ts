// A FlashQ server for the client's tests: a plain socket whose every reply the test may script.
//
// Unscripted commands get a plausible answer (pushes count up from id 1; pulls are held). `frames` is all that came,
// in order; `received` resolves when enough of it has come, so that no test needs to sleep.

import { createServer, type Server, type Socket } from 'node:net'

export interface Frame {
  readonly cmd: string
  readonly reqId: number
  readonly from: FakeConnection
  readonly [field: string]: unknown
}

/** A reply's fields, or null to hold it. Undefined: the usual answer. */
export type Script = (frame: Frame) => object | null | undefined

export class FakeConnection {
  readonly socket: Socket
  readonly index: number

  constructor(socket: Socket, index: number) {
    this.socket = socket
    this.index = index
  }

  reply(frame: Frame, body: object = {}): void {
    this.line({ ok: true, reqId: frame.reqId, ...body })
  }

  refuse(frame: Frame, code: string, error: string = code): void {
    this.line({ ok: false, reqId: frame.reqId, error, code })
  }

  line(message: object): void {
    this.socket.write(`${JSON.stringify(message)}\n`)
  }

  drop(): void {
    this.socket.destroy()
  }
}

export class FakeServer {
  readonly connections: FakeConnection[] = []
  readonly frames: Frame[] = []
  script: Script = () => undefined
  readonly #server: Server
  #port = 0
  #nextId = 1
  #watchers: (() => void)[] = []

  constructor() {
    this.#server = createServer((socket) => this.#welcome(socket))
  }

  /** On the port of before when it was stopped. */
  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve))
    const address = this.#server.address()
    if (typeof address === 'object' && address !== null) this.#port = address.port
    return this
  }

  get port(): number {
    return this.#port
  }

  get options(): { host: string; port: number; reconnectDelay: number } {
    return { host: '127.0.0.1', port: this.#port, reconnectDelay: 0 }
  }

  async stop(): Promise<void> {
    const stopped = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const connection of this.connections) connection.drop()
    await stopped
  }

  of(cmd: string): Frame[] {
    return this.frames.filter((frame) => frame.cmd === cmd)
  }

  /** The frames of this command, once there are `count`. */
  async received(cmd: string, count = 1): Promise<Frame[]> {
    while (this.of(cmd).length < count) await this.#change()
    return this.of(cmd)
  }

  async connected(count = 1): Promise<FakeConnection> {
    while (this.connections.length < count) await this.#change()
    return this.connections[count - 1] as FakeConnection
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#watchers.push(resolve))
  }

  #changed(): void {
    const watchers = this.#watchers
    this.#watchers = []
    for (const watcher of watchers) watcher()
  }

  #welcome(socket: Socket): void {
    const connection = new FakeConnection(socket, this.connections.length)
    this.connections.push(connection)
    let rest = ''
    socket.setEncoding('utf8')
    socket.on('error', () => {})
    socket.on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.#take({ ...JSON.parse(line), from: connection })
    })
    this.#changed()
  }

  #take(frame: Frame): void {
    this.frames.push(frame)
    const scripted = this.script(frame)
    const body = scripted === undefined ? this.#usual(frame) : scripted
    if (body !== null) frame.from.line({ ok: true, reqId: frame.reqId, ...body })
    this.#changed()
  }

  #usual(frame: Frame): object | null {
    switch (frame.cmd) {
      case 'PUSH':
        return { id: this.#takeId() }
      case 'PUSHB':
        return { ids: (frame['jobs'] as unknown[]).map(() => this.#takeId()) }
      case 'ACKB':
      case 'HEARTBEAT':
      case 'RELEASE':
        return { ids: [(frame['ids'] as unknown[]).length] }
      case 'PULL':
      case 'PULLB':
        return null
      case 'GETSTATE':
        return { id: frame['id'], state: 'waiting' }
      default:
        return {}
    }
  }

  #takeId(): number {
    const id = this.#nextId
    this.#nextId += 1
    return id
  }
}

export function refusal(code: string, error: string = code): object {
  return { ok: false, code, error }
}

export function job(id: number, fields: object = {}): object {
  return {
    id,
    queue: 'q',
    data: null,
    priority: 0,
    created_at: 1,
    run_at: 1,
    started_at: 1,
    attempts: 0,
    max_attempts: 0,
    backoff: 0,
    ttl: 0,
    timeout: 0,
    unique_key: null,
    depends_on: [],
    progress: 0,
    progress_msg: null,
    tags: [],
    ...fields,
  }
}
