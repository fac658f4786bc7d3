// One shard: a deterministic state machine. Commands, timers and letters from other shards go in;
// records and replies come out. It reads no clock and waits for nothing.
//
//   In:   `execute` a command at a moment, `tick`, `asked` / `told` / `takeTick` / `tickTaken`
//   Out:  replies through `Reply`, records through `RecordLog`, letters through `ParentMail`, events
//   Next: commands/*.ts decide, recorder.ts records, evolve/*.ts change the state
//
// The owner calls `serve` at the end of a turn: waiting pulls get their jobs after the turn's replies.

import { failClearings, finishClearings } from './clearing-step.ts'
import type { Command } from './command.ts'
import { ack, ackBatch } from './commands/ack.ts'
import { cancel } from './commands/cancel.ts'
import { deleteQueue, drainQueue } from './commands/clear-queue.ts'
import {
  deleteCron,
  listCrons,
  sendTicksAgain,
  setCron,
  takeTick,
  tickTaken,
} from './commands/cron.ts'
import { listDead, purgeDead, retryDead } from './commands/dead-letters.ts'
import { fail } from './commands/fail.ts'
import { getJob, getResult, getState } from './commands/inspect.ts'
import {
  giveBack,
  giveBackUnconfirmed,
  heartbeat,
  holderClosed,
  release,
} from './commands/lease.ts'
import { getLogs, log } from './commands/log.ts'
import { getProgress, progress } from './commands/progress.ts'
import { promote } from './commands/promote.ts'
import { pull } from './commands/pull.ts'
import { push, pushBatch } from './commands/push.ts'
import { controlQueue } from './commands/queue-control.ts'
import { spreadAgain, takeLetter, webhook } from './commands/webhook.ts'
import type { Unconfirmed } from './confirmation.ts'
import { serveWaiting } from './deliver.ts'
import { asked, askParents, told } from './dependencies.ts'
import type { HeldSlots } from './held-slots.ts'
import type { JobId, Seq, ShardId } from './job-id.ts'
import { Op } from './op.ts'
import type {
  CronInfo,
  CronTick,
  ItemRefusal,
  ParentOutcome,
  QueueInfo,
  Reply,
  Unwritten,
} from './ports.ts'
import { refusals } from './refusal.ts'
import { deriveTimers } from './resume.ts'
import { ShardContext, type ShardPorts } from './shard-context.ts'
import { ShardState } from './shard-state.ts'
import { tidyOneSlab } from './shard-tidy.ts'
import { tick } from './timers.ts'
import type { DeliveryRef, WebhookLetter } from './webhook-ports.ts'
import { type OutgoingEvent, WEBHOOK_HOME } from './webhooks.ts'

/** Turns between two looks at sparse slabs: enough for one that is dying to lose something. */
const TIDY_EVERY = 4
const WANTED_DIVISOR = 8

type Handler = (ctx: ShardContext, command: Command, reply: Reply, holder: number) => void

const handlers: (Handler | undefined)[] = []
handlers[Op.PUSH] = push
handlers[Op.PUSHB] = pushBatch
handlers[Op.PULL] = pull
handlers[Op.PULLB] = pull
handlers[Op.ACK] = ack
handlers[Op.FAIL] = fail
handlers[Op.GETRESULT] = getResult
handlers[Op.GETJOB] = getJob
handlers[Op.GETSTATE] = getState
handlers[Op.CANCEL] = cancel
handlers[Op.PROGRESS] = progress
handlers[Op.LOG] = log
handlers[Op.GETLOGS] = getLogs
handlers[Op.PROMOTE] = promote
handlers[Op.DRAIN] = drainQueue
handlers[Op.DELETEQUEUE] = deleteQueue
handlers[Op.GETPROGRESS] = getProgress
handlers[Op.DLQ] = listDead
handlers[Op.RETRYDLQ] = retryDead
handlers[Op.PURGEDLQ] = purgeDead
handlers[Op.CRON] = setCron
handlers[Op.CRONDELETE] = deleteCron
handlers[Op.RATELIMIT] = controlQueue
handlers[Op.RATELIMITCLEAR] = controlQueue
handlers[Op.PAUSE] = controlQueue
handlers[Op.RESUME] = controlQueue
handlers[Op.SETCONCURRENCY] = controlQueue
handlers[Op.CLEARCONCURRENCY] = controlQueue
handlers[Op.WEBHOOK] = webhook
handlers[Op.WEBHOOKDELETE] = webhook
handlers[Op.WEBHOOKLIST] = webhook
handlers[Op.WEBHOOKPING] = webhook
handlers[Op.WEBHOOKLOG] = webhook

