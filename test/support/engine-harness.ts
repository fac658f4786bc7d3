// All 32 shards without a server: JSON frames in, parsed replies out, at a clock that only the test moves.
//
//   send ─ scanFrame ─▶ shard ─▶ JsonReply ─▶ parsed          one turn: a command, then its mail, then waiting pulls
//   advance(ms) stops at every moment that something falls due; jump(ms) does not, as after a stall

import { shardOfQueue } from '../../src/cluster/shard-of-queue.ts'
import { ByteWriter } from '../../src/engine/byte-writer.ts'
import { Command } from '../../src/engine/command.ts'
import { EventCounts } from '../../src/engine/event-counts.ts'
import { SlotHold } from '../../src/engine/held-slots.ts'
import { type JobId, type ShardId, shardOfId } from '../../src/engine/job-id.ts'
import { type JobPage, PAGE_BYTES } from '../../src/engine/job-store.ts'
import { limits } from '../../src/engine/limits.ts'
import { Op, opNames, routeOf } from '../../src/engine/op.ts'
import {
  type CronTick,
  EventKind,
  type EventSink,
  type ItemRefusal,
  type JobSource,
  type ParentMail,
  type ParentOutcome,
  type QueueInfo,
  type Reply,
  type ReplySlot,
  type Stats,
  type Unwritten,
} from '../../src/engine/ports.ts'
import { RateWindow } from '../../src/engine/rate-window.ts'
import { Shard } from '../../src/engine/shard.ts'
import type { Retention, ShardPorts } from '../../src/engine/shard-context.ts'
import { SpareMemory } from '../../src/engine/spare-memory.ts'
import type { DeliveryRef, WebhookLetter } from '../../src/engine/webhook-ports.ts'
import { WEBHOOK_HOME } from '../../src/engine/webhooks.ts'
import { writeJob } from '../../src/transports/wire/job-json.ts'
import { JsonReply } from '../../src/transports/wire/reply-json.ts'
import { scanFrame } from '../../src/transports/wire/scan.ts'
import { answerList } from './list-rounds.ts'
import { restoreOf, storedOf } from './restored.ts'

export const START_MS = 1_700_000_000_000
const SEQ_LIMIT = 2 ** 40
/** Turns at one moment after which the engine is taken to poll. */
const TURNS_PER_MOMENT_MAX = 10_000

export interface JobObject {
  id: number
  queue: string
  data: unknown
  priority: number
  created_at: number
  run_at: number
  started_at: number
  attempts: number
  max_attempts: number
  backoff: number
  ttl: number
  timeout: number
  unique_key: string | null
  depends_on: number[]
  progress: number
  progress_msg: string | null
  tags: string[]
  token?: number
  /** In a list. */
  state?: string
}

/** Whatever a reply may hold; which keys there are depends on the command. */
export interface Answer {
  ok: boolean
  error: string
  code: string
  id: number
  ids: number[]
  job: JobObject | null
  jobs: JobObject[]
  cursor: string | null
  state: string
  result: unknown
  progress: { id: number; progress: number; message: string | null }
  errors?: { index: number; error: string; code: string }[]
}

export interface SeenEvent {
  event: string
  queue: string
  id: number
  error: string | null
  job: JobObject
}

type Frame = Readonly<Record<string, unknown>> & { readonly cmd: string }

export interface HarnessOptions {
  readonly retention?: Partial<Retention>
  readonly seqLimit?: number
  readonly firstSeq?: number
  readonly events?: boolean
  readonly records?: boolean
  /** Of webhooks; 0 = never. */
  readonly disableAfterMs?: number
}

/** A command on its way: `answer` is null until its reply line is written. */
export class Pending implements ReplySlot {
  unordered = false
  line: string | null = null
  handed: Unwritten | null = null
  private readonly out = new ByteWriter()

  get answer(): Answer | null {
    return this.line === null ? null : (JSON.parse(this.line) as Answer)
  }

  open(): ByteWriter {
    if (this.line !== null) throw new Error(`answered twice, first with ${this.line}`)
    return this.out
  }

