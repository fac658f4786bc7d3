// Where a frame goes: to the shard on this worker, over a link to the worker that owns it, or into pieces.
//
//   In:   frames of this worker's connections, replies of other workers (link.ts)
//   Out:  commands to the runner of this worker, requests to links
//   Next: shard-runner.ts here, peer.ts there
//
//   submit ─peek─▶ mine ──scan──▶ runner           not mine ──raw──▶ link      (no scan here)
//          ─scan─▶ every ──▶ gather.ts             ids of several workers ──▶ scatter.ts
//
// 1. A request that can't go where it belongs now is held, in order, for `HELD_MS_MAX` at most (held.ts).
// 2. A request whose owner died runs again only if it provably did not run, or may run twice (request.ts);
//    otherwise it is answered `outcome_unknown`. Never silently twice.
// 3. A request that comes back (`notOwner`, held, a lost link) is read anew, by the newest table;
//    except a pull of a session that is leaving, which is forgotten: it is asked again elsewhere (moves.ts).

import { Command } from '../engine/command.ts'
import { shardOfId } from '../engine/job-id.ts'
import { limits } from '../engine/limits.ts'
import { Op } from '../engine/op.ts'
import type { Clock, ReplySlot, Session, WireCodec } from '../engine/ports.ts'
import { type Refusal, refusals } from '../engine/refusal.ts'
import type { Traffic } from '../engine/traffic.ts'
import { NOBODY } from './assignment.ts'
import type { Gathers } from './gather.ts'
import { HELD_MS_MAX, Held } from './held.ts'
import type { Link } from './link.ts'
import type { Turn } from './outbox.ts'
import { refuse } from './refuse.ts'
import type { ReplyHold } from './reply-hold.ts'
import { findReqId, reqIdOf } from './req-id.ts'
import { isPull, mayRunTwice, Request } from './request.ts'
import { type Routes, routeOfCommand, SEVERAL } from './routes.ts'
import type { Runner } from './runner.ts'
import { scatter } from './scatter.ts'

/** What the router needs of the links. */
interface Ways {
  /** Null while the worker is not reachable. */
  to(worker: number): Pick<Link, 'send'> | null
  forgetLost(): void
}

export interface RouterDeps {
  readonly codec: WireCodec
  readonly clock: Clock
  readonly routes: Routes
  readonly runner: Runner
  readonly ways: Ways
  readonly gathers: Gathers
  /** Where replies wait for what they depend on; null where nothing is made durable. */
  readonly hold: ReplyHold | null
  /** Commands may have run: their turn must end. */
  readonly turn: Pick<Turn, 'schedule'>
  readonly traffic: Pick<Traffic, 'command'>
}

/** In the list of what is held: not a shard. */
const ALL_SHARDS = limits.shards

export class Router {
  private readonly deps: RouterDeps
  private readonly command = new Command()
  private readonly held: Held
  /** The request that is being read anew; its deadline holds on. */
  private again: Request | null = null

  constructor(deps: RouterDeps) {
    this.deps = deps
    this.held = new Held(() => {
      deps.ways.forgetLost()
      this.retryHeld()
    })
  }

  submit(bytes: Buffer, from: number, to: number, slot: ReplySlot, session: Session): void {
    const { command } = this
    const { codec, routes, traffic } = this.deps
    if (!routes.allMine && codec.peek(bytes, from, to, command)) {
      const shard = routes.shardOf(command)
      if (!routes.isMine(shard) && this.isReqIdClear(bytes, from, to)) {
        traffic.command(session.door, command.op)
        return this.forward(shard, false, bytes, from, to, slot, session)
      }
    }
    this.read(bytes, from, to, slot, session)
    // What it was read as; the parts of a command that was scattered have the same op.
    traffic.command(session.door, command.op)
  }

  /** Nobody waits for the pulls of this session any more. */
  forgetPulls(session: Session): void {
    if (this.held.isEmpty) return
    this.held.drop((request) => request.session === session && isPull(request.op))
  }

  notOwner(request: Request, line: Buffer): void {
    request.line = lineOf(line, 0, line.length)
    this.holdOrFail(request)
  }

  /** Of a lost link: those with a line did not run, or may run twice. */
  lost(requests: readonly Request[]): void {
    for (const request of requests) {
      if (request.line === null) this.fail(request, refusals.outcomeUnknown)
      else this.holdOrFail(request)
    }
    this.retryHeld()
  }

  /** Owners may have changed, or links may work again. */
  retryHeld(): void {
    if (this.held.isEmpty) return
    this.deps.turn.schedule()
    const nowMs = this.deps.clock.nowMs()
    for (const request of this.held.takeAll()) {
      const { line } = request
      if (nowMs >= request.deadlineMs || line === null) {
        this.fail(request, refusals.unavailable)
        continue
      }
      this.again = request
      this.read(line, 0, line.length - 1, request.slot, request.session)
      this.again = null
    }
  }

  stop(): void {
    this.held.takeAll()
  }

  private read(bytes: Buffer, from: number, to: number, slot: ReplySlot, session: Session): void {
    const { command } = this
    const { codec, routes } = this.deps
    const refusal = codec.scan(bytes, from, to, command)
    if (refusal !== null) return codec.reply(command, slot).refused(refusal)
    const route = routeOfCommand(command)
    if (route === 'every') return this.readEvery(bytes, from, to, slot, session)
    if (route === 'ids' && !command.hasId) return this.readIds(bytes, from, to, slot, session)
    const shard = routes.shardOf(command)
    if (!routes.isMine(shard)) return this.forward(shard, false, bytes, from, to, slot, session)
    if (this.deps.hold === null) this.run(slot, session)
    else this.runHeld(this.deps.hold, shard, bytes, from, to, slot, session)
  }

