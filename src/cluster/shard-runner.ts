// Runs the shards that this worker owns.
//
//   In:   commands of this worker's connections and links, letters from other shards, the clock
//   Out:  replies, in the turn they were made; letters; a call for more sequences
//   Next: engine/shard.ts
//
// A turn is what one chunk of input brings: its commands run one by one at the clock's moment, then `handOver`
// serves waiting pulls. One timer waits for the first thing that falls due in any shard.

import type { Command } from '../engine/command.ts'
import { EventCounts } from '../engine/event-counts.ts'
import { type HeldSlots, SlotHold } from '../engine/held-slots.ts'
import { workerOfHolder } from '../engine/holder-number.ts'
import { type JobId, type Seq, type ShardId, shardOfId } from '../engine/job-id.ts'
import { type JobPage, PAGE_BYTES } from '../engine/job-store.ts'
import type { JobWatch } from '../engine/job-watch.ts'
import { limits } from '../engine/limits.ts'
import type { ListShare } from '../engine/list/job-list.ts'
import type { JobQuery } from '../engine/list/job-query.ts'
import { listJobs, type WriteJob } from '../engine/list/list-jobs.ts'
import type {
  Clock,
  CronInfo,
  CronTick,
  DurableLog,
  EventLines,
  EventSink,
  ItemRefusal,
  Metrics,
  ParentMail,
  ParentOutcome,
  QueueInfo,
  Reply,
  Stats,
  Unwritten,
} from '../engine/ports.ts'
import { topQueues } from '../engine/queue-figures.ts'
import { RateWindow } from '../engine/rate-window.ts'
import { refusals } from '../engine/refusal.ts'
import { Shard } from '../engine/shard.ts'
import type { Memory, Retention, ShardPorts } from '../engine/shard-context.ts'
import { EXTENT_BYTES_MAX, SpareMemory } from '../engine/spare-memory.ts'
import type { DeliveryRef, WebhookLetter, WebhookPorts } from '../engine/webhook-ports.ts'
import type { OutgoingEvent } from '../engine/webhooks.ts'
import { refuseIdsOf, routes, shardFor, shardMask } from './command-shards.ts'
import { HeldDeliveries } from './held-deliveries.ts'
import { HeldEvents } from './held-events.ts'
import { HeldMail } from './held-mail.ts'
import { Prefault } from './prefault.ts'
import type { ReplyHold } from './reply-hold.ts'
import { SessionNews } from './session-news.ts'
import { metricsOf, type RunnerFigures, type ShardSums, statsOf, sumsOf } from './shard-figures.ts'
import { shardOfQueue } from './shard-of-queue.ts'

/** Commands between two looks at the memory in use. */
const MEMORY_LOOK_EVERY = 256
/** Memory that was given up is kept up to this part of the memory that may be used. */
const SPARE_DIVISOR = 8

export interface RunnerOptions {
  readonly clock: Clock
  readonly mail: ParentMail
  readonly events: EventSink
  /** Payloads and rows of all shards of this worker. */
  readonly memoryBytesMax: number
  readonly retention: Retention
  /** Follows jobs, for traces. */
  readonly watch?: JobWatch | undefined
  readonly webhooks: WebhookPorts
  /** A shard has used a good part of its reserved sequences. */
  reserve(shard: ShardId): void
  /** Where records are kept: replies wait there for the records they depend on. */
  readonly durable?: {
    readonly hold: Pick<ReplyHold, 'endTurn' | 'letter'>
    readonly lines: EventLines
  }
}

export class ShardRunner {
  private readonly options: RunnerOptions
  private readonly shards: (Shard | undefined)[] = new Array(limits.shards).fill(undefined)
  private readonly asking: boolean[] = new Array(limits.shards).fill(false)
  private readonly memory: Memory = { full: false }
  private readonly slots = new SlotHold()
  /** What was given up, for shards that grow. */
  readonly spareMemory: SpareMemory<JobPage>
  private readonly prefault: Prefault
  private readonly latency = new RateWindow()
  private readonly counts = new EventCounts()
  /** Of the shards whose records are kept. */
  private readonly logs: (DurableLog | undefined)[] = new Array(limits.shards).fill(undefined)
  /** Shards whose records can't be kept at the moment: nothing happens in them. */
  private readonly stopped = new Set<ShardId>()
  private readonly sessions = new SessionNews()
  private owned: Shard[] = []
  /** Shards that did something since the last hand-over. */
  private touched: Shard[] = []
  private commandsToMemoryLook = 0
  private timer: NodeJS.Timeout | null = null
  private timerDueMs = Number.POSITIVE_INFINITY
  private running = false

