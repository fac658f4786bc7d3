// A TCP proxy on the loopback that can do to a connection whatever a network can.
//
//   client ──▶ proxy ──▶ server        cut: reset both sides, at once, after some bytes, or at a message
//                                      swallow: both stay open, and bytes are gone     slow: bytes come later
//
// 1. By itself it changes nothing. What is armed for one connection happens once, to the first that fits.
// 2. A connection that has lost bytes is cut when the swallowing ends: it can't be whole again.

import { type AddressInfo, connect, createServer, type NetConnectOpts, type Socket } from 'node:net'
import { type MessageEnd, PgMessages } from './pg-messages.ts'

/** Cut right after the client's message of this kind, right before the server's, or when a commit was not told. */
export type Step = 'Parse' | 'Bind' | 'Execute' | 'Sync' | 'CommandComplete' | 'committed'

type Side = 'client' | 'server'

interface Armed {
  readonly step: Step
  readonly application: RegExp
  readonly done: () => void
}

/** Steps that a message of this side may be; `committed` begins with the Sync whose answer is withheld. */
const STEPS: Readonly<Record<Side, Readonly<Record<string, readonly Step[]>>>> = {
  client: { P: ['Parse'], B: ['Bind'], E: ['Execute'], S: ['Sync', 'committed'] },
  server: { C: ['CommandComplete'] },
}
const READY_FOR_QUERY = 'Z'

export class TcpProxy {
  /** 0 = bytes pass at once. */
  delayMs = 0
  /** What this side sends is dropped. */
  swallow: Side | 'both' | null = null
  /** New connections are reset. */
  refusing = false
  private readonly target: () => NetConnectOpts
  private readonly server = createServer({ allowHalfOpen: true }, (socket) => this.accept(socket))
  private readonly pairs = new Set<Pair>()
  private armed: Armed[] = []

  constructor(target: () => NetConnectOpts) {
    this.target = target
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  get size(): number {
    return this.pairs.size
  }

  start(): Promise<this> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject)
      this.server.listen(0, '127.0.0.1', () => resolve(this))
    })
  }

  stop(): Promise<void> {
    this.cutAll()
    return new Promise((resolve) => this.server.close(() => resolve()))
  }

  cutAll(): void {
    for (const pair of this.pairs) pair.cut()
  }

  /** Cuts the n-th connection when it has passed `bytes` more. False: there is none. */
  cutAfter(n: number, bytes: number): boolean {
    const pair = [...this.pairs][n % Math.max(1, this.pairs.size)]
    if (pair === undefined) return false
    if (bytes === 0) pair.cut()
    else pair.bytesLeft = bytes
    return true
  }

  /** Resolves when the next connection of such an application was cut at this step. */
  cutAt(step: Step, application = /^/): Promise<void> {
    return new Promise((resolve) => {
      this.armed.push({ step, application, done: resolve })
    })
  }

  /** What is armed and has not happened is given up. */
  disarm(): void {
    for (const { done } of this.armed.splice(0)) done()
  }

  /** Ends the swallowing. */
  heal(): void {
    this.swallow = null
    this.delayMs = 0
    for (const pair of this.pairs) if (pair.isHoled) pair.cut()
  }

  /** The first armed step that fits is no longer armed: it happens now. */
  takeArmed(application: string, steps: readonly Step[]): Step | null {
    const found = this.armed.find(
      (each) => steps.includes(each.step) && each.application.test(application),
    )
    if (found === undefined) return null
    this.armed = this.armed.filter((each) => each !== found)
    found.done()
    return found.step
  }

  get isArmed(): boolean {
    return this.armed.length > 0
  }

  forget(pair: Pair): void {
    this.pairs.delete(pair)
  }

  private accept(socket: Socket): void {
    if (this.refusing) return reset(socket.on('error', () => undefined))
    this.pairs.add(new Pair(this, socket, connect({ allowHalfOpen: true, ...this.target() })))
  }
}