  close(handed: Unwritten | null): void {
    this.line = this.out.bytes.toString('utf8', 0, this.out.length)
    this.handed = handed
    if (!this.line.endsWith('\n')) throw new Error(`not a line: ${this.line}`)
  }
}

export class EngineHarness {
  nowMs = START_MS
  readonly shards: Shard[]
  readonly memory = { full: false }
  readonly latency = new RateWindow()
  readonly counts = new EventCounts()
  readonly seen: SeenEvent[] = []
  /** By shard, when asked for. */
  readonly records: Buffer[][] = Array.from({ length: limits.shards }, () => [])
  /** As they were sent. */
  readonly ticks: CronTick[] = []
  /** By shard: the memory that it gave up. */
  readonly spares = Array.from(
    { length: limits.shards },
    () => new SpareMemory<JobPage>(PAGE_BYTES),
  )
  /** Letters about crons and webhooks that do not arrive. */
  readonly lostLetters = new Set<'cronTick' | 'cronTaken' | WebhookLetter['kind']>()
  /** Deliveries as they were named to the deliverer, with their URLs, and the webhooks of those that had no room. */
  readonly deliveries: (DeliveryRef & { readonly url: string })[] = []
  readonly droppedFor: number[] = []
  private readonly command = new Command()
  private letters: (() => void)[] = []

  private readonly options: HarnessOptions

  constructor(options: HarnessOptions = {}) {
    this.options = options
    this.shards = Array.from({ length: limits.shards }, (_, shard) => this.emptyShard(shard))
  }

  /** As when its owner died in memory mode. */
  emptyShard(shard: ShardId): Shard {
    const { firstSeq, seqLimit } = this.options
    return new Shard(shard, firstSeq ?? 1, seqLimit ?? SEQ_LIMIT, this.portsOf(shard))
  }

  /**
   * A shard's owner dies, and a new one goes on with what was stored: its state of now. Its waiting pulls are never
   * answered. `skipped` sequences are not given out again, and some connections are gone.
   */
  crash(shard: ShardId, { skipped = 0, gone = [] as number[] } = {}): void {
    const { state } = this.shards[shard] as Shard
    const restored = restoreOf(shard, storedOf(state)).state
    const { seqLimit } = this.options
    const resumed = Shard.resume(restored, seqLimit ?? SEQ_LIMIT, this.portsOf(shard))
    this.shards[shard] = resumed
    const firstSeq = restored.nextSeq + skipped
    resumed.ownedFrom(firstSeq, 1, (holder) => !gone.includes(holder), this.nowMs)
    this.settle()
  }

  /** One turn of one command that is answered at once. */
  send(frame: Frame | string, holder = 1): Answer {
    const pending = this.start(frame, holder)
    const { answer } = pending
    if (answer === null) throw new Error(`not answered: ${JSON.stringify(frame)}`)
    return answer
  }

  /** One turn of one command that may wait. */
  start(frame: Frame | string, holder = 1): Pending {
    const pending = this.execute(frame, holder)
    this.settle()
    return pending
  }

  /** One turn of several commands: waiting pulls are served after all of them. */
  turn(...frames: Frame[]): Pending[] {
    const all = frames.map((frame) => this.execute(frame, 1))
    this.settle()
    return all
  }

  push(queue: string, data: unknown = null, options: object = {}): number {
    const answer = this.send({ cmd: 'PUSH', queue, data, ...options })
    if (!answer.ok) throw new Error(answer.error)
    return answer.id
  }

  /** A job that is there now, or null. */
  pull(queue: string, options: object = {}, holder = 1): JobObject | null {
    return this.send({ cmd: 'PULL', queue, wait: 0, ...options }, holder).job
  }

  /** Their ids. */
  pullIds(queue: string, count = 1000, options: object = {}): number[] {
    return this.pullMany(queue, count, options).map((job) => job.id)
  }

  pullMany(queue: string, count = 1000, options: object = {}): JobObject[] {
    return this.send({ cmd: 'PULLB', queue, count, wait: 0, ...options }).jobs
  }

