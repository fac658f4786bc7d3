// One client connection, TCP or Unix socket: bytes in, replies out, both bounded.
//
//   In:   chunks of the socket
//   Out:  frames to the gate, each with a slot for its reply; the bytes of replies and events to the socket
//   Next: wire/framer.ts, then cluster/router.ts behind the gate
//
//            end of input, drain,                 nothing owed           both sides ended
//   ┌──────┐ fatal refusal   ┌───────────┐        any more    ┌───────┐  or lingered too long ┌────────┐
//   │ open │────────────────▶│ finishing │───────────────────▶│ ended │──────────────────────▶│ closed │
//   └──────┘                 └───────────┘                    └───────┘                       └────────┘
//     frames run               input is discarded,              FIN is sent                      ▲
//   │ ▲ │                        waiting pulls are over                                            │
//   │ │ └───────────────────────── error, peer gone, peer never reads ────────────────────────────-┘
//   ▼ │ can't go
//   leaving ──▶ the other worker (leaving.ts; arriving.ts where it comes from one)
//
// 1. A turn is one chunk: its frames run, their replies leave in one write, then the gate may serve
//    waiting pulls. So an ACK's reply is on its way before the job that its slot lets go (T2).
// 2. Reading stops for two reasons only: too many commands are not answered, or the peer is owed more
//    than it should be. What has been read stays in the framer until then.
// 3. End of input ends the peer's waiting pulls: a consumer that died looks just like one that has only stopped
//    sending, and a job sent to the dead is lost to everybody. Other replies are still sent.
// 4. When the socket is closed, every job in a line that was not written goes back to its queue.
// 5. A connection that leaves is `stalled`: nothing is read and no frame runs until it is elsewhere, or stays.

import type { Socket } from 'node:net'
import { Command } from '../../engine/command.ts'
import { limits } from '../../engine/limits.ts'
import { Op } from '../../engine/op.ts'
import { ALL_QUEUES, type Reply, type Session, type Unwritten } from '../../engine/ports.ts'
import { checkQueueName } from '../../engine/queue-name.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import { Framer } from '../wire/framer.ts'
import { writeRefusal } from '../wire/reply-json.ts'
import { Account } from './account.ts'
import type { Arriving } from './arriving.ts'
import type { ConnectionServices } from './connection-services.ts'
import {
  Asked,
  askedBy,
  Ends,
  endedBy,
  endsWhat,
  isOwnCommand,
  lookAt,
  UNSURE,
} from './first-look.ts'
import { answerCancelled, keepPull, lineNow } from './kept-pull.ts'
import { type Host, Leaving } from './leaving.ts'
import { writeState } from './moving.ts'
import { Output } from './output.ts'
import { readInto } from './read-buffer.ts'
import { ReplyQueue, type ReplyQueueOwner } from './reply-queue.ts'
import { Subscriptions } from './subscriptions.ts'

/** How long a peer that we have finished with may keep its side open. */
const LINGER_MS = 2000
const KEEP_ALIVE_MS = 30_000
/** What `readFirst` says of a frame that it has answered. */
const ANSWERED = -2

/** What becomes of a connection. */
export interface Owner {
  closed(connection: Connection): void
  /** It is on its way to another worker, … */
  leaves(connection: Connection): void
  /** … and arrived there, or was lost. */
  left(): void
}

/** Scratch of all connections: valid from a scan to the end of the same frame. */
const command = new Command()

export class Connection implements ReplyQueueOwner, Host {
  readonly session: Session
  readonly output: Output
  readonly replies: ReplyQueue
  readonly subscriptions: Subscriptions
  private readonly account: Account
  private readonly socket: Socket
  private readonly services: ConnectionServices
  private readonly owner: Owner
  private readonly framer: Framer
  private state: 'open' | 'leaving' | 'finishing' | 'ended' | 'closed' = 'open'
  private leaving: Leaving | null = null
  private authed: boolean
  /** The peer sends no more. */
  private inputEnded = false
  /** Reading has stopped; frames may be left in the framer. */
  private stalled = false
  /** Our own frames are running: their replies are flushed when they are through. */
  private inTurn = false
  private wakeScheduled = false
  private sessionOver = false
  private lingerTimer: NodeJS.Timeout | null = null
  private readonly wakeUp = (): void => this.wake()

