// Commands of the doors that are not a line each: HTTP, gRPC, what the server asks of itself.
//
//   In:   one frame (wire/frames.ts), in the name of a session
//   Out:  its reply line, when it comes
//   Next: cluster/router.ts behind the gate
//
// 1. The commands of one turn of the loop are one turn of the gate: waiting pulls are served after it.
// 2. Whoever can't deliver the jobs of an answer gives them back (`giveBack`). A session that has ended gets none any
//    more: what comes for it goes back by itself.

import type { ByteWriter } from '../engine/byte-writer.ts'
import type { Gate, ReplySlot, Session, Unwritten } from '../engine/ports.ts'
import { Door, Traffic } from '../engine/traffic.ts'
import type { Sessions } from './sessions.ts'
import { findOp } from './wire/fields.ts'
import { borrowWriter, returnWriter } from './writer-pool.ts'

export interface Answer {
  /** The reply's bytes, without their newline. */
  readonly line: Buffer
  /** The jobs that the line hands over, or null. */
  readonly handed: Unwritten | null
}

export class Caller {
  private readonly gate: Gate
  private readonly sessions: Sessions
  /** For commands that hold nothing. */
  private readonly common: Session
  private readonly ended = new WeakSet<Session>()
  private readonly traffic: Traffic
  private readonly door: Door
  private turnScheduled = false

  constructor(gate: Gate, sessions: Sessions, traffic = new Traffic(), door: Door = Door.server) {
    this.gate = gate
    this.sessions = sessions
    this.traffic = traffic
    this.door = door
    this.common = sessions.next(false, door)
  }

  /** For pulls, and for what is held until `end`. */
  begin(): Session {
    return this.sessions.next(false, this.door)
  }

  /** Its pulls wait no longer; jobs pulled with `release_on_close` return. */
  end(session: Session): void {
    this.ended.add(session)
    this.gate.sessionClosed(session)
    this.endTurn()
  }

  /** `frame` with its newline. Never rejects; stays unanswered when its session ends before. */
  call(frame: Buffer, session: Session = this.common): Promise<Answer> {
    return new Promise((resolve) => this.ask(frame, copiedTo(resolve), session))
  }

  /** The same for whoever answers by itself: `run` hands in what it has, and sees to it that `slot` is answered. */
  answered(
    run: (slot: ReplySlot, session: Session) => void,
    session: Session = this.common,
  ): Promise<Answer> {
    return new Promise((resolve) => {
      run(this.slot(copiedTo(resolve), session), session)
      this.endTurn()
    })
  }

  /**
   * As `call`, where a promise would cost as much as the command. `done` may be called at once; the line is valid until
   * it returns.
   */
  ask(frame: Buffer, done: (answer: Answer) => void, session: Session = this.common): void {
    const slot = this.slot(done, session, opOf(frame))
    this.gate.submit(frame, 0, frame.length - 1, slot, session)
    this.endTurn()
  }

  giveBack(handed: Unwritten): void {
    this.gate.giveBack(handed)
    this.endTurn()
  }

  /** `op` 0: it is not measured how long the answer takes. */
  private slot(done: (answer: Answer) => void, session: Session, op = 0): CallSlot {
    const { traffic, door } = this
    const sentMs = op === 0 ? 0 : performance.now()
    return new CallSlot((answer) => {
      traffic.replied(door, answer.line, 0, answer.line.length)
      if (op !== 0) traffic.took(door, op, performance.now() - sentMs)
      if (!this.ended.has(session)) done(answer)
      else if (answer.handed !== null) this.giveBack(answer.handed)
    })
  }

  private endTurn(): void {
    if (this.turnScheduled) return
    this.turnScheduled = true
    setImmediate(() => {
      this.turnScheduled = false
      this.gate.turnEnded()
    })
  }
}

function copiedTo(done: (answer: Answer) => void): (answer: Answer) => void {
  return ({ line, handed }) => done({ line: Buffer.from(line), handed })
}

class CallSlot implements ReplySlot {
  /** Nobody's line is before or behind this one. */
  unordered = true
  private writer: ByteWriter | null = null
  private readonly done: (answer: Answer) => void

  constructor(done: (answer: Answer) => void) {
    this.done = done
  }

  open(): ByteWriter {
    if (this.writer !== null) throw new Error('a command was answered twice')
    this.writer = borrowWriter()
    return this.writer
  }

  close(handed: Unwritten | null): void {
    const { writer } = this
    if (writer === null) throw new Error('a reply was closed that was not opened')
    this.done({ line: writer.bytes.subarray(0, writer.length - 1), handed })
    returnWriter(writer)
  }
}

const NAME_AT = '{"cmd":"'.length
const QUOTE = 0x22

/** Frames of doors begin like this (wire/frames.ts). */
function opOf(frame: Buffer): number {
  return findOp(frame, NAME_AT, frame.indexOf(QUOTE, NAME_AT))
}