  constructor(options: RunnerOptions) {
    this.options = options
    const spareBytesMax = options.memoryBytesMax / SPARE_DIVISOR
    this.spareMemory = new SpareMemory(
      PAGE_BYTES,
      spareBytesMax,
      Math.min(EXTENT_BYTES_MAX, spareBytesMax),
    )
    this.prefault = new Prefault(this.spareMemory)
  }

  start(): void {
    this.running = true
    this.prefault.start()
    for (const shard of this.owned) this.touch(shard.id)
    this.handOver()
  }

  stop(): void {
    this.running = false
    this.prefault.stop()
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    this.timerDueMs = Number.POSITIVE_INFINITY
  }

  /** Begins to own a shard, empty, whose next job gets `firstSeq`. */
  own(shard: ShardId, firstSeq: Seq, reservedTo: Seq): void {
    this.take(new Shard(shard, firstSeq, reservedTo, this.portsFor(null)))
  }

  /** What a shard of this worker is made with; `log` where its records are kept. */
  portsFor(log: DurableLog | null): ShardPorts {
    const { durable, retention, watch } = this.options
    const { memory, slots, latency, counts } = this
    const spare = this.spareMemory
    let { mail, events, webhooks } = this.options
    if (log !== null && durable !== undefined) {
      mail = new HeldMail(mail, log, durable.hold)
      events = new HeldEvents(durable.lines, log, durable.hold)
      webhooks = new HeldDeliveries(webhooks, log, durable.hold)
    }
    return { mail, events, retention, webhooks, log, memory, slots, spare, latency, counts, watch }
  }

  /** Begins to own a shard that was recovered. What its sessions did meanwhile it is told now. */
  adopt(shard: Shard, log: DurableLog, isAlive: (holder: number) => boolean): void {
    this.logs[shard.id] = log
    this.take(shard)
    this.touch(shard.id)
    const nowMs = this.options.clock.nowMs()
    for (const holder of shard.holders()) {
      const now = this.sessionNow(holder)
      if (now === null || !isAlive(now)) shard.holderClosed(holder, nowMs)
      else if (now !== holder) shard.renameHolder(holder, now)
    }
    this.handOver()
  }

  /** The number under which a session goes on, when it is known to have another one; null when it has closed. */
  sessionNow(holder: number): number | null {
    return this.sessions.now(holder)
  }

  /** No command, delivery or timer runs in it until `go`: its records can't be kept. */
  halt(shard: ShardId): void {
    this.stopped.add(shard)
  }

  go(shard: ShardId): void {
    if (!this.stopped.delete(shard)) return
    this.touch(shard)
    this.handOver()
  }

  reserved(shard: ShardId, reservedTo: Seq): void {
    this.asking[shard] = false
    this.shards[shard]?.raiseSeqLimit(reservedTo)
  }

  disown(shard: ShardId): void {
    this.shards[shard] = undefined
    this.logs[shard] = undefined
    this.stopped.delete(shard)
    this.owned = this.shards.filter((each) => each !== undefined)
  }

  owns(shard: ShardId): boolean {
    return this.shards[shard] !== undefined
  }

  /** It is owned here, and runs. */
  serves(shard: ShardId): boolean {
    return this.owns(shard) && !this.stopped.has(shard)
  }

  shardsOwned(): number {
    let mask = 0
    for (const { id } of this.owned) mask |= 1 << id
    return mask >>> 0
  }

  /** Waiting pulls of a shard that goes elsewhere end, and so does what takes several turns. */
  endWaitsOf(shard: ShardId): void {
    this.shards[shard]?.endWaits()
    this.shards[shard]?.failWork()
  }

  /** What takes several turns is brought to its end in this one. */
  finishWorkOf(shard: ShardId): void {
    this.touch(shard)?.finishWork(this.options.clock.nowMs())
  }

  /** Whether nothing would be lost if the shard were given away now. */
  isEmpty(shard: ShardId): boolean {
    return this.shards[shard]?.isEmpty() ?? true
  }

