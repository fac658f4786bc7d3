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
//    The ids of a batch leave a little later, with those of other connections (turn-end.ts).
// 2. Reading stops for two reasons only: too many commands are not answered, or the peer is owed more
//    than it should be. What has been read stays in the framer until then.
// 3. End of input ends the peer's waiting pulls: a consumer that died looks just like one that has only stopped
//    sending, and a job sent to the dead is lost to everybody. Other replies are still sent.
// 4. When the socket is closed, every job in a line that was not written goes back to its queue.
// 5. A connection that leaves is `stalled`: nothing is read and no frame runs until it is elsewhere, or stays.

import type { Socket } from 'node:net'
import { Command } from '../../engine/command.ts'
import { limits } from '../../engine/limits.ts'
import type { Session, Unwritten } from '../../engine/ports.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import type { Principal } from '../auth/principal.ts'
import { atTurnEnd } from '../turn-end.ts'
import { Framer } from '../wire/framer.ts'
import { writeRefusal } from '../wire/reply-json.ts'
import { Account } from './account.ts'
import type { Arriving } from './arriving.ts'
import { Asked, askedBy, lookAt, UNSURE } from './first-look.ts'
import { keepPull, pullNow } from './kept-pull.ts'
import { type Host, Leaving } from './leaving.ts'
import { writeState } from './moving.ts'
import { Output } from './output.ts'
import { answerOwn, isOwnCommand, type Speaker } from './own-commands.ts'
import { Parting } from './parting.ts'
import { readInto } from './read-buffer.ts'
import { ReplyQueue, type ReplyQueueOwner } from './reply-queue.ts'
import type { ConnectionServices, Owner } from './services.ts'
import { Standing } from './standing.ts'
import { Subscriptions } from './subscriptions.ts'

const KEEP_ALIVE_MS = 30_000
/** How long a peer whose token is gone may take to read what it is owed. */
const EXPEL_MS = 300
/** What `readFirst` says of a frame that it has answered. */
const ANSWERED = -2

/** Scratch of all connections: valid from a scan to the end of the same frame. */
const command = new Command()

export class Connection implements ReplyQueueOwner, Host, Speaker {
  readonly session: Session
  readonly output: Output
  readonly replies: ReplyQueue
  readonly subscriptions: Subscriptions
  readonly account: Account
  private readonly socket: Socket
  private readonly services: ConnectionServices
  private readonly owner: Owner<Connection>
  private readonly framer: Framer
  private state: 'open' | 'leaving' | 'finishing' | 'ended' | 'closed' = 'open'
  private leaving: Leaving | null = null
  private readonly standing: Standing
  /** The peer sends no more. */
  private inputEnded = false
  /** Reading has stopped; frames may be left in the framer. */
  private stalled = false
  /** A frame waits for what it must be asked of: no later one runs before it. */
  private checking = false
  /** What is left in the framer is in memory of its own. */
  private isKept = false
  /** Our own frames are running: their replies are flushed when they are through. */
  private inTurn = false
  private wakeScheduled = false
  private sessionOver = false
  private readonly parting: Parting
  private readonly wakeUp = (): void => this.wake()