  ack(id: number, options: object = {}): Answer {
    return this.send({ cmd: 'ACK', id, ...options })
  }

  fail(id: number, error: string | null = null, options: object = {}): Answer {
    return this.send({ cmd: 'FAIL', id, error, ...options })
  }

  job(id: number): JobObject | null {
    return this.send({ cmd: 'GETJOB', id }).job
  }

  state(id: number): string {
    return this.send({ cmd: 'GETSTATE', id }).state
  }

  dead(queue: string): JobObject[] {
    return this.send({ cmd: 'DLQ', queue }).jobs
  }

  stats(): Stats {
    const sum: Stats = { queued: 0, processing: 0, delayed: 0, dlq: 0 }
    for (const { state } of this.shards) {
      sum.queued += state.waiting
      sum.processing += state.active
      sum.delayed += state.delayed
      sum.dlq += state.dead
    }
    return sum
  }

  queue(name: string): QueueInfo | undefined {
    return this.queues().find((queue) => queue.name === name)
  }

  queues(): QueueInfo[] {
    return this.shards.flatMap((shard) => shard.queues())
  }

  shardOf(queue: string): Shard {
    return this.shards[shardOfQueue(queue)] as Shard
  }

  closed(holder: number): void {
    for (const shard of this.shards) shard.holderClosed(holder, this.nowMs)
    this.settle()
  }

  /** The reply could not be written. */
  lost(pending: Pending): void {
    const { handed } = pending
    if (handed === null) throw new Error('it handed nothing over')
    this.shards[handed.shard]?.giveBack(handed, this.nowMs)
    this.settle()
  }

  events(name?: string): SeenEvent[] {
    return this.seen.filter((each) => name === undefined || each.event === name)
  }

  nextDueMs(): number {
    return Math.min(...this.shards.map((shard) => shard.nextDueMs()))
  }

  /** Time passes, and everything happens when it is due. */
  advance(ms: number): void {
    const target = this.nowMs + ms
    for (let next = this.nextDueMs(); next <= target; next = this.nextDueMs()) {
      this.nowMs = Math.max(this.nowMs, next)
      this.tickDue()
    }
    this.nowMs = target
  }

  /** Time has passed, and nobody looked. */
  jump(ms: number): void {
    this.nowMs += ms
    this.tickDue()
  }

  /** Delivers the mail, and serves waiting pulls, until there is none. */
  settle(): void {
    for (;;) {
      for (const shard of this.shards) shard.serve()
      if (this.letters.length === 0) return
      const letters = this.letters
      this.letters = []
      for (const letter of letters) letter()
    }
  }

  /** Runs a command; its turn goes on. */
  execute(frame: Frame | string, holder: number): Pending {
    const pending = new Pending()
    const { command } = this
    const text = typeof frame === 'string' ? frame : JSON.stringify(frame)
    const bytes = Buffer.from(`${text}\n`)
    const refusal = scanFrame(bytes, 0, bytes.length - 1, command)
    const reply: Reply = new JsonReply(command, pending)
    if (refusal !== null) reply.refused(refusal)
    else this.run(command, reply, holder)
    // Whoever reads the command must have copied what it keeps.
    bytes.fill(0x23)
    return pending
  }

  private run(command: Command, reply: Reply, holder: number): void {
    const route = routeOf[opNames[command.op] as keyof typeof routeOf]
    if (command.query !== null && command.op === Op.LISTJOBS) {
      return answerList(this.shards, command.query, reply)
    }
    if (route === 'ids') {
      const refused: ItemRefusal[] = []
      let count = 0
      const ids = command.hasId ? [command.id] : [...command.ids.subarray(0, command.idCount)]
      for (const shard of new Set(ids.map(shardOfId))) {
        count += (this.shards[shard] as Shard).executeIds(command, refused, this.nowMs)
      }
      refused.sort((a, b) => a.index - b.index)
      reply.counted(count, refused)
      return
    }
    this.shards[shardFor(command, route)]?.execute(command, reply, holder, this.nowMs)
  }