export class Shard {
  readonly id: ShardId
  readonly state: ShardState
  /** For its runner: it did something since the last hand-over. */
  touched = false
  private turns = 0
  private seqsWantedFrom: Seq
  private readonly ctx: ShardContext

  /** Empty, unless it is to go on with a `state`: see `resume`. */
  constructor(
    id: ShardId,
    firstSeq: Seq,
    seqLimit: Seq,
    ports: ShardPorts,
    state = new ShardState(id, firstSeq, ports.spare),
  ) {
    this.id = id
    this.state = state
    this.ctx = new ShardContext(state, ports, seqLimit)
    this.seqsWantedFrom = wantedFrom(firstSeq, seqLimit)
  }

  /** Goes on with a state that was restored, as soon as `ownedFrom` has said for whom. Nobody waits for a job. */
  static resume(state: ShardState, seqLimit: Seq, ports: ShardPorts): Shard {
    const shard = new Shard(state.shard, state.nextSeq, seqLimit, ports, state)
    deriveTimers(shard.ctx)
    return shard
  }

  /**
   * A new owner begins, before anything else happens. It gives out no sequence before `firstSeq` and no token before
   * `firstToken`: those may be known to clients of the owner before, whatever survived. Jobs held for connections that
   * are gone return, uncounted, and so do those that nobody may have got; jobs that wait for others ask for them.
   */
  ownedFrom(
    firstSeq: Seq,
    firstToken: number,
    isHolderAlive: (holder: number) => boolean,
    nowMs: number,
    unconfirmed: readonly Unconfirmed[] = [],
  ): void {
    this.ctx.nowMs = nowMs
    this.ctx.record.owned(firstSeq, firstToken)
    this.seqsWantedFrom = wantedFrom(this.state.nextSeq, this.ctx.seqLimit)
    for (const holder of this.state.holders.holders()) {
      if (!isHolderAlive(holder)) holderClosed(this.ctx, holder)
    }
    for (const { seq, token } of unconfirmed) giveBackUnconfirmed(this.ctx, seq, token)
    this.askAgain()
  }

  /** Runs one command; the reply comes within the call, except for a pull that waits. */
  execute(command: Command, reply: Reply, holder: number, nowMs: number): void {
    this.moveTo(nowMs)
    const handler = handlers[command.op]
    if (handler === undefined) reply.refused(refusals.invalid('not a command of one shard'))
    else handler(this.ctx, command, reply, holder)
  }

  /** ACKB, HEARTBEAT, RELEASE: does this shard's part; returns how many, adds the others to `refused`. */
  executeIds(command: Command, refused: ItemRefusal[], nowMs: number): number {
    this.moveTo(nowMs)
    switch (command.op) {
      case Op.ACKB:
        return ackBatch(this.ctx, command, refused)
      case Op.HEARTBEAT:
        return heartbeat(this.ctx, command, refused)
      default:
        return release(this.ctx, command, refused)
    }
  }

  /** Hands jobs to waiting pulls. */
  serve(): void {
    serveWaiting(this.ctx)
    if (this.state.payloads.sparse.length > 0 && ++this.turns % TIDY_EVERY === 0) {
      tidyOneSlab(this.state)
    }
  }

  /** When `tick` is needed next; Infinity when nothing will fall due. */
  nextDueMs(): number {
    const goesOn = this.state.due.wantsSweep || this.hasWork
    return goesOn ? this.ctx.nowMs : this.state.due.topDueMs()
  }

  tick(nowMs: number): void {
    this.ctx.nowMs = nowMs
    tick(this.ctx)
  }

  asked(parent: JobId, child: JobId, nowMs: number): void {
    this.moveTo(nowMs)
    asked(this.ctx, parent, child)
  }

  told(child: JobId, parent: JobId, outcome: ParentOutcome, nowMs: number): void {
    this.moveTo(nowMs)
    told(this.ctx, child, parent, outcome)
  }

  takeTick(cron: CronTick, nowMs: number): void {
    this.moveTo(nowMs)
    takeTick(this.ctx, cron)
  }

  tickTaken(name: string, tickMs: number, nowMs: number): void {
    this.moveTo(nowMs)
    tickTaken(this.ctx, name, tickMs)
  }