  /** Runs a command whose shard, or all of whose ids' shards, this worker owns. */
  execute(command: Command, reply: Reply, holder: number): void {
    if (this.commandsToMemoryLook-- <= 0) this.lookAtMemory()
    const nowMs = this.options.clock.nowMs()
    const route = routes[command.op]
    if (route === 'ids') return this.executeIds(command, reply, nowMs)
    const shard = this.touch(shardFor(command, route))
    if (shard === undefined) return reply.refused(refusals.unavailable)
    const { payloads } = shard.state
    const heldBefore = payloads.heldBytes
    shard.execute(command, reply, holder, nowMs)
    // Few large frames can fill the memory as well as many small ones.
    if (payloads.heldBytes > heldBefore) this.commandsToMemoryLook = 0
    if (shard.wantsSequences()) this.askForSequences(shard)
  }

  /** The same for a command of another worker's client: slots that it frees are held until `freeSlots`. */
  executeAway(command: Command, reply: Reply, holder: number): void {
    this.slots.away = true
    this.execute(command, reply, holder)
    this.slots.away = false
  }

  takeHeldSlots(): readonly HeldSlots[] | null {
    return this.slots.take()
  }

  freeSlots(held: readonly HeldSlots[]): void {
    for (const each of held) this.touch(each.shard)?.freeSlots(each)
  }

  /** Serves waiting pulls: call when a turn's commands are in and its replies are on their way. */
  handOver(): void {
    const { touched } = this
    const hold = this.options.durable?.hold
    if (touched.length > 0) {
      this.prefault.keepAhead()
      this.touched = []
      let dueMs = Number.POSITIVE_INFINITY
      for (const shard of touched) {
        shard.touched = false
        if (this.stopped.size > 0 && this.stopped.has(shard.id)) continue
        shard.serve()
        dueMs = Math.min(dueMs, shard.nextDueMs())
      }
      if (this.running) this.armTimer(dueMs)
    }
    if (hold !== undefined) hold.endTurn(this.logsOf(touched))
  }

  giveBack(unwritten: Unwritten): void {
    this.touch(unwritten.shard)?.giveBack(unwritten, this.options.clock.nowMs())
  }

  holderClosed(holder: number): void {
    const nowMs = this.options.clock.nowMs()
    if (this.options.durable !== undefined) this.sessions.closed(holder, nowMs)
    for (const shard of this.owned) this.closeHolder(shard, holder, nowMs)
  }

  forgetPulls(holder: number): void {
    for (const shard of this.owned) shard.forgetPulls(holder)
  }

  renameHolder(from: number, to: number): void {
    if (this.options.durable !== undefined) {
      this.sessions.renamed(from, to, this.options.clock.nowMs())
    }
    for (const shard of this.owned) shard.renameHolder(from, to)
  }

  /** All sessions of another worker are gone with it. */
  workerGone(workerIndex: number): void {
    this.closeHolders((holder) => workerOfHolder(holder) === workerIndex)
  }

  closeHolders(isGone: (holder: number) => boolean): void {
    const nowMs = this.options.clock.nowMs()
    for (const shard of this.owned) {
      for (const holder of shard.holders()) {
        if (isGone(holder)) this.closeHolder(shard, holder, nowMs)
      }
    }
  }

  ask(parent: JobId, child: JobId): void {
    this.touch(shardOfId(parent))?.asked(parent, child, this.options.clock.nowMs())
  }

  tell(child: JobId, parent: JobId, outcome: ParentOutcome): void {
    this.touch(shardOfId(child))?.told(child, parent, outcome, this.options.clock.nowMs())
  }

  cronTick(tick: CronTick): void {
    const shard = this.touch(shardOfQueue(tick.queue))
    if (shard === undefined) return
    shard.takeTick(tick, this.options.clock.nowMs())
    if (shard.wantsSequences()) this.askForSequences(shard)
  }

  cronTaken(name: string, tickMs: number): void {
    this.touch(shardOfQueue(name))?.tickTaken(name, tickMs, this.options.clock.nowMs())
  }

  webhook(letter: WebhookLetter): void {
    this.touch(letter.to)?.takeLetter(letter, this.options.clock.nowMs())
  }

  /** A delivery that is due, as it is now; null when it is not to be sent from here (any more). */
  takeDelivery(ref: DeliveryRef): OutgoingEvent | null {
    return this.shards[ref.shard]?.takeDelivery(ref) ?? null
  }

  /** Shards have new owners: what was asked of others is asked again. */
  askAgain(): void {
    for (const shard of this.owned) shard.askAgain()
  }

  endWaits(): void {
    for (const shard of this.owned) {
      shard.endWaits()
      if (shard.hasWork && this.serves(shard.id)) this.finishWorkOf(shard.id)
    }
  }

  stats(): Stats {
    return statsOf(this.sums())
  }

