// This worker's way to one other worker: what its clients ask of shards that live there.
//
//   router ──Request──▶ requests[no] + request frame ──▶ owner (peer.ts)
//          ◀─ the request's slot ◀── reply frame, in whatever order the owner answers
//
// 1. A request's number is its place in `requests`. It is free again when the request has been answered,
//    or when `sessionEnded` says that it never will be (a pull of a session that has closed).
// 2. When the link is lost, every unanswered request goes back to the router, oldest first: with its line
//    if it provably never left this process or may run twice, else without, for an `outcome_unknown`.
// 3. A link is lost once, by its socket's close: only then has everything that the owner sent been read.

import { connect, type Socket } from 'node:net'
import { limits } from '../engine/limits.ts'
import type { Unwritten } from '../engine/ports.ts'
import {
  ANY_SHARD,
  beginFrame,
  endFrame,
  type FrameHandler,
  FrameKind,
  FrameReader,
  putF64,
  putHanded,
  putRequest,
  putU16,
  putU32,
  ReplyFlag,
  readHanded,
} from './link-frames.ts'
import { Outbox, type Turn } from './outbox.ts'
import { type Part, readPart } from './part.ts'
import { isPull, type Request } from './request.ts'

/** All links read into it. More than Node's own 64 KiB: most replies to a batch arrive whole. */
const readBuffer = Buffer.allocUnsafeSlow(1024 * 1024)

/** What a link tells the worker. */
export interface LinkListener {
  /** The owner does not own the request's shard (any more); the line is valid only during the call. */
  notOwner(request: Request, line: Buffer): void
  gathered(worker: number, no: number, part: Part): void
  surveyed(worker: number, no: number, json: string): void
  /** A rendered event for a subscription of this worker. */
  subscribed(no: number): void
  event(no: number, line: Buffer): void
  /** The owner has forgotten the pulls of this session, or closed it: no more replies to pulls. */
  sessionEnded(link: Link, holder: number): void
  /** A frame of moves.ts; the body is valid only during the call. */
  linkFrame(link: Link, kind: number, body: Buffer): void
  /** `requests` are unanswered, oldest first; those with a line may be sent again. */
  lost(link: Link, requests: readonly Request[]): void
  bug(error: unknown): void
}

export class Link implements FrameHandler {
  readonly worker: number
  readonly incarnation: number
  isLost = false
  private readonly listener: LinkListener
  private readonly outbox: Outbox
  private readonly socket: Socket
  private readonly reader = new FrameReader(this)
  private readonly requests: (Request | null)[] = []
  private readonly free: number[] = []
  private serial = 0
  /** Holders of closed sessions that the owner has not confirmed, and the last request before that. */
  private readonly closing = new Map<number, number>()
  private readonly ended = new Set<number>()

  constructor(
    from: { worker: number; incarnation: number },
    to: { worker: number; incarnation: number; path: string },
    turn: Turn,
    listener: LinkListener,
  ) {
    this.worker = to.worker
    this.incarnation = to.incarnation
    this.listener = listener
    this.outbox = new Outbox(turn)
    this.hello(from.worker, from.incarnation)
    this.socket = connect({
      path: to.path,
      onread: {
        buffer: readBuffer,
        callback: (count) => this.read(readBuffer.subarray(0, count)),
      },
    })
    this.socket.on('connect', () => this.outbox.attach(this.socket))
    // Whatever the error is, `close` follows, and is what counts.
    this.socket.on('error', () => undefined)
    this.socket.on('close', () => this.lose())
  }

  /** False when the link's backlog is full: the request was not taken. */
  send(request: Request, line: Buffer, from: number, to: number): boolean {
    const { outbox } = this
    if (outbox.backlogBytes + (to - from) > limits.linkBacklogBytesMax) return false
    const no = this.free.pop() ?? this.requests.length
    this.requests[no] = request
    request.no = no
    request.serial = ++this.serial
    request.flushes = outbox.flushes
    request.lineBytes = to - from
    const shard = request.severalShards ? ANY_SHARD : request.shard
    const { holder } = request.session
    request.lineAt = putRequest(outbox.writer, shard, no, holder, line, from, to)
    outbox.added()
    return true
  }

