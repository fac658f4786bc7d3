// Connections that leave this worker for another one, and those that come.
//
//   from here                                            there
//     forgetPulls ──▶ every owner ──▶ sessionEnded         its waiting pulls wait no more, none was answered in between
//     moving + state ────────────────────────────▶         expect: room for it, its subscriptions are taken over
//     ◀───────────────────────────── moveAnswer            ready (or: not here)
//     the socket ──▶ primary ──adopt─────────────▶         renameHolder ──▶ every owner ──▶ renamed
//     ◀──────────────────────────────── arrived            it is served: nothing of it is left here
//
// 1. The state goes over the link and the socket over the primary: no client's byte passes through there, and a state
//    may have the size of a frame. The state is first, so a socket that nothing is known of is closed.
// 2. `arrived` is said when every owner knows the session by its new number. This worker may end after it: what the
//    owners then forget in its name is not in the name of the connection any more.
// 3. Whatever is lost on the way (a worker that dies) is the end of the connection, never a second life of it.
//
// Next: transports/tcp/leaving.ts, which drives a connection through this; ipc.ts for the socket's way.

import type { Socket } from 'node:net'
import { deserialize, serialize } from 'node:v8'
import type { Session, Subscriber } from '../engine/ports.ts'
import type { Link } from './link.ts'
import { FrameKind } from './link-frames.ts'
import type { Links } from './links.ts'
import type { Peer } from './peer.ts'
import type { ReplyHold } from './reply-hold.ts'
import type { Router } from './router.ts'
import type { Routes } from './routes.ts'
import type { Runner } from './runner.ts'
import type { LeftSubscription, Subscriptions } from './subscriptions.ts'

const HOLDER_BYTES = 8

/** A connection that is expected here; implemented by the transports. */
export interface Arrival {
  readonly session: Session
  /** Hears the events from now on. */
  readonly subscriber: Subscriber
  /** Goes on here. Null: the peer has gone on the way, what it was owed goes back. */
  arrived(socket: Socket | null): void
  /** It does not come. */
  dropped(): void
}

/** What `Moves` needs of the transports. */
export interface Arrivals {
  /** Null: no connections are taken here (any more, or yet). */
  expect(state: Buffer): Arrival | null
}

/** A connection on its way out. */
export interface Departure {
  /** Its socket, silent, with nothing unsent. `done`: it arrived, or is lost. */
  hand(socket: Socket, done: () => void): void
  /** It stays, or has closed. */
  off(): void
}

export interface MovesDeps {
  readonly routes: Routes
  readonly links: Links
  readonly router: Router
  readonly runner: Runner
  readonly subscriptions: Subscriptions
  /** Replies of this worker's shards that are not durable yet. */
  readonly hold: Pick<ReplyHold, 'whenSent'> | null
  /** Takes a socket to the worker `to`, by way of the primary. */
  send(to: number, holder: number, socket: Socket): void
}

/** What goes ahead of the socket. */
interface Ahead {
  readonly subscriptions: readonly LeftSubscription[]
  readonly state: Buffer
}

interface Leaver {
  readonly link: Link
  readonly subscriber: Subscriber
  readonly answer: (ready: boolean) => void
  /** The other worker has said that it is. */
  ready: boolean
  answered: boolean
  done: (() => void) | null
}

interface Comer {
  readonly peer: Peer
  readonly arrival: Arrival
}

/** Something that is over when each of several workers has answered or is gone. */
interface Tally {
  readonly workers: Set<number>
  readonly done: () => void
}

export class Moves {
  /** Set by the worker, when there are listeners. */
  arrivals: Arrivals = { expect: () => null }
  private readonly deps: MovesDeps
  private turnOf = 0
  /** By holder: sessions whose pulls are being forgotten. */
  private readonly forgetting = new Map<number, Tally>()
  private readonly leavers = new Map<number, Leaver>()
  /** By the holder at the worker where they come from. */
  private readonly comers = new Map<number, Comer>()
  /** By the new holder. */
  private readonly renaming = new Map<number, Tally>()

