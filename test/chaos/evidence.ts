// A history, put in order for the rules: each job's story, and what is certain about it.
//
//   certainly held   from the answer that delivered a job until its lease may have ended, or until somebody
//                    asked for its end, whichever is first
//   shadow           of a pull whose answer never came: while it may hold a job that nobody saw
//
// A rule that fires on certain facts only raises no false alarm; what could be otherwise is always allowed.

import type { FinalJob, History, PullOp, PushOp, QueueOp, RunOp, Seen } from './history.ts'

const SHARDS = 32

export interface Delivery extends Seen {
  readonly pull: PullOp
  readonly startMs: number
  readonly endMs: number
  /** Certainly held until then; `endMs` when nothing is certain. */
  holdUntilMs: number
  /** The answer may have counted as not written, and the run as none. */
  doubtful: boolean
}

/** Everything that was seen of one job. */
export interface Story {
  readonly id: number
  /** Null for what nobody pushed: a cron's job, or a ghost. */
  push: PushOp | null
  /** By start. */
  readonly deliveries: Delivery[]
  /** What was asked about its runs, by start. */
  readonly runs: RunOp[]
  readonly final: FinalJob | null
}

export interface Options {
  /** How long a request may lie somewhere before it takes effect, after its client gave up. */
  readonly slackMs: number
  /** How much sooner than asked a delayed job may run: clocks are read in ms, and rounded. */
  readonly earlyMs: number
  /** The server may forget everything: only what holds in spite of that is checked. */
  readonly lossy: boolean
  /** The run was drained: whatever can run must have run. */
  readonly drained: boolean
  /** Ticks that are due so long before the end must have come. */
  readonly tickLateMs: number
}

export const defaultOptions: Options = {
  slackMs: 5000,
  earlyMs: 50,
  lossy: false,
  drained: true,
  tickLateMs: 5000,
}

export class Evidence {
  readonly history: History
  readonly options: Options
  readonly stories = new Map<number, Story>()
  readonly pushes: PushOp[] = []
  readonly pulls: PullOp[] = []
  readonly runs: RunOp[] = []
  /** By start. */
  readonly deliveries: Delivery[] = []
  readonly pushByKey = new Map<string, PushOp>()
  readonly queueOps: QueueOp[] = []
  private readonly lostPulls = new Map<string, PullOp[]>()

  constructor(history: History, options: Options) {
    this.history = history
    this.options = options
    for (const op of history.ops) {
      if (op.f === 'push') this.addPush(op)
      else if (op.f === 'pull') this.addPull(op)
      else if ('token' in op) this.runs.push(op)
      else if ('value' in op) this.queueOps.push(op)
    }
    for (const run of this.runs) this.story(run.id).runs.push(run)
    this.deliveries.sort(byStart)
    for (const delivery of this.deliveries) this.story(delivery.id).deliveries.push(delivery)
    for (const story of this.stories.values()) this.settle(story)
  }

  story(id: number): Story {
    let story = this.stories.get(id)
    if (story === undefined) {
      const final = this.history.final?.jobs.get(id) ?? null
      story = { id, push: null, deliveries: [], runs: [], final }
      this.stories.set(id, story)
    }
    return story
  }

  /**
   * Jobs of the queue that pulls may hold at some time between the two without anybody having seen it: pulls without
   * an answer, and those that waited while an owner may have died, which the server asks again.
   */
  shadows(queue: string, fromMs: number, toMs: number): number {
    let count = 0
    for (const pull of this.lostPulls.get(queue) ?? []) {
      if (pull.startMs <= toMs && this.shadowEndMs(pull) >= fromMs) count += pull.count
    }
    return count
  }

  /** Whether the queue's dead letters may have been touched by `f` between the two. */
  deadTouched(f: 'retryDlq' | 'purgeDlq', story: Story, fromMs: number, toMs: number): boolean {
    const { queue } = queueOf(story)
    return this.queueOps.some(
      (op) =>
        op.f === f &&
        op.queue === queue &&
        mayBeDone(op) &&
        (op.value === 0 || op.value === story.id) &&
        op.startMs <= toMs &&
        (op.outcome === 'unknown' || op.endMs >= fromMs),
    )
  }