  /** `arriving`: it comes from another worker, with that state. */
  constructor(
    socket: Socket,
    session: Session,
    services: ConnectionServices,
    owner: Owner,
    arriving: Arriving | null,
  ) {
    this.socket = readInto(socket, (bytes, length) => this.data(bytes, length))
    this.session = session
    this.services = services
    this.owner = owner
    this.authed = arriving?.state.authed ?? !services.auth.required
    this.framer = new Framer(this.authed ? services.frameBytesMax : limits.frameBytesMaxBeforeAuth)
    this.output = new Output(this.socket, () => this.progressed())
    const known = arriving?.state.consumer ?? null
    const { traffic, consumers, codec } = services
    const address = socket.remoteAddress ?? null
    this.account = new Account(traffic, consumers, session, codec, address, known)
    this.replies = new ReplyQueue(this.output, this, this.account)
    this.subscriptions = arriving?.subscriber ?? new Subscriptions(services.gate)
  }

  /** `arriving` as above. */
  start(arriving: Arriving | null): void {
    const { socket } = this
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    socket.on('end', () => this.inputEnds())
    socket.on('error', (error) => this.failed(error))
    socket.on('close', () => this.closed())
    const dropped = (): void => this.services.traffic.eventDropped(this.session.door)
    this.subscriptions.attach(this.output, () => this.replied(), dropped)
    if (arriving !== null) this.resume(arriving)
  }

  /**
   * It goes to another worker as soon as it can, unless it is ending anyway. It may turn out that it can't: then it
   * goes on here, and may be asked again.
   */
  leave(to: number): void {
    const { services, framer } = this
    if (this.state !== 'open' || this.inputEnded || framer.tooLarge || services.moves === null)
      return
    this.state = 'leaving'
    if (!this.stalled) this.socket.pause()
    this.stalled = true
    this.leaving = new Leaving(this, services.moves, to)
    this.leaving.advance()
  }

  get isLeaving(): boolean {
    return this.state === 'leaving'
  }

  /** Takes no more commands, and closes when what it owes is answered and sent. */
  drain(): void {
    if (this.state === 'leaving') this.stay()
    this.finish(refusals.draining)
    this.schedule()
  }

  destroy(): void {
    this.socket.destroy()
  }

  replied(): void {
    if (!this.inTurn) this.schedule()
  }

  giveBack(handed: Unwritten): void {
    this.services.gate.giveBack(handed)
  }

  pack(): Buffer {
    const { codec, clock } = this.services
    const nowMs = clock.nowMs()
    return writeState({
      authed: this.authed,
      owed: this.replies.pack((slot) => lineNow(slot, codec, nowMs)),
      rest: this.framer.left(),
      subscriptions: this.subscriptions.all(),
      consumer: this.account.pack(),
    })
  }

  release(): Socket {
    const { socket } = this
    this.state = 'closed'
    this.leaving = null
    this.framer.close()
    this.replies.abandon()
    this.account.close()
    socket.removeAllListeners()
    socket.on('error', () => undefined)
    // The session goes on elsewhere, so it is not closed here.
    this.owner.leaves(this)
    return socket
  }

  stays(): void {
    this.stay()
    this.subscriptions.renew()
    this.askPullsAgain()
    this.services.gate.turnEnded()
    this.schedule()
  }

  left(): void {
    this.owner.left()
  }

  private stay(): void {
    this.leaving?.cancel()
    this.leaving = null
    this.state = 'open'
    this.session.leaving = false
    this.session.away = -1
    this.session.awayCount = 0
  }

  private resume({ state }: Arriving): void {
    this.replies.unpack(state.owed, this.services.clock.nowMs())
    this.askPullsAgain()
    this.framer.feed(state.rest)
    this.run()
  }

  /** They wait nowhere any more. */
  private askPullsAgain(): void {
    const { gate, codec, clock } = this.services
    const nowMs = clock.nowMs()
    for (const slot of this.replies.waiting()) {
      const line = lineNow(slot, codec, nowMs)
      gate.submit(line, 0, line.length - 1, slot, this.session)
    }
  }

