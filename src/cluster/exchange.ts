// What stands between a worker's connections, its shards and the other workers.
//
//   connections ──Gate──▶ Exchange ──▶ router ──▶ runner (shards of this worker)
//                                         └─────▶ links ──▶ other workers
//   other workers ──▶ peers ──▶ runner
//
// The newest table of the primary decides who owns what (`applyTable`). A shard that this worker has given
// back stays given back, until a table of a later epoch says otherwise.

import { chmodSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { incarnationOfHolder, workerOfHolder } from '../engine/holder-number.ts'
import type { ShardId } from '../engine/job-id.ts'
import { limits } from '../engine/limits.ts'
import type {
  Clock,
  Gate,
  NoteSink,
  ParentMail,
  ReplySlot,
  Session,
  Subscriber,
  Unwritten,
  WireCodec,
} from '../engine/ports.ts'
import type { Traffic } from '../engine/traffic.ts'
import { NOBODY } from './assignment.ts'
import { Chronicle, type Hearer } from './chronicle.ts'
import type { ClusterFigures } from './cluster-figures.ts'
import type { DurableOptions, Keeper } from './durable-options.ts'
import { Feeds } from './feeds.ts'
import { Gathers } from './gather.ts'
import { GiveBacks } from './give-backs.ts'
import type { TableMessage } from './ipc.ts'
import type { Link } from './link.ts'
import { Links, linkPath } from './links.ts'
import type { Log } from './log.ts'
import { Mail } from './mail.ts'
import { Moves, type MovesDeps } from './moves.ts'
import { Turn } from './outbox.ts'
import type { Part } from './part.ts'
import { Peer, type PeerSockets } from './peer.ts'
import { ReplyHold } from './reply-hold.ts'
import type { Request } from './request.ts'
import { Router } from './router.ts'
import { Routes } from './routes.ts'
import type { Runner } from './runner.ts'
import type { Grant } from './shard-table.ts'
import { type LocalEvents, Subscriptions } from './subscriptions.ts'
import { Surveys } from './surveys.ts'

export interface ExchangeOptions {
  /** Index of this worker. */
  readonly worker: number
  readonly incarnation: number
  /** Where the workers' link sockets are. */
  readonly folder: string
  readonly clock: Clock
  readonly codec: WireCodec
  readonly readInto: PeerSockets
  readonly events: LocalEvents & LocalNotes
  readonly log: Log
  readonly traffic: Traffic
  makeRunner(mail: ParentMail, hold: ReplyHold | null): Runner
  /** Null: jobs live in memory only. */
  readonly durable: DurableOptions | null
  readonly sendSocket: MovesDeps['send']
  /** This worker has streams, or none any more: whoever starts anew must know. */
  hearing(isHearing: boolean): void
  /** Something that can't be: the process should end. */
  bug(error: unknown): void
}

/** The events of this worker's own shards, for streams. */
interface LocalNotes {
  sink: NoteSink | null
  /** From now on these kinds of the queue's events are noted, and no others. */
  hear(queue: string, kinds: number): void
}

export class Exchange implements Gate {
  readonly runner: Runner
  readonly codec: WireCodec
  readonly hold: ReplyHold | null
  readonly turn = new Turn(() => this.ran())
  readonly moves: Moves
  readonly surveys: Surveys
  readonly feed: Feeds
  private readonly options: ExchangeOptions
  private readonly keeper: Keeper | null
  private readonly routes: Routes
  private readonly links: Links
  private readonly router: Router
  private readonly gathers: Gathers
  private readonly mails: Mail
  private readonly subscriptions: Subscriptions
  private readonly chronicle: Chronicle
  private readonly giveBacks: GiveBacks
  private readonly peers = new Set<Peer>()
  private readonly server: Server
  /** Shard → epoch in which this worker gave it back. */
  private readonly givenBack = new Map<ShardId, number>()
  private readonly reservedTo = new Map<ShardId, number>()
  /** Of the primary, the newest one. */
  private table: TableMessage | null = null
  private draining = false

  constructor(options: ExchangeOptions) {
    const { worker, incarnation, folder, clock, codec, log } = options
    this.options = options
    this.codec = codec
    this.routes = new Routes(worker)
    const { routes } = this
    this.links = new Links(routes, incarnation, folder, this.turn, this)
    const { links } = this
    this.mails = new Mail({
      routes,
      send: (to, json) => links.to(to)?.mail(json) ?? false,
      pending: () => this.turn.schedule(),
      dropped: (count) =>
        log.warn({ count }, 'mail between shards was dropped: no owner for too long'),
    })
    const { durable } = options
    this.hold = durable === null ? null : new ReplyHold(this, codec, durable.waits)
    const { hold } = this
    this.runner = options.makeRunner(this.mails, hold)
    const { runner } = this
    this.keeper =
      durable === null || hold === null
        ? null
        : durable.makeKeeper(hold, {
            isHolderAlive: (holder) => this.isHolderAlive(holder),
            changed: () => this.shardsChanged(),
            gone: (shards) => this.noteGiven(shards),
          })
    this.gathers = new Gathers({
      me: worker,
      runner,
      isDurable: durable !== null,
      others: () => routes.others(),
      ask: (to, op, no, query) => {
        const link = links.to(to)
        link?.gather(op, no, query)
        return link !== null
      },
      whenSent: (done) => (hold === null ? done() : hold.whenSent(done)),
      codec,
    })
    const { gathers, turn } = this
    const isDurable = durable !== null
    const linkTo = (to: number): Link | null => links.to(to)
    this.giveBacks = new GiveBacks({ routes, runner, turn, isDurable, linkTo })
    this.surveys = new Surveys({
      worker,
      incarnation,
      others: () => routes.others(),
      incarnationOf: (other) => routes.incarnationOf(other),
      ask: (to, no, topic) => links.to(to)?.survey(no, topic) ?? null,
    })
    const { traffic } = options
    const ways = links
    this.router = new Router({ codec, clock, routes, runner, ways, gathers, hold, turn, traffic })
    const { events, sendSocket } = options
    this.chronicle = new Chronicle({
      worker,
      clock,
      noteOnly: (queue, kinds) => events.hear(queue, kinds),
      schedule: () => this.turn.schedule(),
    })
    events.sink = this.chronicle
    this.feed = new Feeds({
      routes,
      linkTo,
      forgetLost: () => links.forgetLost(),
      local: this.chronicle,
      hearing: options.hearing,
    })
    const takeOver = (from: number, no: number): void => this.takeOverFrom(from, no)
    this.subscriptions = new Subscriptions(routes, links, events, takeOver)
    const { router, subscriptions } = this
    this.moves = new Moves({ routes, links, router, runner, subscriptions, hold, send: sendSocket })
    this.server = createServer((socket) => this.peers.add(new Peer(socket, options.readInto, this)))
  }

  /** Resolves when other workers can connect. */
  start(): Promise<void> {
    const { folder, worker, incarnation } = this.options
    const path = linkPath(folder, worker, incarnation)
    this.runner.start()
    return new Promise((resolve, reject) => {
      this.server.once('error', reject)
      // Exclusive: otherwise the primary would listen, and share the socket with all workers.
      this.server.listen({ path, exclusive: true }, () => {
        chmodSync(path, 0o600)
        resolve()
      })
    })
  }

  figures(): ClusterFigures {
    const { routes, links, table } = this
    return {
      incarnation: this.options.incarnation,
      workers: routes.others().length + 1,
      shardsServed: routes.served(),
      epochs: table?.epochs ?? [],
      links: links.figures(),
      homelessJobs: this.giveBacks.homelessJobs,
    }
  }

  mayAnswer(): boolean {
    return this.options.durable?.mayAnswer() ?? true
  }

  /** Everything recorded here is durable, and its shards are free: then this worker may end. */
  async handOverAll(): Promise<void> {
    await this.keeper?.stop()
    this.endEvents()
  }

  /** Its shards are elsewhere: there will be no more events of this worker. */
  endEvents(): void {
    this.chronicle.end()
    this.turn.flushNow()
  }

  stop(): void {
    this.runner.stop()
    this.feed.stop()
    this.chronicle.stop()
    this.gathers.stop()
    this.surveys.stop()
    this.router.stop()
    this.links.close()
    for (const peer of this.peers) peer.close()
    this.server.close()
  }

  /** From now on no pull waits: it gets what is there, or `draining`. */
  drain(): void {
    this.draining = true
    this.ran()
  }

  // ── Gate ──────────────────────────────────────────────────────────────────

  submit(bytes: Buffer, from: number, to: number, slot: ReplySlot, session: Session): void {
    this.router.submit(bytes, from, to, slot, session)
  }

  turnEnded(): void {
    this.ran()
  }

  giveBack(unwritten: Unwritten): void {
    this.giveBacks.add(unwritten)
  }

  sessionClosed(session: Session): void {
    this.router.forgetPulls(session)
    this.runner.holderClosed(session.holder)
    // Where shards outlive their owner, whoever owns it next must know.
    const isAnywhere = session.hasMoved || this.keeper !== null
    const used = session.workersUsed | (isAnywhere ? -1 : 0)
    for (const worker of this.routes.others()) {
      if ((used & (1 << worker)) === 0) continue
      this.links.to(worker)?.sessionClosed(session.holder)
    }
    this.turn.schedule()
  }

  subscribe(queue: string, events: number, subscriber: Subscriber, done: () => void): void {
    this.subscriptions.subscribe(queue, events, subscriber, done)
  }

  unsubscribe(queue: string, subscriber: Subscriber): void {
    this.subscriptions.unsubscribe(queue, subscriber)
  }

  // ── The primary's table ───────────────────────────────────────────────────

  applyTable(table: TableMessage): void {
    const { routes, runner } = this
    const before = routes.others().map((worker) => [worker, routes.incarnationOf(worker)] as const)
    this.table = table
    this.updateRoutes(table)
    this.chronicle.serving(table.heard)
    if (this.keeper === null) this.own(table.grants)
    else this.keeper.take(this.notGivenBack(table))
    for (const [worker, incarnation] of before) {
      if (routes.incarnationOf(worker) === incarnation) continue
      this.gathers.workerLost(worker)
      this.surveys.workerLost(worker)
      // Also in shards that came after its link had closed.
      if (this.keeper !== null) runner.closeHolders((holder) => !this.isHolderAlive(holder))
    }
    this.mails.ownersChanged()
    this.subscriptions.ownersChanged()
    this.feed.ownersChanged()
    this.moves.ownersChanged()
    this.giveBacks.ownersChanged()
    this.router.retryHeld()
    runner.askAgain()
    this.ran()
  }

  /** Another node may have let shards go. */
  wake(): void {
    this.keeper?.wake()
  }

  /** Lets go of up to `count` shards: of those that hold nothing, or of any where they are durable. */
  async giveBackShards(count: number): Promise<ShardId[]> {
    const { runner, keeper } = this
    // Those with least in them first: what others wait for meanwhile is shortest.
    const given = Array.from({ length: limits.shards }, (_, shard) => shard)
      .filter((shard) => runner.owns(shard))
      .filter((shard) => (keeper === null ? runner.isEmpty(shard) : keeper.isServing(shard)))
      .sort((a, b) => runner.jobCountOf(a) - runner.jobCountOf(b))
      .slice(0, count)
    if (keeper === null) for (const shard of given) runner.disown(shard)
    this.noteGiven(given)
    this.shardsChanged()
    await keeper?.giveUp(given)
    return given
  }

  // ── LinkListener: what this worker's requests come to ─────────────────────

  notOwner(request: Request, line: Buffer): void {
    this.router.notOwner(request, line)
  }

  gathered(worker: number, no: number, part: Part): void {
    this.gathers.gathered(worker, no, part)
  }

  surveyed(worker: number, no: number, json: string): void {
    this.surveys.surveyed(worker, no, json)
  }

  subscribed(no: number): void {
    this.subscriptions.confirmed(no)
  }

  event(no: number, line: Buffer): void {
    this.subscriptions.event(no, line)
  }

  sessionEnded(link: Link, holder: number): void {
    this.moves.sessionEnded(link.worker, holder)
  }

  linkFrame(link: Link, kind: number, body: Buffer): void {
    if (this.feed.frame(link, kind, body)) return
    this.moves.linkFrame(link, kind, body)
  }

  lost(link: Link, requests: readonly Request[]): void {
    this.gathers.workerLost(link.worker)
    this.surveys.workerLost(link.worker)
    this.router.lost(requests)
    this.moves.linkLost(link)
    this.feed.linkLost(link)
  }

  bug(error: unknown): void {
    this.options.bug(error)
  }

  // ── PeerHost: what other workers ask of this one ──────────────────────────

  peerNamed(peer: Peer): void {
    for (const other of this.peers) {
      if (other !== peer && other.worker === peer.worker) other.close()
    }
  }

  peerClosed(peer: Peer): void {
    this.peers.delete(peer)
    this.moves.peerClosed(peer)
    if (peer.worker >= 0) this.runner.workerGone(peer.worker)
    this.turn.schedule()
  }

  ran(): void {
    const { runner } = this
    this.giveBacks.turnEnded()
    this.mails.deliver(runner)
    runner.handOver()
    this.keeper?.look()
    if (this.draining) runner.endWaits()
    this.chronicle.turnEnded()
  }

  gather(op: number, query: string, give: (part: Part) => void): void {
    this.gathers.givePart(op, query, give)
  }

  survey(topic: string): unknown {
    return this.surveys.here(topic)
  }

  mail(json: string): void {
    this.mails.receive(json)
  }

  subscribeHere(queue: string, events: number, subscriber: Subscriber): void {
    this.options.events.subscribe(queue, events, subscriber)
  }

  unsubscribeHere(queue: string, subscriber: Subscriber): void {
    this.options.events.unsubscribe(queue, subscriber)
  }

  hear(hearer: Hearer, queue: string, kinds: number): void {
    this.chronicle.hear(hearer, queue, kinds)
  }

  forget(hearer: Hearer): void {
    this.chronicle.forget(hearer)
  }

  takeOverFrom(worker: number, no: number): void {
    if (worker === this.routes.me) return this.moves.takenOver(no)
    for (const peer of this.peers) if (peer.worker === worker) peer.takenOver(no)
  }

  peerFrame(peer: Peer, kind: number, body: Buffer): void {
    this.moves.peerFrame(peer, kind, body)
  }

  /** Memory: what is granted is owned at once, and empty. */
  private own(grants: readonly Grant[]): void {
    const { routes, runner } = this
    for (const { shard, firstSeq, reservedTo } of grants) {
      if (!routes.isMine(shard)) continue
      const known = this.reservedTo.get(shard)
      this.reservedTo.set(shard, reservedTo)
      if (!runner.owns(shard)) runner.own(shard, firstSeq, reservedTo)
      else if (known !== reservedTo) runner.reserved(shard, reservedTo)
    }
  }

  private noteGiven(shards: readonly ShardId[]): void {
    for (const shard of shards) this.givenBack.set(shard, this.table?.epochs[shard] ?? 0)
  }

  private notGivenBack({ grants }: TableMessage): ShardId[] {
    return grants.map(({ shard }) => shard).filter((shard) => !this.givenBack.has(shard))
  }

  /** A shard of this worker serves, or does not any more. */
  private shardsChanged(): void {
    if (this.table === null) return
    this.updateRoutes(this.table)
    this.mails.ownersChanged()
    this.giveBacks.ownersChanged()
    this.router.retryHeld()
    this.turn.schedule()
  }

  /** As the table says, without what was given back and what does not serve. */
  private updateRoutes(table: TableMessage): void {
    const { keeper, givenBack } = this
    const me = this.options.worker
    for (const [shard, epoch] of givenBack) {
      if ((table.epochs[shard] ?? 0) > epoch) givenBack.delete(shard)
    }
    const owners = table.owners.map((owner, shard) => {
      if (owner !== me) return owner
      return givenBack.has(shard) || keeper?.isServing(shard) === false ? NOBODY : owner
    })
    this.routes.update(table.version, owners, table.incarnations)
  }

  private isHolderAlive(holder: number): boolean {
    const incarnation = this.routes.incarnationOf(workerOfHolder(holder))
    return incarnation !== 0 && incarnation % 2 ** 16 === incarnationOfHolder(holder)
  }
}