  /** `command`, here. */
  private run(slot: ReplySlot, session: Session): void {
    const { command } = this
    const { codec, routes, runner } = this.deps
    session.workersUsed |= 1 << routes.me
    session.awayCount = 0
    runner.execute(command, codec.reply(command, slot), session.holder)
  }

  /** The same where replies wait until they are durable. A pull whose shard moves on is asked again where it went. */
  private runHeld(
    hold: ReplyHold,
    shard: number,
    bytes: Buffer,
    from: number,
    to: number,
    slot: ReplySlot,
    session: Session,
  ): void {
    const { op } = this.command
    const reqId = reqIdOf(this.command)
    if (!isPull(op)) return this.run(hold.slot(slot, reqId, null), session)
    const line = lineOf(bytes, from, to)
    const request = new Request(op, shard, false, slot, session, line, reqId)
    this.run(
      hold.slot(slot, reqId, () => this.holdOrFail(request)),
      session,
    )
  }

  /** Asks all shards, when all are there: a sum over some of them would be wrong without saying so. */
  private readEvery(
    bytes: Buffer,
    from: number,
    to: number,
    slot: ReplySlot,
    session: Session,
  ): void {
    const { command } = this
    const { codec, routes, gathers } = this.deps
    const { op } = command
    const request = this.requestOf(ALL_SHARDS, true, slot, session, lineOf(bytes, from, to))
    if (!routes.allOwned) return this.holdOrFail(request)
    const { query } = command
    const again = (): void => this.holdOrFail(request)
    gathers.start(op, codec.reply(command, slot), again, op === Op.LISTJOBS ? query : null)
  }

  private readIds(
    bytes: Buffer,
    from: number,
    to: number,
    slot: ReplySlot,
    session: Session,
  ): void {
    const { command } = this
    const { codec, routes } = this.deps
    const owner = routes.ownerOfIds(command.ids, command.idCount)
    if (owner === routes.me) {
      return this.run(this.deps.hold?.slot(slot, reqIdOf(command), null) ?? slot, session)
    }
    if (owner !== SEVERAL) {
      const shard = shardOfId(command.ids[0] as number)
      return this.forward(shard, true, bytes, from, to, slot, session)
    }
    const ownerOf = (id: number): number => routes.ownerOf(shardOfId(id))
    for (const part of scatter(command, codec.reply(command, slot), ownerOf)) {
      this.read(part.line, 0, part.line.length - 1, part.slot, session)
    }
  }

  /** `command` has been peeked or scanned. */
  private forward(
    shard: number,
    severalShards: boolean,
    bytes: Buffer,
    from: number,
    to: number,
    slot: ReplySlot,
    session: Session,
  ): void {
    const { routes, ways } = this.deps
    const line = mayRunTwice(this.command.op) ? lineOf(bytes, from, to) : null
    const request = this.requestOf(shard, severalShards, slot, session, line)
    const owner = routes.ownerOf(shard)
    const way = owner === NOBODY || this.held.has(shard) ? null : ways.to(owner)
    if (way === null) {
      request.line ??= lineOf(bytes, from, to)
      return this.holdOrFail(request)
    }
    noteAway(session, owner)
    if (!way.send(request, bytes, from, to)) this.fail(request, refusals.unavailable)
  }

  /** `command`, to be answered later or elsewhere. */
  private requestOf(
    shard: number,
    severalShards: boolean,
    slot: ReplySlot,
    session: Session,
    line: Buffer | null,
  ): Request {
    const reqId = reqIdOf(this.command)
    if (reqId !== '') slot.unordered = true
    const request = new Request(this.command.op, shard, severalShards, slot, session, line, reqId)
    request.deadlineMs = this.again?.deadlineMs ?? 0
    return request
  }

  private holdOrFail(request: Request): void {
    // Whoever moves the session has the pull's frame, and asks again where it goes.
    if (request.session.leaving && isPull(request.op)) return
    if (request.deadlineMs === 0) request.deadlineMs = this.deps.clock.nowMs() + HELD_MS_MAX
    if (!this.held.add(request)) this.fail(request, refusals.unavailable)
  }

  private fail(request: Request, refusal: Refusal): void {
    refuse(this.deps.codec, request.slot, request.reqId, refusal)
  }

  /**
   * Whether the peek says all there is to know about the frame's reqId: without it a failure can't be
   * answered, and a pull that may wait would hold back its followers.
   */
  private isReqIdClear(bytes: Buffer, from: number, to: number): boolean {
    const { op, reqIdFrom } = this.command
    return reqIdFrom >= 0 || !(isPull(op) || findReqId(bytes, from, to))
  }
}

/** The command goes to another worker; see `commandsBeforeMove`. */
function noteAway(session: Session, owner: number): void {
  session.workersUsed |= 1 << owner
  session.awayCount = session.away === owner ? session.awayCount + 1 : 1
  session.away = owner
}

/** A copy of a frame with the newline that the scanner wants behind it. */
function lineOf(bytes: Buffer, from: number, to: number): Buffer {
  const line = Buffer.allocUnsafe(to - from + 1)
  bytes.copy(line, 0, from, to)
  line[to - from] = 0x0a
  return line
}