  private tickDue(): void {
    for (let turns = 0; this.nextDueMs() <= this.nowMs; turns++) {
      if (turns > TURNS_PER_MOMENT_MAX) throw new Error('something is due again and again')
      for (const shard of this.shards) {
        if (shard.nextDueMs() <= this.nowMs) shard.tick(this.nowMs)
      }
      this.settle()
    }
  }

  portsOf(shard: ShardId): ShardPorts {
    const records = this.records[shard] as Buffer[]
    const { options } = this
    return {
      mail: this.mail(),
      events: this.sink(options.events ?? false),
      log: options.records ? { append: (record) => void records.push(Buffer.from(record)) } : null,
      memory: this.memory,
      slots: new SlotHold(),
      spare: this.spares[shard] as SpareMemory<JobPage>,
      latency: this.latency,
      counts: this.counts,
      retention: { count: 1000, ageMs: 3_600_000, bytes: 1e9, ...options.retention },
      webhooks: {
        refuseUrl: (url) => (url.startsWith('https://') ? null : 'not https'),
        deliver: (ref, url) => void this.deliveries.push({ ...ref, url }),
        dropped: (webhook) => void this.droppedFor.push(webhook),
        disableAfterMs: options.disableAfterMs ?? 0,
      },
    }
  }

  private mail(): ParentMail {
    return {
      ask: (parent, child) =>
        this.letter(parent, (shard) => shard.asked(parent, child, this.nowMs)),
      tell: (child: JobId, parent: JobId, outcome: ParentOutcome) =>
        this.letter(child, (shard) => shard.told(child, parent, outcome, this.nowMs)),
      cronTick: (tick) => {
        this.ticks.push(tick)
        if (this.lostLetters.has('cronTick')) return
        this.letters.push(() => this.shardOf(tick.queue).takeTick(tick, this.nowMs))
      },
      cronTaken: (name, tickMs) => {
        if (this.lostLetters.has('cronTaken')) return
        this.letters.push(() => this.shardOf(name).tickTaken(name, tickMs, this.nowMs))
      },
      webhook: (letter) => this.webhookLetter(letter),
    }
  }

  /** As the deliverer sends it, or a shard. */
  webhookLetter(letter: WebhookLetter): void {
    if (this.lostLetters.has(letter.kind)) return
    this.letters.push(() => this.shards[letter.to]?.takeLetter(letter, this.nowMs))
  }

  private letter(to: JobId, deliver: (shard: Shard) => void): void {
    this.letters.push(() => deliver(this.shards[shardOfId(to)] as Shard))
  }

  private sink(listening: boolean): EventSink {
    return {
      listening,
      wants: () => true,
      event: (kind, source, seq, nowMs, error) => {
        if (nowMs !== this.nowMs) throw new Error('an event of another moment')
        const job = jobOf(source, seq)
        const event = eventNames.get(kind) ?? '?'
        this.seen.push({ event, queue: job.queue, id: job.id, error, job })
      },
      events(kind, source, firstSeq, count, nowMs) {
        for (let seq = firstSeq; seq < firstSeq + count; seq++) {
          this.event(kind, source, seq, nowMs, null)
        }
      },
    }
  }
}

function shardFor(command: Command, route: string): ShardId {
  if (route === 'webhooks') return WEBHOOK_HOME
  if (route === 'id') return shardOfId(command.id)
  return shardOfQueue(route === 'name' ? command.name : command.queue)
}

/** A queue name of each shard, so that a test can choose where a job lives. */
export function queueOfShard(shard: ShardId): string {
  for (let i = 0; ; i++) if (shardOfQueue(`q${i}`) === shard) return `q${i}`
}

function jobOf(source: JobSource, seq: number): JobObject {
  const out = new ByteWriter()
  writeJob(out, source, seq, -1)
  return JSON.parse(out.bytes.toString('utf8', 0, out.length)) as JobObject
}

const eventNames = new Map(
  Object.entries(EventKind).map(([name, kind]): [EventKind, string] => [kind, name]),
)