  metrics(): Metrics {
    return metricsOf(this.sums(), this.queues())
  }

  sums(): ShardSums {
    const states = this.owned.map(({ state }) => state)
    return sumsOf(states, this.counts, this.latency, this.options.clock.nowMs())
  }

  figures(queuesMax: number): RunnerFigures {
    const states = this.owned.map(({ state }) => state)
    let halted = 0
    for (const shard of this.stopped) halted |= 1 << shard
    return {
      sums: this.sums(),
      queues: topQueues(states, queuesMax, this.options.clock.nowMs()),
      memoryBytes: this.memoryBytes(),
      memoryBytesMax: this.options.memoryBytesMax,
      shards: this.shardsOwned(),
      halted: halted >>> 0,
    }
  }

  queues(): QueueInfo[] {
    return this.owned.flatMap((shard) => shard.queues())
  }

  crons(): CronInfo[] {
    return this.owned.flatMap((shard) => shard.crons())
  }

  listJobs(query: JobQuery, write: WriteJob): ListShare {
    const states = this.owned.map((shard) => shard.state)
    return listJobs(states, query, write)
  }

  /** Jobs that are not finished. */
  jobCount(): number {
    let count = 0
    for (const { id } of this.owned) count += this.jobCountOf(id)
    return count
  }

  jobCountOf(shard: ShardId): number {
    const state = this.shards[shard]?.state
    return state === undefined ? 0 : state.jobs.live - state.finished.count
  }

  private take(shard: Shard): void {
    this.shards[shard.id] = shard
    this.asking[shard.id] = false
    this.owned = this.shards.filter((each) => each !== undefined)
  }

  private logsOf(shards: readonly Shard[]): DurableLog[] {
    const logs: DurableLog[] = []
    for (const { id } of shards) {
      const log = this.logs[id]
      if (log !== undefined) logs.push(log)
    }
    return logs
  }

  private executeIds(command: Command, reply: Reply, nowMs: number): void {
    const refused: ItemRefusal[] = []
    let count = 0
    const mask = shardMask(command)
    for (let shardId = 0; shardId < limits.shards; shardId++) {
      if ((mask & (1 << shardId)) === 0) continue
      const shard = this.touch(shardId)
      if (shard !== undefined) count += shard.executeIds(command, refused, nowMs)
      else refuseIdsOf(shardId, command, refused)
    }
    if (refused.length > 1) refused.sort((a, b) => a.index - b.index)
    reply.counted(count, refused)
  }

  private askForSequences(shard: Shard): void {
    if (this.asking[shard.id] === true) return
    this.asking[shard.id] = true
    this.options.reserve(shard.id)
  }

  private lookAtMemory(): void {
    this.commandsToMemoryLook = MEMORY_LOOK_EVERY
    this.memory.full = this.memoryBytes() > this.options.memoryBytesMax
  }

  private memoryBytes(): number {
    let bytes = this.spareMemory.boundBytes
    for (const { state } of this.owned) {
      const { payloads, jobs, outbox } = state
      bytes += payloads.heldBytes + jobs.pageCount * PAGE_BYTES + jobs.rareBytes + outbox.bytes
    }
    return bytes
  }

  /** The shard, when it is owned here; it is looked at by the next hand-over. */
  private touch(shardId: ShardId): Shard | undefined {
    const shard = this.shards[shardId]
    if (shard !== undefined && !shard.touched) {
      shard.touched = true
      this.touched.push(shard)
    }
    return shard
  }

  private closeHolder(shard: Shard, holder: number, nowMs: number): void {
    if (!shard.knowsHolder(holder)) return
    this.touch(shard.id)
    shard.holderClosed(holder, nowMs)
  }

  /** Some shard has something due at `dueMs`. */
  private armTimer(dueMs: number): void {
    if (dueMs >= this.timerDueMs) return
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    this.timerDueMs = dueMs
    const waitMs = Math.min(Math.max(0, dueMs - this.options.clock.nowMs()), limits.timerMsMax)
    this.timer = setTimeout(() => this.onTimer(), waitMs)
  }

  private onTimer(): void {
    this.timer = null
    this.timerDueMs = Number.POSITIVE_INFINITY
    const nowMs = this.options.clock.nowMs()
    for (const shard of this.owned) {
      if (this.stopped.has(shard.id)) continue
      this.touch(shard.id)
      if (shard.nextDueMs() <= nowMs) shard.tick(nowMs)
    }
    this.handOver()
  }
}