  /** About webhooks, from another shard or from the deliverer. */
  takeLetter(letter: WebhookLetter, nowMs: number): void {
    this.moveTo(nowMs)
    takeLetter(this.ctx, letter)
  }

  /** A delivery that is due; null when it is not to be sent any more. */
  takeDelivery(ref: DeliveryRef): OutgoingEvent | null {
    return this.ctx.outgoing.take(ref)
  }

  giveBack(unwritten: Unwritten, nowMs: number): void {
    this.moveTo(nowMs)
    giveBack(this.ctx, unwritten)
  }

  holderClosed(holder: number, nowMs: number): void {
    this.moveTo(nowMs)
    holderClosed(this.ctx, holder)
  }

  /** Its waiting pulls will not be answered; what it holds stays held. */
  forgetPulls(holder: number): void {
    this.state.due.noteStale(this.ctx.waits.forgetHolder(holder))
  }

  /** Slots that were held are given on. */
  freeSlots({ queue, count }: HeldSlots): void {
    queue.heldSlots -= count
    this.ctx.markDirty(queue)
  }

  renameHolder(from: number, to: number): void {
    if (this.state.holders.has(from)) this.ctx.record.holderRenamed(from, to)
  }

  knowsHolder(holder: number): boolean {
    return this.ctx.waits.hasHolder(holder) || this.state.holders.has(holder)
  }

  /** Holders of waiting pulls and of jobs that return when it closes. */
  holders(): number[] {
    return [...new Set([...this.ctx.waits.holders(), ...this.state.holders.holders()])]
  }

  /** After shards changed owner: jobs that wait for others ask for them again, ticks on their way are sent again. */
  askAgain(): void {
    for (const seq of [...this.state.parkedSeqs]) askParents(this.ctx, seq)
    sendTicksAgain(this.ctx)
    spreadAgain(this.ctx)
  }

  /** Nothing would be lost with it: no job, cron, webhook, delivery, setting or waiting pull. */
  isEmpty(): boolean {
    const { jobs, crons, queuesByName, outbox, webhooks, shard } = this.state
    if (jobs.live > 0 || crons.size > 0 || outbox.entries.size > 0 || this.hasWork) return false
    if (shard === WEBHOOK_HOME && webhooks.byNo.size > 0) return false
    return [...queuesByName.values()].every((queue) => queue.isIdle())
  }

  /** Drain: nothing waits any longer, and no new pull will. */
  endWaits(): void {
    this.ctx.draining = true
    this.ctx.home.answerAll()
    for (const waiting of this.ctx.waits.all()) {
      this.ctx.waits.end(waiting)
      waiting.reply.refused(refusals.draining)
    }
  }

  /** Something takes several turns. */
  get hasWork(): boolean {
    return this.ctx.clearings.length > 0
  }

  /** What takes several turns is brought to its end in this one. */
  finishWork(nowMs: number): void {
    this.ctx.nowMs = nowMs
    finishClearings(this.ctx)
  }

  /** It is not gone on with here, and its commands are answered so. */
  failWork(): void {
    failClearings(this.ctx)
  }

  /** A good part of the last grant of sequences is used. */
  wantsSequences(): boolean {
    return this.state.nextSeq >= this.seqsWantedFrom
  }

  raiseSeqLimit(seqLimit: Seq): void {
    if (seqLimit <= this.ctx.seqLimit) return
    this.seqsWantedFrom = wantedFrom(this.ctx.seqLimit, seqLimit)
    this.ctx.seqLimit = seqLimit
  }

  queues(): QueueInfo[] {
    const infos: QueueInfo[] = []
    for (const queue of this.state.queuesByName.values()) {
      if (!queue.used && !queue.paused && queue.rate === null && queue.concurrency === null)
        continue
      infos.push({
        name: queue.name,
        pending: queue.ready.live + queue.delayed,
        processing: queue.active,
        dlq: queue.dead.size,
        paused: queue.paused,
        rate_limit: queue.rate === null ? null : queue.rate.limit,
        concurrency_limit: queue.concurrency,
      })
    }
    return infos
  }

  crons(): CronInfo[] {
    return listCrons(this.ctx)
  }

  private moveTo(nowMs: number): void {
    this.ctx.nowMs = nowMs
    if (this.state.due.topDueMs() <= nowMs) tick(this.ctx)
  }
}

/** Early: the next grant must be there before this one is used up, which may be in 8 ms. */
function wantedFrom(from: Seq, to: Seq): Seq {
  return from + Math.ceil((to - from) / WANTED_DIVISOR)
}
