// The doors of a worker: TCP and Unix sockets, and the connections that came in through them.
//
// 1. All endpoints are bound before `start` resolves; if one cannot be, none is, and it rejects.
// 2. An error of accepting (no descriptors left, a peer that gave up) is logged and survived.
// 3. There are at most `connectionsMax` connections; one more is told so and closed.
// 4. After `stop`, `drain` or `evacuate` nothing is left: no server, socket or timer. They may be called again.
// 5. With `certificates` an endpoint that has a port is encrypted. Such a connection can't be taken to another worker:
//    while this one is evacuated it is drained, and its client connects anew.
//
// In a worker of `node:cluster` the primary accepts and hands out the connections. One that comes to a worker that has
// just closed its server goes back, and to the next worker: nobody is refused while one worker is evacuated.
//
// Next: connection.ts; arriving.ts for connections of other workers

import {
  type AddressInfo,
  createServer,
  type ListenOptions,
  type Server,
  type Socket,
} from 'node:net'
import { ByteWriter } from '../../engine/byte-writer.ts'
import type { Session } from '../../engine/ports.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import { Door } from '../../engine/traffic.ts'
import type { Sessions } from '../sessions.ts'
import type { Certificates } from '../tls/certificates.ts'
import { Handshakes } from '../tls/handshakes.ts'
import { writeRefusal } from '../wire/reply-json.ts'
import { Arriving } from './arriving.ts'
import { Connection } from './connection.ts'
import type { ConnectionServices, Owner } from './services.ts'
import { Strangers } from './strangers.ts'
import { TurnedAway } from './turned-away.ts'

const BACKLOG = 1024
/** Accepting may fail in a tight loop: it is logged once in a while. */
const LOG_EVERY = 1000
/** While a worker is evacuated: so many connections begin to leave at once, and as many more when they have arrived… */
const LEAVING_MAX = 64
/** … or after this time, because some may have to wait for their peers. */
const LEAVE_EVERY_MS = 50

export type Endpoint =
  | { readonly host: string; readonly port: number }
  /** A Unix socket. See `removeStaleSocket` for what a killed process leaves behind. */
  | { readonly path: string }

export interface ListenerOptions extends ConnectionServices {
  readonly sessions: Sessions
  readonly connectionsMax: number
  /** Of one client, to this worker. */
  readonly strangersMax: number
  /** Null: nothing is encrypted. */
  readonly certificates: Certificates | null
}

export class Listener implements Owner<Connection> {
  private readonly endpoints: readonly Endpoint[]
  private readonly options: ListenerOptions
  private readonly servers: Server[] = []
  private readonly connections = new Set<Connection>()
  /** Those of them that are encrypted. */
  private readonly secured = new Set<Connection>()
  private readonly strangers: Strangers
  private readonly turnedAway = new TurnedAway()
  private readonly handshakes: Handshakes | null
  private readonly unfollow: () => void
  private acceptErrors = 0
  private refused = 0
  private onEmpty: (() => void) | null = null
  private isOver = false
  /** It is over here, but not elsewhere: connections leave instead of being closed. */
  private evacuating = false
  /** Connections that have left and have not arrived. */
  private underway = 0

  constructor(endpoints: readonly Endpoint[], options: ListenerOptions) {
    this.endpoints = endpoints
    this.options = options
    const { auth, authTimeoutMs, certificates, log, strangersMax } = options
    this.strangers = new Strangers(strangersMax)
    this.handshakes =
      certificates && new Handshakes({ certificates, timeoutMs: authTimeoutMs, log })
    this.unfollow = auth.onChange(() => {
      for (const connection of this.connections) connection.checkStanding()
    })
  }

  /** Connections that are open now, or on their way to another worker. */
  get size(): number {
    return this.connections.size + this.underway
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
    this.evacuating = false
    for (const connection of this.connections) connection.drain()
    const timer = setTimeout(() => {
      for (const connection of this.connections) connection.destroy()
    }, timeoutMs)
    await this.empty()
    clearTimeout(timer)
  }

  /**
   * Accepts no more, and moves every connection to another worker. What can't move within `timeoutMs` is drained, and
   * gets as long for that. Resolves when no connection is left here, and all that have left are served elsewhere.
   */
  async evacuate(timeoutMs: number): Promise<void> {
    this.close()
    this.evacuating = true
    for (const connection of this.secured) connection.drain()
    this.leaveSome(LEAVING_MAX)
    const every = setInterval(() => this.leaveSome(LEAVING_MAX), LEAVE_EVERY_MS)
    const end = setTimeout(() => {
      clearInterval(every)
      this.drain(timeoutMs).catch(() => undefined)
    }, timeoutMs)
    await this.empty()
    clearInterval(every)
    clearTimeout(end)
  }

  /** Another worker sends a connection; null: not here. */
  expect(state: Buffer): Arriving | null {
    if (this.isOver) return null
    const { gate, sessions } = this.options
    const session = sessions.next(true)
    return new Arriving(state, session, gate, (socket, arriving) => {
      session.door = doorOf(socket)
      const connection = new Connection(socket, session, this.options, this, arriving)
      if (connection.principal === null) this.strangers.add(session, connection.address)
      this.add(connection, arriving)
    })
  }