  giveBack(unwritten: Unwritten): void {
    const start = this.begin(FrameKind.giveBack)
    putHanded(this.outbox.writer, unwritten)
    this.end(start)
  }

  sessionClosed(holder: number): void {
    this.endSession(FrameKind.sessionClosed, holder)
  }

  /** Answered by `sessionEnded`. */
  forgetPulls(holder: number): void {
    this.endSession(FrameKind.forgetPulls, holder)
  }

  /** False when the backlog is full. */
  post(kind: FrameKind, body: Buffer): boolean {
    if (this.outbox.backlogBytes + body.length > limits.linkBacklogBytesMax) return false
    const start = this.begin(kind)
    this.outbox.writer.copy(body, 0, body.length)
    this.end(start)
    return true
  }

  gather(op: number, no: number, query: string): void {
    const start = this.begin(FrameKind.gather)
    this.outbox.writer.byte(op)
    putU32(this.outbox.writer, no)
    this.outbox.writer.utf8(query)
    this.end(start)
  }

  /** False when the backlog is full. */
  survey(no: number, topic: string): boolean {
    if (this.outbox.backlogBytes > limits.linkBacklogBytesMax) return false
    const start = this.begin(FrameKind.survey)
    putU32(this.outbox.writer, no)
    this.outbox.writer.utf8(topic)
    this.end(start)
    return true
  }

  /** False when the backlog is full. */
  mail(json: string): boolean {
    if (this.outbox.backlogBytes > limits.linkBacklogBytesMax) return false
    const start = this.begin(FrameKind.mail)
    this.outbox.writer.utf8(json)
    this.end(start)
    return true
  }

  subscribe(no: number, events: number, queue: string): void {
    const start = this.begin(FrameKind.subscribe)
    putU32(this.outbox.writer, no)
    putU32(this.outbox.writer, events)
    this.outbox.writer.utf8(queue)
    this.end(start)
  }

  /** The same, in place of the subscription `its` of `worker`, such that no event is sent to both or none. */
  takeOver(no: number, events: number, queue: string, worker: number, its: number): void {
    const start = this.begin(FrameKind.takeOver)
    putU32(this.outbox.writer, no)
    putU32(this.outbox.writer, events)
    putU16(this.outbox.writer, worker)
    putU32(this.outbox.writer, its)
    this.outbox.writer.utf8(queue)
    this.end(start)
  }

  hear(queue: string, kinds: number): void {
    const start = this.begin(FrameKind.hear)
    this.outbox.writer.byte(kinds)
    this.outbox.writer.utf8(queue)
    this.end(start)
  }

  unsubscribe(no: number): void {
    const start = this.begin(FrameKind.unsubscribe)
    putU32(this.outbox.writer, no)
    this.end(start)
  }

  get backlogBytes(): number {
    return this.outbox.backlogBytes
  }

  get sentBytes(): number {
    return this.socket.bytesWritten
  }

  get receivedBytes(): number {
    return this.socket.bytesRead
  }

  /** Requests that are not answered, waiting pulls among them. */
  get openRequests(): number {
    return this.requests.length - this.free.length
  }

  close(): void {
    this.socket.destroy()
  }