  private data(bytes: Buffer, length: number): void {
    if (this.state !== 'open') {
      if (this.state === 'leaving') throw new Error('a chunk came while the connection leaves')
      return
    }
    if (this.stalled) throw new Error('a chunk came while reading was stopped')
    this.framer.feed(bytes, length)
    this.run()
  }

  private inputEnds(): void {
    this.inputEnded = true
    if (this.state === 'open' && !this.stalled) this.run()
  }

  /** Runs the frames that are there, as far as the bounds allow. */
  private run(): void {
    const { framer } = this
    this.inTurn = true
    let crowded = this.isCrowded()
    while (!crowded && this.state === 'open' && framer.next()) {
      this.frame(framer.bytes, framer.from, framer.to)
      crowded = this.isCrowded()
    }
    if (this.state === 'open') this.afterFrames(crowded)
    this.output.flush()
    this.services.gate.turnEnded()
    this.output.flush()
    this.inTurn = false
    this.progressed()
    this.settle()
  }

  private afterFrames(crowded: boolean): void {
    const { framer } = this
    if (framer.tooLarge) {
      this.refuseAndFinish(refusals.frameTooLarge(framer.frameBytesMax))
    } else if (crowded) {
      this.stalled = true
      framer.keep()
      this.socket.pause()
    } else if (this.inputEnded) {
      if (framer.end()) this.frame(framer.bytes, framer.from, framer.to)
      this.services.gate.turnEnded()
      this.finish(null)
    }
  }

  private isCrowded(): boolean {
    return (
      this.replies.owed >= limits.inFlightPerConnectionMax ||
      this.owedBytes() > limits.outgoingBytesHigh
    )
  }

  private hasRoom(): boolean {
    return (
      this.replies.owed <= limits.inFlightPerConnectionMax / 2 &&
      this.owedBytes() <= limits.outgoingBytesHigh / 2
    )
  }

  private owedBytes(): number {
    return this.output.unsentBytes + this.replies.heldBytes
  }

  private frame(bytes: Buffer, from: number, to: number): void {
    let asked: number = this.authed ? lookAt(bytes, from) : UNSURE
    let ends: Ends = Ends.nothing
    if (asked !== UNSURE) {
      ends = endsWhat(bytes, from)
    } else {
      asked = this.readFirst(bytes, from, to)
      if (asked === ANSWERED) return
      ends = endedBy(command.op)
    }
    const slot = this.replies.next(asked as Asked)
    const { gate, codec, clock } = this.services
    this.account.came(slot, asked as Asked, ends, bytes, from, to)
    gate.submit(bytes, from, to, slot, this.session)
    if (asked !== Asked.other && !slot.done) {
      this.replies.keep(slot, keepPull(codec, bytes, from, to), clock.nowMs())
    }
    this.replies.settle(slot)
  }

  /** Reads a frame that may be for the connection itself. Answers it, or says what it asks of the gate. */
  private readFirst(bytes: Buffer, from: number, to: number): Asked | typeof ANSWERED {
    const { codec } = this.services
    if (this.authed && codec.peek(bytes, from, to, command)) return askedBy(command.op)
    const refusal = codec.scan(bytes, from, to, command)
    const isOwn = refusal === null && isOwnCommand(command.op)
    if (refusal === null && this.authed && !isOwn) return askedBy(command.op)
    this.services.traffic.command(this.session.door, refusal === null ? command.op : 0)
    const slot = this.replies.next(Asked.other)
    const reply = codec.reply(command, slot)
    if (refusal !== null) reply.refused(refusal)
    else if (command.op === Op.AUTH) this.authenticate(command.secret, reply)
    else if (!this.authed) reply.refused(refusals.authRequired)
    else if (command.op === Op.SUBSCRIBE) this.subscribe(command, reply)
    else if (command.op === Op.HELLO) this.account.hello(command, reply)
    else this.unsubscribe(command, reply)
    this.replies.settle(slot)
    return ANSWERED
  }

  private authenticate(secret: string, reply: Reply): void {
    const { auth, frameBytesMax, log } = this.services
    const address = this.socket.remoteAddress ?? null
    const verdict = auth.attempt(secret, address)
    switch (verdict) {
      case 'invalid':
        reply.refused(refusals.authInvalid)
        return
      case 'throttled':
        log.warn({ address }, 'too many failed attempts to authenticate')
        reply.refused(refusals.authThrottled)
        this.finish(null)
        return
      default:
        this.authed = true
        this.framer.frameBytesMax = frameBytesMax
        reply.ok()
    }
  }