  constructor(deps: MovesDeps) {
    this.deps = deps
  }

  // ── From here ─────────────────────────────────────────────────────────────

  /** The worker that the session needs, else the others in turn; -1 when there is no other. */
  target(session: Session): number {
    const others = this.deps.routes.others()
    if (others.includes(session.away)) return session.away
    return others[this.turnOf++ % others.length] ?? -1
  }

  /** Its pulls wait no more. `done`: those that have been answered are, the others will never be. */
  forgetPulls(session: Session, done: () => void): void {
    const { routes, links, router, runner, hold } = this.deps
    const { holder } = session
    session.leaving = true
    router.forgetPulls(session)
    runner.forgetPulls(holder)
    const tally: Tally = { workers: new Set(), done }
    for (const worker of routes.others()) {
      if ((session.workersUsed & (1 << worker)) === 0) continue
      const link = links.existing(worker)
      if (link === null) continue
      tally.workers.add(worker)
      link.forgetPulls(holder)
    }
    this.forgetting.set(holder, tally)
    tally.workers.add(routes.me)
    const sent = (): void => count(this.forgetting, holder, routes.me)
    if (hold === null) sent()
    else hold.whenSent(sent)
  }

  /**
   * Announces a session whose pulls are forgotten at worker `to`. `answer(true)`: its socket may follow, and no
   * further event comes here; `answer(false)`, also after that and until `hand`: it can't go there, and what it was
   * subscribed to must be again. Null: the same, at once.
   */
  announce(
    to: number,
    session: Session,
    subscriber: Subscriber,
    state: Buffer,
    answer: (ready: boolean) => void,
  ): Departure | null {
    const { links, subscriptions } = this.deps
    const link = links.to(to)
    if (link === null) return null
    const { holder } = session
    const ahead: Ahead = { subscriptions: subscriptions.leave(subscriber), state }
    if (!link.post(FrameKind.moving, Buffer.concat([holderBytes(holder), serialize(ahead)]))) {
      return null
    }
    const leaver: Leaver = { link, subscriber, answer, ready: false, answered: false, done: null }
    this.leavers.set(holder, leaver)
    return {
      hand: (socket, done) => {
        leaver.done = done
        this.deps.send(to, holder, socket)
      },
      off: () => {
        if (this.leavers.get(holder) !== leaver) return
        this.leavers.delete(holder)
        link.post(FrameKind.moveOff, holderBytes(holder))
      },
    }
  }

  /** A subscription went over to another worker. */
  takenOver(no: number): void {
    const subscriber = this.deps.subscriptions.takenOver(no)
    if (subscriber === null) return
    for (const leaver of this.leavers.values()) {
      if (leaver.subscriber === subscriber) this.answerWhenReady(leaver)
    }
  }

  /** Subscriptions may have ended with their owners. */
  ownersChanged(): void {
    for (const leaver of [...this.leavers.values()]) this.answerWhenReady(leaver)
  }

  sessionEnded(worker: number, holder: number): void {
    count(this.forgetting, holder, worker)
  }

  linkFrame(link: Link, kind: number, body: Buffer): void {
    const holder = kind === FrameKind.takenOver ? 0 : body.readDoubleLE(0)
    switch (kind) {
      case FrameKind.takenOver:
        return this.takenOver(body.readUInt32LE(0))
      case FrameKind.moveAnswer:
        return this.answered(holder, body[HOLDER_BYTES] === 1)
      case FrameKind.arrived: {
        const leaver = this.leavers.get(holder)
        this.leavers.delete(holder)
        return leaver?.done?.()
      }
      case FrameKind.renamed:
        return count(this.renaming, holder, link.worker)
      default:
        throw new Error(`link frame of kind ${kind} from worker ${link.worker}`)
    }
  }

