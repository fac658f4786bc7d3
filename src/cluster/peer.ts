// Another worker's way to this one: its clients' requests come in, run here, and their replies go back.
//
//   request frame ──scan──▶ Command ──▶ runner ──▶ Reply on a LinkSlot ──▶ reply frame
//
// 1. A request whose shard is not owned here goes back whole (`notOwner`): it did not run.
// 2. Requests are not read while the peer does not read its replies. Replies are always read, so two
//    workers can't wait for each other.
// 3. When the link is gone, so is the worker at its other end: its sessions are forgotten here, and jobs
//    of replies that can't be sent return to their queues.

import type { Socket } from 'node:net'
import { ByteWriter } from '../engine/byte-writer.ts'
import { Command } from '../engine/command.ts'
import type { HeldSlots } from '../engine/held-slots.ts'
import { shardOfId } from '../engine/job-id.ts'
import { limits } from '../engine/limits.ts'
import type { ReplySlot, Subscriber, Unwritten, WireCodec } from '../engine/ports.ts'
import type { Hearer } from './chronicle.ts'
import {
  ANY_SHARD,
  beginFrame,
  beginReply,
  endFrame,
  endReply,
  type FrameHandler,
  FrameKind,
  FrameReader,
  putF64,
  putU32,
  readHanded,
} from './link-frames.ts'
import { Outbox, type Turn } from './outbox.ts'
import { type Part, putPart } from './part.ts'
import { PeerHearer } from './peer-hearer.ts'
import type { ReplyHold } from './reply-hold.ts'
import { reqIdOf } from './req-id.ts'
import { isPull } from './request.ts'
import type { Runner } from './runner.ts'

/** The same connection, whose bytes come to `onChunk`: `bytes[0..length)`, which are read over after the call. */
export type PeerSockets = (
  socket: Socket,
  onChunk: (bytes: Buffer, length: number) => void,
) => Socket

/** What a peer needs of its worker. */
export interface PeerHost {
  readonly codec: WireCodec
  readonly runner: Runner
  readonly turn: Turn
  readonly hold: ReplyHold | null
  /** The peer has said who it is; an older link of the same worker index is over. */
  peerNamed(peer: Peer): void
  peerClosed(peer: Peer): void
  /** Commands have run: waiting pulls and mail are next. */
  ran(): void
  giveBack(unwritten: Unwritten): void
  /** `give` may be called later. */
  gather(op: number, query: string, give: (part: Part) => void): void
  survey(topic: string): unknown
  mail(json: string): void
  subscribeHere(queue: string, events: number, subscriber: Subscriber): void
  unsubscribeHere(queue: string, subscriber: Subscriber): void
  /** A subscription of that worker is about to be another one's. */
  takeOverFrom(worker: number, no: number): void
  /** The worker of `hearer` asks for these kinds of events, 0 for none (any more). */
  hear(hearer: Hearer, queue: string, kinds: number): void
  /** Its worker is gone. */
  forget(hearer: Hearer): void
  /** A frame of moves.ts; the body is valid only during the call. */
  peerFrame(peer: Peer, kind: number, body: Buffer): void
  bug(error: unknown): void
}

export class Peer implements FrameHandler {
  worker = -1
  incarnation = 0
  isClosed = false
  readonly outbox: Outbox
  private readonly host: PeerHost
  private readonly socket: Socket
  private readonly reader = new FrameReader(this)
  private readonly command = new Command()
  private readonly subscriptions = new Map<number, PeerSubscriber>()
  private fences: (readonly HeldSlots[])[] = []
  private hearer: PeerHearer | null = null

  constructor(accepted: Socket, readInto: PeerSockets, host: PeerHost) {
    const socket = readInto(accepted, (bytes, length) => this.read(bytes.subarray(0, length)))
    this.socket = socket
    this.host = host
    this.outbox = new Outbox(host.turn)
    this.outbox.attach(socket)
    socket.on('drain', () => socket.resume())
    // It may be half open: nobody is there any more.
    socket.on('end', () => socket.destroy())
    // Whatever the error is, `close` follows, and is what counts.
    socket.on('error', () => undefined)
    socket.on('close', () => this.closed())
  }

  close(): void {
    this.socket.destroy()
    this.closed()
  }