  knows(connection: Connection): void {
    this.strangers.remove(connection.session)
  }

  closed(connection: Connection): void {
    this.forget(connection)
    this.checkEmpty()
  }

  leaves(connection: Connection): void {
    this.underway++
    this.forget(connection)
  }

  left(): void {
    this.underway--
    if (this.evacuating) this.leaveSome(1)
    this.checkEmpty()
  }

  private async listen(endpoint: Endpoint): Promise<Server> {
    const { handshakes } = this
    const isSecure = handshakes !== null && 'port' in endpoint
    // Node reads the first bytes of a handshake itself.
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: !isSecure }, (socket) => {
      if (isSecure) this.secure(socket, handshakes)
      else this.accept(socket)
    })
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
    const session = this.options.sessions.next(false, doorOf(socket))
    const refusal = this.refusalOf(session, socket)
    if (refusal !== null) return this.refuse(socket, refusal)
    this.add(new Connection(socket, session, this.options, this, null), null)
  }

  /** One that is too many is closed without a word: nobody could read it. */
  private secure(raw: Socket, handshakes: Handshakes): void {
    const { strangers } = this
    if (this.isFull() || !strangers.add(raw, raw.remoteAddress ?? null)) {
      this.options.traffic.connectionRefused(Door.tcp)
      raw.destroy()
      return
    }
    handshakes.begin(raw, (socket) => {
      strangers.remove(raw)
      if (socket !== null) this.acceptSecured(socket)
    })
  }

  private acceptSecured(socket: Socket): void {
    const session = this.options.sessions.next(false, doorOf(socket))
    const refusal = this.refusalOf(session, socket)
    if (refusal !== null) return this.refuse(socket, refusal)
    const services = { ...this.options, moves: null }
    const connection = new Connection(socket, session, services, this, null)
    this.secured.add(connection)
    this.add(connection, null)
    if (this.isOver) connection.drain()
  }

  /** Why a new connection is not served; null: it is. */
  private refusalOf(session: Session, { remoteAddress }: Socket): Refusal | null {
    const { auth, connectionsMax, strangersMax } = this.options
    if (this.isOver && !this.evacuating) return refusals.draining
    if (this.isFull()) return refusals.limitExceeded('connections', connectionsMax)
    if (!auth.required || this.strangers.add(session, remoteAddress ?? null)) return null
    return refusals.limitExceeded('connections of an address before AUTH', strangersMax)
  }

  private isFull(): boolean {
    const shaking = this.handshakes?.size ?? 0
    return this.connections.size + shaking >= this.options.connectionsMax
  }

  private add(connection: Connection, arriving: Arriving | null): void {
    this.connections.add(connection)
    connection.start(arriving)
    // It was on its way here already.
    if (this.isOver && !this.evacuating) connection.drain()
  }

  private forget(connection: Connection): void {
    this.connections.delete(connection)
    this.secured.delete(connection)
    this.strangers.remove(connection.session)
  }

  /** So many more connections leave. Each is at the end of the line then, so those that could not are asked again. */
  private leaveSome(count: number): void {
    const { moves } = this.options
    if (moves === null) return
    let left = count
    for (const connection of [...this.connections]) {
      if (left === 0) return
      if (connection.isLeaving || this.secured.has(connection)) continue
      const to = moves.target(connection.session)
      if (to < 0) return
      this.connections.delete(connection)
      this.connections.add(connection)
      connection.leave(to)
      left--
    }
  }

  private refuse(socket: Socket, refusal: Refusal): void {
    this.options.traffic.connectionRefused(doorOf(socket))
    if (this.refused++ % LOG_EVERY === 0) {
      const { code, text } = refusal
      this.options.log.warn({ code, refused: this.refused }, `a connection is refused: ${text}`)
    }
    const out = new ByteWriter(256)
    writeRefusal(out, refusal)
    this.turnedAway.add(socket, out.toBuffer())
  }

  private acceptFailed(error: Error): void {
    if (this.acceptErrors++ % LOG_EVERY === 0) {
      this.options.log.error({ error: error.message, count: this.acceptErrors }, 'accept failed')
    }
  }

  private checkEmpty(): void {
    if (this.size === 0) this.onEmpty?.()
  }

  private close(): void {
    this.isOver = true
    for (const server of this.servers) server.close()
    this.servers.length = 0
  }

  private async empty(): Promise<void> {
    while (this.size > 0) {
      await new Promise<void>((resolve) => {
        const before = this.onEmpty
        this.onEmpty = () => {
          before?.()
          resolve()
        }
      })
    }
    this.onEmpty = null
    this.turnedAway.stop()
    this.handshakes?.stop()
    this.unfollow()
  }
}

/** A Unix socket has no address. */
function doorOf({ remoteAddress }: Socket): Door {
  return remoteAddress === undefined ? Door.unix : Door.tcp
}