  linkLost(link: Link): void {
    for (const tallies of [this.forgetting, this.renaming]) {
      for (const key of [...tallies.keys()]) count(tallies, key, link.worker)
    }
    for (const [holder, leaver] of [...this.leavers]) {
      if (leaver.link !== link) continue
      this.leavers.delete(holder)
      if (leaver.done !== null) leaver.done()
      else leaver.answer(false)
    }
  }

  // ── To here ───────────────────────────────────────────────────────────────

  peerFrame(peer: Peer, kind: number, body: Buffer): void {
    const holder = body.readDoubleLE(0)
    switch (kind) {
      case FrameKind.moving:
        // A copy: what is read from it lies in it.
        return this.expect(peer, holder, Buffer.from(body.subarray(HOLDER_BYTES)))
      case FrameKind.moveOff: {
        const comer = this.comers.get(holder)
        this.comers.delete(holder)
        return comer?.arrival.dropped()
      }
      default:
        throw new Error(`link frame of kind ${kind} from worker ${peer.worker}`)
    }
  }

  peerClosed(peer: Peer): void {
    for (const [holder, comer] of [...this.comers]) {
      if (comer.peer !== peer) continue
      this.comers.delete(holder)
      comer.arrival.dropped()
    }
  }

  /** The socket of a connection whose session was `holder` at another worker; null: it was lost on the way. */
  adopt(holder: number, socket: Socket | null): void {
    const comer = this.comers.get(holder)
    if (comer === undefined) {
      // The worker where it comes from is gone, and with it what is held in the session's name.
      socket?.destroy()
      return
    }
    this.comers.delete(holder)
    const { routes, links, runner } = this.deps
    const { arrival, peer } = comer
    const to = arrival.session.holder
    const done = (): void => peer.post(FrameKind.arrived, holderBytes(holder))
    const tally: Tally = { workers: new Set(), done }
    runner.renameHolder(holder, to)
    // All of them: a shard, and what is held in it, may have moved since.
    for (const worker of routes.others()) {
      const link = links.to(worker)
      if (link === null) continue
      const body = Buffer.concat([holderBytes(holder), holderBytes(to)])
      if (link.post(FrameKind.renameHolder, body)) tally.workers.add(worker)
    }
    if (tally.workers.size === 0) done()
    else this.renaming.set(to, tally)
    arrival.arrived(socket)
  }

  private expect(peer: Peer, holder: number, bytes: Buffer): void {
    const { subscriptions, state } = deserialize(bytes) as Ahead
    const arrival = this.arrivals.expect(state)
    if (arrival === null) return answerMove(peer, holder, false)
    this.comers.set(holder, { peer, arrival })
    let open = 1
    const placed = (): void => {
      if (--open === 0) answerMove(peer, holder, true)
    }
    for (const left of subscriptions) {
      open++
      this.deps.subscriptions.takeOver(left, peer.worker, arrival.subscriber, placed)
    }
    placed()
  }

  private answered(holder: number, ready: boolean): void {
    const leaver = this.leavers.get(holder)
    if (leaver === undefined) return
    if (ready) {
      leaver.ready = true
      return this.answerWhenReady(leaver)
    }
    this.leavers.delete(holder)
    leaver.answer(false)
  }

  private answerWhenReady(leaver: Leaver): void {
    if (!leaver.ready || leaver.answered) return
    if (!this.deps.subscriptions.isGone(leaver.subscriber)) return
    leaver.answered = true
    leaver.answer(true)
  }
}

function count(tallies: Map<number, Tally>, key: number, worker: number): void {
  const tally = tallies.get(key)
  if (tally === undefined || !tally.workers.delete(worker) || tally.workers.size > 0) return
  tallies.delete(key)
  tally.done()
}

function answerMove(peer: Peer, holder: number, ready: boolean): void {
  peer.post(
    FrameKind.moveAnswer,
    Buffer.concat([holderBytes(holder), Buffer.from([ready ? 1 : 0])]),
  )
}

function holderBytes(holder: number): Buffer {
  const bytes = Buffer.allocUnsafe(HOLDER_BYTES)
  bytes.writeDoubleLE(holder)
  return bytes
}
