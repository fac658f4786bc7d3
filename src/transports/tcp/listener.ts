// The doors of a worker: TCP and Unix sockets, and the connections that came in through them.
//
// 1. All endpoints are bound before `start` resolves; if one cannot be, none is, and it rejects.
// 2. An error of accepting (no descriptors left, a peer that gave up) is logged and survived.
// 3. There are at most `connectionsMax` connections; one more is told so and closed.
// 4. After `stop` or `drain` nothing is left: no server, socket or timer. Both may be called again.
//
// In a worker of `node:cluster` the primary binds, and the workers share the socket: nothing is different here.
//
// Next: connection.ts

import {
  type AddressInfo,
  createServer,
  type ListenOptions,
  type Server,
  type Socket,
} from 'node:net'
import { ByteWriter } from '../../engine/byte-writer.ts'
import { type HolderOrigin, holderOf } from '../../engine/holder-number.ts'
import type { Session } from '../../engine/ports.ts'
import { refusals } from '../../engine/refusal.ts'
import { writeRefusal } from '../wire/reply-json.ts'
import { Connection, type ConnectionServices } from './connection.ts'

const BACKLOG = 1024
/** Accepting may fail in a tight loop: it is logged once in a while. */
const LOG_EVERY = 1000

export type Endpoint =
  | { readonly host: string; readonly port: number }
  /** A Unix socket. See `removeStaleSocket` for what a killed process leaves behind. */
  | { readonly path: string }

export interface ListenerOptions extends ConnectionServices {
  /** Of the sessions' holders. */
  readonly origin: HolderOrigin
  readonly connectionsMax: number
}

export class Listener {
  private readonly endpoints: readonly Endpoint[]
  private readonly options: ListenerOptions
  private readonly servers: Server[] = []
  private readonly connections = new Set<Connection>()
  private connectionCount = 0
  private acceptErrors = 0
  private refused = 0
  private onEmpty: (() => void) | null = null
  private isOver = false

  constructor(endpoints: readonly Endpoint[], options: ListenerOptions) {
    this.endpoints = endpoints
    this.options = options
  }

  /** Connections that are open now. */
  get size(): number {
    return this.connections.size
  }

  /** Where it listens, in the order of the endpoints: with the real port where 0 was asked for. */
  async start(): Promise<(AddressInfo | string)[]> {
    try {
      for (const endpoint of this.endpoints) this.servers.push(await this.listen(endpoint))
    } catch (error) {
      await this.stop()
      throw error
    }
    return this.servers.map((server) => server.address() as AddressInfo | string)
  }

  /** Closes everything at once. */
  async stop(): Promise<void> {
    this.close()
    for (const connection of this.connections) connection.destroy()
    await this.empty()
  }

  /**
   * Accepts no more, lets every connection finish what it owes, and closes what is left after `timeoutMs`. Resolves
   * when all connections are closed.
   */
  async drain(timeoutMs: number): Promise<void> {
    this.close()
    for (const connection of this.connections) connection.drain()
    const timer = setTimeout(() => {
      for (const connection of this.connections) connection.destroy()
    }, timeoutMs)
    await this.empty()
    clearTimeout(timer)
  }

  private async listen(endpoint: Endpoint): Promise<Server> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
      this.accept(socket),
    )
    const options: ListenOptions = { ...endpoint, backlog: BACKLOG }
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(options, () => {
        server.off('error', reject)
        resolve()
      })
    })
    server.on('error', (error) => this.acceptFailed(error))
    return server
  }

  private accept(socket: Socket): void {
    if (this.isOver || this.connections.size >= this.options.connectionsMax) {
      this.refuse(socket)
      return
    }
    this.connect(socket, !this.options.auth.required)
  }

  /** A connection that another worker was serving goes on here; returns its new session. Null: it was refused. */
  adopt(socket: Socket, authed: boolean): Session | null {
    socket.allowHalfOpen = true
    if (this.isOver) {
      this.refuse(socket)
      return null
    }
    return this.connect(socket, authed)
  }

  private connect(socket: Socket, authed: boolean): Session {
    const holder = holderOf(this.options.origin, ++this.connectionCount)
    const session: Session = { holder, workersUsed: 0, away: -1, awayCount: 0 }
    const connection = new Connection(socket, session, authed, this.options, (closed) =>
      this.left(closed),
    )
    this.connections.add(connection)
    connection.start()
    return session
  }

  private refuse(socket: Socket): void {
    if (this.refused++ % LOG_EVERY === 0) {
      this.options.log.warn({ refused: this.refused }, 'too many connections: refused')
    }
    const out = new ByteWriter(256)
    writeRefusal(
      out,
      this.isOver
        ? refusals.draining
        : refusals.limitExceeded('connections', this.options.connectionsMax),
    )
    socket.on('error', () => undefined)
    socket.end(out.toBuffer(), () => socket.destroy())
  }

  private acceptFailed(error: Error): void {
    if (this.acceptErrors++ % LOG_EVERY === 0) {
      this.options.log.error({ error: error.message, count: this.acceptErrors }, 'accept failed')
    }
  }

  private left(connection: Connection): void {
    this.connections.delete(connection)
    if (this.connections.size === 0) this.onEmpty?.()
  }

  private close(): void {
    this.isOver = true
    for (const server of this.servers) server.close()
    this.servers.length = 0
  }

  private async empty(): Promise<void> {
    while (this.connections.size > 0) {
      await new Promise<void>((resolve) => {
        const before = this.onEmpty
        this.onEmpty = () => {
          before?.()
          resolve()
        }
      })
    }
    this.onEmpty = null
  }
}