  private addPush(push: PushOp): void {
    this.pushes.push(push)
    this.pushByKey.set(push.key, push)
    if (push.id !== 0) this.story(push.id).push = push
  }

  private addPull(pull: PullOp): void {
    this.pulls.push(pull)
    if (pull.outcome === 'unknown' || this.metFault(pull)) {
      const lost = this.lostPulls.get(pull.queue)
      if (lost === undefined) this.lostPulls.set(pull.queue, [pull])
      else lost.push(pull)
    }
    const { startMs, endMs } = pull
    for (const job of pull.jobs) {
      this.deliveries.push({ ...job, pull, startMs, endMs, holdUntilMs: endMs, doubtful: false })
    }
  }

  private metFault({ startMs, endMs }: PullOp): boolean {
    const { slackMs } = this.options
    return this.history.faults.some((fault) => {
      return fault.isOfServer && startMs <= fault.endMs + slackMs && endMs >= fault.startMs
    })
  }

  private settle(story: Story): void {
    story.runs.sort(byStart)
    for (const delivery of story.deliveries) {
      const lostMs = this.history.lostMs.get(delivery.pull.connection) ?? Number.POSITIVE_INFINITY
      delivery.doubtful = lostMs <= delivery.endMs + this.options.slackMs
      story.push ??= this.pushByKey.get(keyOf(delivery.data) ?? '') ?? null
    }
    for (const delivery of story.deliveries) {
      const certain = !delivery.doubtful && !delivery.pull.releaseOnClose
      if (certain) delivery.holdUntilMs = Math.max(delivery.endMs, holdEnd(story, delivery))
    }
  }

  private shadowEndMs(pull: PullOp): number {
    return pull.endMs + pull.leaseMs + this.options.slackMs
  }
}

/** The key that the workload wrote into a job's data; null for what is not of the workload. */
function keyOf(data: string): string | null {
  return /^\{"k":"([^"]+)"/.exec(data)?.[1] ?? null
}

/** `rest`: any JSON text. */
export function dataOf(key: string, rest = '""'): string {
  return `{"k":"${key}","pad":${rest}}`
}

export function shardOf(id: number): number {
  return id % SHARDS
}

function queueOf(story: Story): { readonly queue: string } {
  return story.push ?? story.deliveries[0] ?? story.runs[0] ?? { queue: '' }
}

/** Not refused: it was done, or may have been. */
export function mayBeDone(op: { readonly outcome: string }): boolean {
  return op.outcome !== 'refused'
}

/** The earliest moment at which the run may have ended, by its own lease or at somebody's wish. */
function holdEnd(story: Story, delivery: Delivery): number {
  const { pull, token } = delivery
  let untilMs = pull.leaseMs > 0 ? pull.startMs + pull.leaseMs : Number.POSITIVE_INFINITY
  let endedMs = Number.POSITIVE_INFINITY
  for (const run of story.runs) {
    if (!mayBeDone(run)) continue
    if (run.f === 'cancel') endedMs = Math.min(endedMs, run.startMs)
    else if (run.token !== token) continue
    else if (run.f !== 'heartbeat') endedMs = Math.min(endedMs, run.startMs)
    else if (run.outcome === 'ok') untilMs = run.startMs + run.leaseMs
    else untilMs = Math.min(untilMs, run.startMs + run.leaseMs)
  }
  const timeoutMs = story.push?.timeoutMs ?? 0
  if (timeoutMs > 0) endedMs = Math.min(endedMs, pull.startMs + timeoutMs)
  return Math.min(untilMs, endedMs)
}

function byStart(a: { startMs: number }, b: { startMs: number }): number {
  return a.startMs - b.startMs
}