  private subscribe({ queue, events }: Command, reply: Reply): void {
    const refusal = this.subscriptions.add(queue, events, () => reply.ok())
    if (refusal !== null) reply.refused(refusal)
  }

  private unsubscribe({ queue }: Command, reply: Reply): void {
    const refusal = queue === ALL_QUEUES ? null : checkQueueName(queue)
    if (refusal !== null) return reply.refused(refusal)
    this.subscriptions.remove(queue)
    reply.ok()
  }

  private refuseAndFinish(refusal: Refusal): void {
    const slot = this.replies.next(Asked.other)
    writeRefusal(slot.open(), refusal)
    slot.close(null)
    this.replies.settle(slot)
    this.finish(null)
  }

  /** No more frames are run. Waiting pulls end with `refusal`, or as if their wait were over. */
  private finish(refusal: Refusal | null): void {
    if (this.state !== 'open') return
    this.state = 'finishing'
    this.endSession()
    this.replies.cancelPulls((slot) => {
      answerCancelled(slot, refusal)
    })
    // What still comes is discarded: without reading, the end of input would not be seen.
    if (this.stalled) this.socket.resume()
    this.stalled = false
  }

  /** A reply came, or the kernel took bytes, outside of a turn of our own. */
  private schedule(): void {
    if (this.wakeScheduled) return
    this.wakeScheduled = true
    queueMicrotask(this.wakeUp)
  }

  /** The kernel may have taken something. */
  private progressed(): void {
    this.subscriptions.caughtUp()
    if (this.leaving !== null) return this.leaving.advance()
    if (this.stalled && this.state === 'open' && this.hasRoom()) this.schedule()
    if (this.session.awayCount >= limits.commandsBeforeMove) this.leaveIfQuiet()
  }

  private wake(): void {
    this.wakeScheduled = false
    if (this.state === 'closed') return
    this.output.flush()
    if (this.stalled && this.state === 'open' && this.hasRoom()) {
      this.stalled = false
      this.run()
      if (this.state === 'open' && !this.stalled) this.socket.resume()
    } else {
      this.progressed()
      this.settle()
    }
  }

  private settle(): void {
    if (this.state === 'finishing' && this.replies.owed === 0) this.end()
    if (this.owedBytes() > limits.outgoingBytesMax) {
      this.services.log.warn(
        { address: this.socket.remoteAddress },
        'a client does not read: closed',
      )
      this.socket.destroy()
    }
  }

  private end(): void {
    this.state = 'ended'
    this.output.send()
    this.socket.end(() => this.linger())
  }

  /** Everything is sent. The peer gets a while to see it and to close; closing first might cut it off. */
  private linger(): void {
    if (this.state === 'closed') return
    this.lingerTimer = setTimeout(() => this.socket.destroy(), LINGER_MS)
    this.lingerTimer.unref()
  }

  /** All its commands are for one other worker: the connection goes there, when nothing but pulls is on its way. */
  private leaveIfQuiet(): void {
    const { session } = this
    const quiet =
      !this.stalled &&
      !this.inTurn &&
      this.framer.isEmpty &&
      this.output.unsentBytes === 0 &&
      this.replies.onlyPullsWait
    if (quiet && session.workersUsed === 1 << session.away) this.leave(session.away)
  }

  private endSession(): void {
    if (this.sessionOver) return
    this.sessionOver = true
    this.services.gate.sessionClosed(this.session)
    this.subscriptions.removeAll()
  }

  private failed(error: Error): void {
    // Whatever the error is, `close` follows, and is what counts.
    this.services.log.debug({ error: error.message }, 'connection failed')
  }

  private closed(): void {
    if (this.state === 'closed') return
    this.state = 'closed'
    const { gate } = this.services
    this.account.close()
    if (this.lingerTimer !== null) clearTimeout(this.lingerTimer)
    this.leaving?.cancel()
    this.framer.close()
    for (const handed of this.output.abandon()) gate.giveBack(handed)
    for (const handed of this.replies.abandon()) gate.giveBack(handed)
    this.endSession()
    gate.turnEnded()
    this.owner.closed(this)
  }
}