class Pair {
  bytesLeft = Number.POSITIVE_INFINITY
  isHoled = false
  private readonly proxy: TcpProxy
  private readonly sockets: Readonly<Record<Side, Socket>>
  private readonly messages = { client: new PgMessages('client'), server: new PgMessages('server') }
  private readonly late: Readonly<Record<Side, Late[]>> = { client: [], server: [] }
  /** The server's answer is not passed on; when it is complete the connection is cut. */
  private withholding = false
  private isCut = false

  constructor(proxy: TcpProxy, client: Socket, server: Socket) {
    this.proxy = proxy
    this.sockets = { client, server }
    for (const side of ['client', 'server'] as const) {
      const from = this.sockets[side]
      from.setNoDelay(true)
      from.on('data', (piece: Buffer) => this.pass(side, piece))
      from.on('end', () => this.forward(side, null))
      from.on('error', () => this.cut())
      from.on('close', () => this.cut())
    }
  }

  cut(): void {
    if (this.isCut) return
    this.isCut = true
    this.proxy.forget(this)
    for (const socket of Object.values(this.sockets)) reset(socket)
  }

  private pass(side: Side, piece: Buffer): void {
    if (this.isCut) return
    const { proxy } = this
    const ends = this.messages[side].feed(piece)
    if (proxy.swallow === side || proxy.swallow === 'both') {
      this.isHoled = true
      return
    }
    if (side === 'server' && this.withholding) {
      if (ends.some(({ tag }) => tag === READY_FOR_QUERY)) this.cut()
      return
    }
    const whole = proxy.isArmed ? this.untilStep(side, piece, ends) : piece
    const part = whole.subarray(0, Math.min(whole.length, this.bytesLeft))
    this.bytesLeft -= part.length
    if (part.length > 0) this.forward(side, part)
    if (this.bytesLeft <= 0 || whole !== piece) this.cutWhenSent(side)
  }

  /** The piece itself, or as much of it as comes before an armed step. */
  private untilStep(side: Side, piece: Buffer, ends: readonly MessageEnd[]): Buffer {
    const application = this.messages.client.settings.get('application_name') ?? ''
    for (const { tag, from, to } of ends) {
      const armed = this.proxy.takeArmed(application, STEPS[side][tag] ?? [])
      if (armed === null) continue
      if (armed !== 'committed') {
        return piece.subarray(0, side === 'client' ? to : Math.max(0, from))
      }
      this.withholding = true
    }
    return piece
  }

  /** Null: the side has ended. What is late stays in order. */
  private forward(side: Side, piece: Buffer | null): void {
    const { delayMs } = this.proxy
    const late = this.late[side]
    if (delayMs === 0 && late.length === 0) return this.write(side, piece)
    late.push({ piece, dueMs: performance.now() + delayMs })
    if (late.length === 1) this.writeLate(side)
  }

  private writeLate(side: Side): void {
    const [first] = this.late[side]
    if (first === undefined) return
    setTimeout(() => {
      this.late[side].shift()
      this.write(side, first.piece)
      this.writeLate(side)
    }, first.dueMs - performance.now())
  }

  private write(side: Side, piece: Buffer | null): void {
    const to = this.sockets[other(side)]
    if (this.isCut || !to.writable) return
    if (piece === null) return void to.end()
    if (to.write(piece)) return
    const from = this.sockets[side]
    from.pause()
    to.once('drain', () => from.resume())
  }

  /** What was passed on must have left before the reset does. */
  private cutWhenSent(side: Side): void {
    this.sockets[other(side)].write('', () => this.cut())
  }
}

interface Late {
  readonly piece: Buffer | null
  readonly dueMs: number
}

/** A Unix socket can't be reset, only closed. */
function reset(socket: Socket): void {
  if (socket.remoteAddress === undefined) socket.destroy()
  else socket.resetAndDestroy()
}

function other(side: Side): Side {
  return side === 'client' ? 'server' : 'client'
}