  /** `arriving`: it comes from another worker, with that state. */
  constructor(
    socket: Socket,
    session: Session,
    services: ConnectionServices,
    owner: Owner<Connection>,
    arriving: Arriving | null,
  ) {
    this.socket = readInto(socket, (bytes, length) => this.data(bytes, length))
    this.session = session
    this.services = services
    this.owner = owner
    this.standing = new Standing(services, arriving?.state.standing)
    this.framer = new Framer(
      this.principal === null ? limits.frameBytesMaxBeforeAuth : services.frameBytesMax,
    )
    this.output = new Output(this.socket, () => this.progressed())
    this.parting = new Parting(this.socket)
    this.account = new Account(services, session, this.address, arriving?.state.consumer ?? null)
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
    this.subscriptions.attach(this.output, () => this.replied(), this.account)
    this.standing.wait(this.services.authTimeoutMs, () => this.expel(refusals.authRequired))
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

  /** Ends it when a token that it lives by is gone. */
  checkStanding(): void {
    if (this.standing.isOver) this.expel(refusals.authInvalid)
  }

  get principal(): Principal | null {
    return this.standing.principal
  }

  get address(): string | null {
    return this.socket.remoteAddress ?? null
  }

  becomes(principal: Principal): Refusal | null {
    const refusal = this.standing.enter(principal)
    if (refusal !== null) return refusal
    this.owner.knows(this)
    this.framer.frameBytesMax = this.services.frameBytesMax
    return null
  }

  isThrottled(): void {
    this.finish(null)
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
      standing: this.standing.keys(),
      owed: this.replies.pack((slot) => pullNow(slot, codec, nowMs)),
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
    this.standing.close()
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
    if (this.standing.isOver) return this.expel(refusals.authInvalid)
    this.askPullsAgain()
    this.framer.feed(state.rest)
    this.run()
  }

  /** They wait nowhere any more. */
  private askPullsAgain(): void {
    const { gate, codec, clock } = this.services
    const nowMs = clock.nowMs()
    for (const slot of this.replies.waiting()) {
      const line = pullNow(slot, codec, nowMs)
      gate.submit(line, 0, line.length - 1, slot, this.session)
    }
  }

  private data(bytes: Buffer, length: number): void {
    if (this.state === 'closed') return
    if (this.stalled) throw new Error('a chunk came while reading was stopped')
    if (this.state !== 'open') return
    this.isKept = false
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
    let mustWait = this.mustWait()
    while (!mustWait && this.state === 'open' && framer.next()) {
      this.frame(framer.bytes, framer.from, framer.to)
      mustWait = this.mustWait()
    }
    if (this.state === 'open') this.afterFrames(mustWait)
    const { canWait } = this.output
    if (!canWait) this.output.flush()
    this.services.gate.turnEnded()
    this.inTurn = false
    if (canWait) return this.schedule(atTurnEnd)
    this.output.flush()
    this.progressed()
    this.settle()
  }

  private afterFrames(mustWait: boolean): void {
    const { framer } = this
    if (framer.tooLarge) {
      this.refuseAndFinish(refusals.frameTooLarge(framer.frameBytesMax))
    } else if (mustWait) {
      this.stalled = true
      if (!this.isKept) framer.keep()
      this.isKept = true
      this.socket.pause()
    } else if (this.inputEnded) {
      if (framer.end()) this.frame(framer.bytes, framer.from, framer.to)
      this.services.gate.turnEnded()
      this.finish(null)
    }
  }

  /** No further frame may run now. */
  private mustWait(): boolean {
    return (
      this.checking ||
      this.replies.owed >= limits.inFlightPerConnectionMax ||
      this.owedBytes() > limits.outgoingBytesHigh
    )
  }

  private hasRoom(): boolean {
    return (
      !this.checking &&
      this.replies.owed <= limits.inFlightPerConnectionMax / 2 &&
      this.owedBytes() <= limits.outgoingBytesHigh / 2
    )
  }

  private owedBytes(): number {
    return this.output.unsentBytes + this.replies.heldBytes
  }

  private frame(bytes: Buffer, from: number, to: number): void {
    let asked: number = this.standing.isTrusted ? lookAt(bytes, from) : UNSURE
    const isPlain = asked !== UNSURE
    if (!isPlain) {
      asked = this.readFirst(bytes, from, to)
      if (asked === ANSWERED) return
    }
    const slot = this.replies.next(asked as Asked)
    const { gate, codec, clock } = this.services
    this.account.came(slot, asked as Asked, isPlain ? 0 : command.op, bytes, from, to)
    gate.submit(bytes, from, to, slot, this.session)
    if (asked !== Asked.other && !slot.done) {
      this.replies.keep(slot, keepPull(codec, bytes, from, to), clock.nowMs())
    }
    this.replies.settle(slot)
  }

  /** Reads a frame that may be for the connection itself. Answers it, or says what it asks of the gate. */
  private readFirst(bytes: Buffer, from: number, to: number): Asked | typeof ANSWERED {
    const { codec } = this.services
    const { principal, isTrusted } = this.standing
    if (isTrusted && codec.peek(bytes, from, to, command)) return askedBy(command.op)
    const wrong = codec.scan(bytes, from, to, command)
    const refusal = this.standing.spend(to - from) ?? wrong
    if (refusal === null && principal !== null && !isOwnCommand(command.op)) {
      return isTrusted ? askedBy(command.op) : this.readGuarded(principal, bytes, from, to)
    }
    this.account.own(wrong === null ? command.op : 0)
    const slot = this.replies.next(Asked.other)
    const reply = codec.reply(command, slot)
    if (refusal !== null) reply.refused(refusal)
    else answerOwn(command, reply, this, this.services.auth)
    this.replies.settle(slot)
    return ANSWERED
  }

  /** The same of a frame that has been scanned, of a principal that may not do everything. */
  private readGuarded(
    principal: Principal,
    bytes: Buffer,
    from: number,
    to: number,
  ): Asked | typeof ANSWERED {
    const { codec, guard } = this.services
    const verdict = guard.check(principal, command)
    if (verdict === 'runs') return askedBy(command.op)
    const slot = this.replies.next(Asked.other)
    if (verdict === 'asks') {
      this.checking = true
      const line = bytes.subarray(from, to)
      void guard.run(principal, line, slot, this.session).then(() => this.checked())
    } else {
      codec.reply(command, slot).refused(verdict)
    }
    this.replies.settle(slot)
    return ANSWERED
  }

  private checked(): void {
    this.checking = false
    this.services.gate.turnEnded()
    this.schedule()
  }

  private refuseAndFinish(refusal: Refusal): void {
    const slot = this.replies.next(Asked.other)
    writeRefusal(slot.open(), refusal)
    slot.close(null)
    this.replies.settle(slot)
    this.finish(null)
  }

  /** It is over, and the peer is told why. */
  private expel(refusal: Refusal): void {
    if (this.state === 'leaving') this.stay()
    if (this.state !== 'open') return
    if (this.standing.isOver) this.finish(refusal)
    else this.refuseAndFinish(refusal)
    this.parting.cutOffAfter(EXPEL_MS)
    this.schedule()
  }

  /** No more frames are run. Waiting pulls end with `refusal`, or as if their wait were over. */
  private finish(refusal: Refusal | null): void {
    if (this.state !== 'open') return
    this.state = 'finishing'
    this.endSession()
    this.replies.cancelPulls(refusal)
    // What still comes is discarded: without reading, the end of input would not be seen.
    if (this.stalled) this.socket.resume()
    this.stalled = false
  }

  /** A reply came, or the kernel took bytes, outside of a turn of our own. */
  private schedule(soon: (task: () => void) => void = queueMicrotask): void {
    if (!this.wakeScheduled) soon(this.wakeUp)
    this.wakeScheduled = true
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
      const { address } = this
      this.services.log.warn({ address }, 'a client does not read: closed')
      this.socket.destroy()
    }
  }

  private end(): void {
    this.state = 'ended'
    this.output.send()
    this.socket.end(() => this.parting.linger())
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
    this.parting.end()
    this.leaving?.cancel()
    this.standing.close()
    this.framer.close()
    for (const handed of this.output.abandon()) gate.giveBack(handed)
    for (const handed of this.replies.abandon()) gate.giveBack(handed)
    this.endSession()
    gate.turnEnded()
    this.owner.closed(this)
  }
}