  frame(kind: number, bytes: Buffer, from: number, to: number): void {
    switch (kind) {
      case FrameKind.reply:
        return this.reply(bytes, from, to)
      case FrameKind.notOwner: {
        const request = this.take(bytes.readUInt32LE(from))
        return this.listener.notOwner(request, bytes.subarray(from + 4, to))
      }
      case FrameKind.sessionEnded:
        this.ended.add(bytes.readDoubleLE(from))
        return
      case FrameKind.gathered: {
        const part = readPart(bytes, from + 4, to)
        return this.listener.gathered(this.worker, bytes.readUInt32LE(from), part)
      }
      case FrameKind.surveyed: {
        const json = bytes.toString('utf8', from + 4, to)
        return this.listener.surveyed(this.worker, bytes.readUInt32LE(from), json)
      }
      case FrameKind.subscribed:
        return this.listener.subscribed(bytes.readUInt32LE(from))
      case FrameKind.fence:
        // The replies before it are written by the microtasks of this turn.
        setImmediate(() => this.end(this.begin(FrameKind.fenced)))
        return
      case FrameKind.event:
        return this.listener.event(bytes.readUInt32LE(from), bytes.subarray(from + 4, to))
      default:
        return this.listener.linkFrame(this, kind, bytes.subarray(from, to))
    }
  }

  private endSession(kind: FrameKind, holder: number): void {
    this.closing.set(holder, this.serial)
    const start = this.begin(kind)
    putF64(this.outbox.writer, holder)
    this.end(start)
  }

  private hello(worker: number, incarnation: number): void {
    const start = this.begin(FrameKind.hello)
    putU16(this.outbox.writer, worker)
    putU32(this.outbox.writer, incarnation)
    this.end(start)
  }

  private begin(kind: FrameKind): number {
    return beginFrame(this.outbox.writer, kind)
  }

  private end(start: number): void {
    endFrame(this.outbox.writer, start)
    this.outbox.added()
  }

  /** True: go on reading. `chunk` is read into again after the call. */
  private read(chunk: Buffer): boolean {
    try {
      this.reader.push(chunk)
      if (this.ended.size > 0) this.sessionsEnded()
    } catch (error) {
      this.listener.bug(error)
    }
    return true
  }

  private reply(bytes: Buffer, from: number, to: number): void {
    const flags = bytes[from] as number
    const request = this.take(bytes.readUInt32LE(from + 1))
    const lineFrom = from + 9
    const lineTo = lineFrom + bytes.readUInt32LE(from + 5)
    const { slot } = request
    if ((flags & ReplyFlag.unordered) !== 0) slot.unordered = true
    slot.open().copy(bytes, lineFrom, lineTo)
    slot.close((flags & ReplyFlag.handed) !== 0 ? readHanded(bytes, lineTo, to) : null)
  }

  private take(no: number): Request {
    const request = this.requests[no]
    if (request === null || request === undefined) throw new Error(`reply to no request: ${no}`)
    this.requests[no] = null
    this.free.push(no)
    return request
  }

  /** The owner has forgotten these sessions' pulls: they will not be answered. */
  private sessionsEnded(): void {
    for (const request of this.requests) {
      if (request === null || !this.ended.has(request.session.holder)) continue
      if (this.isForgotten(request)) this.take(request.no)
    }
    const ended = [...this.ended]
    this.ended.clear()
    for (const holder of ended) this.closing.delete(holder)
    for (const holder of ended) this.listener.sessionEnded(this, holder)
  }

  /** A pull of a session that had closed when it was already on its way. */
  private isForgotten(request: Request): boolean {
    const lastBefore = this.closing.get(request.session.holder)
    return lastBefore !== undefined && isPull(request.op) && request.serial <= lastBefore
  }

  private lose(): void {
    if (this.isLost) return
    this.isLost = true
    this.outbox.detach()
    const { bytes } = this.outbox.writer
    const unanswered: Request[] = []
    for (const request of this.requests) {
      if (request === null) continue
      if (this.isForgotten(request)) continue
      if (request.flushes === this.outbox.flushes) {
        const { lineAt, lineBytes } = request
        // With the newline that ends its frame.
        request.line = Buffer.from(bytes.subarray(lineAt, lineAt + lineBytes + 1))
      }
      unanswered.push(request)
    }
    this.requests.length = 0
    unanswered.sort((a, b) => a.serial - b.serial)
    this.listener.lost(this, unanswered)
  }
}