  frame(kind: number, bytes: Buffer, from: number, to: number): void {
    const { host } = this
    switch (kind) {
      case FrameKind.request:
        return this.request(bytes, from, to)
      case FrameKind.giveBack:
        return host.giveBack(readHanded(bytes, from, to))
      case FrameKind.sessionClosed:
        host.runner.holderClosed(bytes.readDoubleLE(from))
        return this.sessionEnded(bytes.readDoubleLE(from))
      case FrameKind.forgetPulls:
        host.runner.forgetPulls(bytes.readDoubleLE(from))
        return this.sessionEnded(bytes.readDoubleLE(from))
      case FrameKind.renameHolder:
        host.runner.renameHolder(bytes.readDoubleLE(from), bytes.readDoubleLE(from + 8))
        return this.post(FrameKind.renamed, bytes.subarray(from + 8, to))
      case FrameKind.gather:
        return this.gather(
          bytes[from] as number,
          bytes.readUInt32LE(from + 1),
          bytes.toString('utf8', from + 5, to),
        )
      case FrameKind.survey:
        return this.survey(bytes.readUInt32LE(from), bytes.toString('utf8', from + 4, to))
      case FrameKind.mail:
        return host.mail(bytes.toString('utf8', from, to))
      case FrameKind.subscribe: {
        const no = bytes.readUInt32LE(from)
        const events = bytes.readUInt32LE(from + 4)
        return this.subscribe(no, events, bytes.toString('utf8', from + 8, to))
      }
      case FrameKind.takeOver: {
        const no = bytes.readUInt32LE(from)
        const events = bytes.readUInt32LE(from + 4)
        host.takeOverFrom(bytes.readUInt16LE(from + 8), bytes.readUInt32LE(from + 10))
        return this.subscribe(no, events, bytes.toString('utf8', from + 14, to))
      }
      case FrameKind.unsubscribe:
        return this.unsubscribe(bytes.readUInt32LE(from))
      case FrameKind.hear:
        this.hearer ??= new PeerHearer(this.outbox)
        return host.hear(this.hearer, bytes.toString('utf8', from + 1, to), bytes[from] as number)
      case FrameKind.fenced:
        host.runner.freeSlots(this.fences.shift() ?? [])
        return
      case FrameKind.hello:
        this.worker = bytes.readUInt16LE(from)
        this.incarnation = bytes.readUInt32LE(from + 2)
        return host.peerNamed(this)
      default:
        return host.peerFrame(this, kind, bytes.subarray(from, to))
    }
  }

  /** After the replies to its pulls, also those that are held: their numbers are free then. */
  private sessionEnded(holder: number): void {
    const { hold } = this.host
    const post = (): void => {
      const { writer } = this.outbox
      const start = beginFrame(writer, FrameKind.sessionEnded)
      putF64(writer, holder)
      endFrame(writer, start)
      this.outbox.added()
    }
    if (hold === null) post()
    else hold.whenSent(post)
  }

  post(kind: FrameKind, body: Buffer): void {
    const { writer } = this.outbox
    const start = beginFrame(writer, kind)
    writer.copy(body, 0, body.length)
    endFrame(writer, start)
    this.outbox.added()
  }

  /** Its subscription ends here; what was sent before is all that it gets. */
  takenOver(no: number): void {
    this.unsubscribe(no)
    const { writer } = this.outbox
    const start = beginFrame(writer, FrameKind.takenOver)
    putU32(writer, no)
    endFrame(writer, start)
    this.outbox.added()
  }

  private survey(no: number, topic: string): void {
    const { writer } = this.outbox
    const start = beginFrame(writer, FrameKind.surveyed)
    putU32(writer, no)
    writer.utf8(JSON.stringify(this.host.survey(topic)))
    endFrame(writer, start)
    this.outbox.added()
  }

  private read(chunk: Buffer): void {
    if (this.isClosed) return
    try {
      this.reader.push(chunk)
      this.host.ran()
    } catch (error) {
      this.host.bug(error)
    }
    if (this.outbox.backlogBytes > limits.outgoingBytesHigh) {
      this.outbox.flush()
      if (this.socket.writableNeedDrain) this.socket.pause()
    }
  }

  private request(bytes: Buffer, from: number, to: number): void {
    const shard = bytes[from] as number
    const no = bytes.readUInt32LE(from + 1)
    const holder = bytes.readDoubleLE(from + 5)
    const lineFrom = from + 13
    const lineTo = to - 1
    const { codec, runner } = this.host
    if (shard !== ANY_SHARD && !runner.serves(shard))
      return this.notOwner(no, bytes, lineFrom, lineTo)
    const { command } = this
    const refusal = codec.scan(bytes, lineFrom, lineTo, command)
    const slot = new LinkSlot(this, no)
    if (refusal !== null) return codec.reply(command, slot).refused(refusal)
    if (shard === ANY_SHARD && !this.ownsAll()) return this.notOwner(no, bytes, lineFrom, lineTo)
    const { hold } = this.host
    const out =
      hold === null
        ? slot
        : hold.slot(slot, reqIdOf(command), this.bounceOf(no, bytes, lineFrom, lineTo))
    runner.executeAway(command, codec.reply(command, out), holder)
    const held = runner.takeHeldSlots()
    if (held !== null) slot.fence(held)
  }

  /** A pull whose shard moves on goes back to its worker, which asks the next owner. */
  private bounceOf(no: number, bytes: Buffer, from: number, to: number): (() => void) | null {
    if (!isPull(this.command.op)) return null
    const line = Buffer.from(bytes.subarray(from, to))
    return () => this.notOwner(no, line, 0, line.length)
  }

  /** Slots that its requests have freed are given on when their answers are on their way to the clients. */
  fence(held: readonly HeldSlots[]): void {
    if (this.isClosed) return void this.host.runner.freeSlots(held)
    const { writer } = this.outbox
    endFrame(writer, beginFrame(writer, FrameKind.fence))
    this.outbox.added()
    this.fences.push(held)
  }

  private ownsAll(): boolean {
    const { hasId, id, ids, idCount } = this.command
    if (hasId) return this.host.runner.serves(shardOfId(id))
    for (let i = 0; i < idCount; i++) {
      if (!this.host.runner.serves(shardOfId(ids[i] as number))) return false
    }
    return true
  }

  private notOwner(no: number, bytes: Buffer, from: number, to: number): void {
    if (this.isClosed) return
    const { writer } = this.outbox
    const start = beginFrame(writer, FrameKind.notOwner)
    putU32(writer, no)
    writer.copy(bytes, from, to)
    endFrame(writer, start)
    this.outbox.added()
  }

  private gather(op: number, no: number, query: string): void {
    this.host.gather(op, query, (part) => {
      if (this.isClosed) return
      const { writer } = this.outbox
      const start = beginFrame(writer, FrameKind.gathered)
      putU32(writer, no)
      putPart(writer, part)
      endFrame(writer, start)
      this.outbox.added()
    })
  }

  private subscribe(no: number, events: number, queue: string): void {
    const subscriber = new PeerSubscriber(this.outbox, no, queue)
    this.subscriptions.set(no, subscriber)
    this.host.subscribeHere(queue, events, subscriber)
    const { writer } = this.outbox
    const start = beginFrame(writer, FrameKind.subscribed)
    putU32(writer, no)
    endFrame(writer, start)
    this.outbox.added()
  }

  private unsubscribe(no: number): void {
    const subscriber = this.subscriptions.get(no)
    if (subscriber === undefined) return
    this.subscriptions.delete(no)
    this.host.unsubscribeHere(subscriber.queue, subscriber)
  }

  private closed(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.outbox.detach()
    this.host.runner.freeSlots(this.fences.flat())
    this.fences = []
    for (const no of [...this.subscriptions.keys()]) this.unsubscribe(no)
    if (this.hearer !== null) this.host.forget(this.hearer)
    this.host.peerClosed(this)
  }

  /** For `LinkSlot`. */
  lineWritten(): void {
    this.outbox.added()
  }

  /** For `LinkSlot`: its reply had no way to go. */
  lineLost(handed: Unwritten | null): void {
    if (handed !== null) this.host.giveBack(handed)
  }
}

/** Where replies to a link that is gone are written. */
const nowhere = new ByteWriter()

class LinkSlot implements ReplySlot {
  unordered = false
  private readonly peer: Peer
  private readonly no: number
  private start = 0
  private isDone = false
  private fences: readonly HeldSlots[] | null = null

  constructor(peer: Peer, no: number) {
    this.peer = peer
    this.no = no
  }

  /** Behind its line. */
  fence(held: readonly HeldSlots[]): void {
    if (this.isDone) this.peer.fence(held)
    else this.fences = held
  }

  open(): ByteWriter {
    if (this.peer.isClosed) {
      nowhere.length = 0
      return nowhere
    }
    const { writer } = this.peer.outbox
    this.start = beginReply(writer, this.no)
    return writer
  }

  close(handed: Unwritten | null): void {
    const { peer, fences } = this
    this.isDone = true
    if (peer.isClosed) peer.lineLost(handed)
    else {
      endReply(peer.outbox.writer, this.start, this.unordered, handed)
      peer.lineWritten()
    }
    if (fences !== null) peer.fence(fences)
  }
}

/** A subscriber at the other end. What its link can't take is dropped, and said so when there is room again. */
class PeerSubscriber implements Subscriber {
  readonly queue: string
  private readonly outbox: Outbox
  private readonly no: number
  private dropped = 0

  constructor(outbox: Outbox, no: number, queue: string) {
    this.outbox = outbox
    this.no = no
    this.queue = queue
  }

  event(line: Buffer): void {
    if (this.outbox.backlogBytes > limits.outgoingBytesHigh) {
      this.dropped++
      return
    }
    if (this.dropped > 0) {
      this.write(Buffer.from(`{"event":"dropped","count":${this.dropped}}\n`))
      this.dropped = 0
    }
    this.write(line)
  }

  private write(line: Buffer): void {
    const { writer } = this.outbox
    const start = beginFrame(writer, FrameKind.event)
    putU32(writer, this.no)
    writer.copy(line, 0, line.length)
    endFrame(writer, start)
    this.outbox.added()
  }
}
