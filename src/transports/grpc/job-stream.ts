// Jobs that flow to one consumer as fast as it takes them: StreamJobs and ProcessJobs.
//
//          ┌──────────── while credit is left and all is sent ───────────┐
//   queue ─┴─ PULLB ─▶ taken ─ write ─▶ sent ─ ack, fail, end otherwise ─┴─▶ credit
//                        └──────── the stream ends: back to the queue, uncounted ────────┘
//
// 1. At most `prefetch` jobs are out: taken by this stream, and neither acknowledged, failed nor otherwise at an end.
// 2. Nothing is taken before all that was taken has been accepted by the peer's flow control: at most one batch waits
//    here for a slow reader.
// 3. Credit comes back with the acks that pass through this door (`deliveries.ts`). When there is none left the shard is
//    asked now and then which of the jobs are still out (HEARTBEAT with their tokens): acks through other doors.
// 4. All are held by a session of its own with `release_on_close`: when the stream ends, for whatever reason, what is out
//    returns to its queue at once, no run counted.
// 5. After `finish` nothing is taken; the stream ends when nothing is out.

import { type JobId, jobIdOf } from '../../engine/job-id.ts'
import { limits } from '../../engine/limits.ts'
import type { Session, Unwritten } from '../../engine/ports.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import type { Answer, Caller } from '../caller.ts'
import type { Consumers } from '../consumers/consumers.ts'
import type { Log } from '../log.ts'
import { frameOf, isJson } from '../wire/frames.ts'
import { Attendance } from './attendance.ts'
import type { Deliveries, Holder } from './deliveries.ts'
import type { Introduction } from './introduction.ts'
import { Job } from './messages.ts'
import { isRefusalLine, listMessages, refusalOf } from './reply-message.ts'

/** Calls `then` after so long, unless the returned function was called before. */
export type Delay = (ms: number, then: () => void) => () => void

export interface JobSink {
  /** `done`: the peer's flow control has let it pass. Not called when the stream breaks. */
  write(message: Buffer, done: () => void): void
  /** Null: all is well. Nothing is written afterwards. */
  end(refusal: Refusal | null): void
}

export interface StreamTerms {
  readonly queue: string
  /** Jobs of one pull. */
  readonly batch: number
  readonly prefetch: number
  readonly who: Introduction
}

/** What a consumer says of a job. */
export interface Outcome {
  readonly id: JobId
  readonly success: boolean
  readonly result: Buffer | undefined
  readonly error: string | undefined
}

export interface StreamServices {
  readonly caller: Caller
  readonly deliveries: Deliveries
  readonly delay: Delay
  readonly log: Log
  readonly consumers: Consumers
}

export class JobStream implements Holder {
  private readonly services: StreamServices
  private readonly terms: StreamTerms
  private readonly sink: JobSink
  private readonly session: Session
  private readonly attendance: Attendance
  /** Their tokens. */
  private readonly out = new Map<JobId, number>()
  /** Of those, the ones whose outcome is being told to their shard. */
  private readonly settling = new Set<JobId>()
  private pulling = false
  private unsent = 0
  /** `go` is about to be called. */
  private isGoing = false
  private isFinishing = false
  private isOver = false
  private stopChecking: (() => void) | null = null

  constructor(services: StreamServices, terms: StreamTerms, sink: JobSink) {
    this.services = services
    this.terms = terms
    this.sink = sink
    this.session = services.caller.begin()
    const { queue, who } = terms
    this.attendance = new Attendance(services.consumers, who, `grpc-${this.session.holder}`, queue)
  }

  start(): void {
    this.go()
  }

  /** The consumer wants no more, but tells what became of those that it has. */
  finish(): void {
    this.isFinishing = true
    this.go()
  }

  /** Ends it from this side. */
  end(refusal: Refusal | null): void {
    if (this.isOver) return
    this.close()
    this.sink.end(refusal)
  }

  /** The consumer is gone. */
  close(): void {
    if (this.isOver) return
    this.isOver = true
    this.stopChecking?.()
    for (const id of this.out.keys()) this.services.deliveries.remove(id, this)
    this.out.clear()
    this.attendance.leave()
    this.services.caller.end(this.session)
  }

  returned(id: JobId, isCompleted: boolean): void {
    this.settling.delete(id)
    if (!this.out.delete(id)) return
    this.attendance.ended(isCompleted)
    this.services.deliveries.remove(id, this)
    this.goSoon()
  }

  /** Of a job that is out here; what is said of others is ignored. */
  settle(outcome: Outcome): void {
    const { id } = outcome
    const token = this.out.get(id)
    if (token === undefined || this.settling.has(id)) return
    this.settling.add(id)
    const frame = outcome.success
      ? ackFrame(id, token, outcome.result)
      : frameOf('FAIL', { id, error: outcome.error, token })
    this.ask(frame, (answer) => this.settled(outcome, token, answer))
  }

  private settled({ id, success }: Outcome, token: number, { line }: Answer): void {
    // It may have come here again meanwhile.
    if (this.out.get(id) !== token) return
    const refusal = isRefusalLine(line) ? refusalOf(line) : null
    switch (refusal?.code) {
      case undefined:
        this.returned(id, success)
        return
      case 'job_not_found':
      case 'stale_token':
        this.returned(id, false)
        return
      case 'invalid':
      case 'data_too_large':
      case 'limit_exceeded': {
        // Its result cannot be kept: the run has failed, and the reason is there to be read.
        const frame = frameOf('FAIL', { id, error: refusal?.text, token })
        this.ask(frame, () => {
          if (this.out.get(id) === token) this.returned(id, false)
        })
        return
      }
      default:
        // The shard cannot be told: the consumer must know, and the job will come again.
        this.end(refusal ?? null)
    }
  }

  /** Once for all jobs of a batch that was acknowledged. */
  private goSoon(): void {
    if (this.isGoing) return
    this.isGoing = true
    queueMicrotask(() => {
      this.isGoing = false
      this.go()
    })
  }

  private go(): void {
    if (this.isOver || this.unsent > 0) return
    const { out, terms } = this
    if (this.isFinishing && out.size === 0) return this.end(null)
    const count = this.isFinishing ? 0 : Math.min(terms.batch, terms.prefetch - out.size)
    if (count <= 0) return this.checkLater()
    if (this.pulling) return
    this.stopChecking?.()
    this.stopChecking = null
    this.pulling = true
    const frame = frameOf('PULLB', {
      queue: terms.queue,
      count,
      token: true,
      release_on_close: true,
    })
    this.ask(frame, (answer) => this.pulled(answer), this.session)
  }

  private pulled({ line, handed }: Answer): void {
    this.pulling = false
    if (isRefusalLine(line)) return this.end(refusalOf(line))
    if (this.isFinishing && handed !== null) this.services.caller.giveBack(handed)
    else if (handed !== null) this.send(listMessages(Job, line, 'jobs'), handed)
    this.go()
  }

  private send(messages: readonly Buffer[], handed: Unwritten): void {
    const { caller, deliveries } = this.services
    const count = countWithin(messages, limits.grpcMessageBytesMax)
    if (count < messages.length) caller.giveBack(restOf(handed, count))
    this.unsent += count
    this.attendance.given(count)
    for (let i = 0; i < count; i++) {
      const id = jobIdOf(handed.seqs[i] as number, handed.shard)
      this.out.set(id, handed.firstToken + i)
      this.settling.delete(id)
      deliveries.add(id, this)
    }
    for (let i = 0; i < count; i++) {
      this.sink.write(messages[i] as Buffer, () => {
        this.unsent--
        this.go()
      })
    }
  }

  private ask(frame: Buffer, then: (answer: Answer) => void, session?: Session): void {
    const { caller, log } = this.services
    caller
      .call(frame, session)
      .then(then)
      .catch((cause) => {
        log.error({ err: cause }, 'a gRPC stream failed')
        this.end(refusals.outcomeUnknown)
      })
  }

  private checkLater(): void {
    this.stopChecking ??= this.services.delay(limits.grpcCreditCheckMs, () => {
      this.stopChecking = null
      this.check()
    })
  }

  private check(): void {
    const ids = [...this.out.keys()]
    const tokens = [...this.out.values()]
    const frame = frameOf('HEARTBEAT', { ids, tokens })
    this.ask(frame, ({ line }) => {
      if (this.isOver) return
      for (const { index, code } of itemErrors(line)) {
        const id = ids[index] as JobId
        const isGone = code === 'job_not_active' || code === 'stale_token'
        if (isGone && this.out.get(id) === tokens[index]) this.returned(id, false)
      }
      this.go()
    })
  }
}

/** The jobs of a hand-over from the one at `count` on. */
export function restOf(handed: Unwritten, count: number): Unwritten {
  const { shard, seqs, firstToken } = handed
  return { shard, seqs: seqs.slice(count), firstToken: firstToken + count }
}

export function prefetchOf(asked: number): number {
  return asked === 0 ? limits.grpcPrefetchDefault : Math.min(asked, limits.grpcPrefetchMax)
}

/** A result that is no JSON is none, as it always was on this call. */
function ackFrame(id: JobId, token: number, result: Buffer | undefined): Buffer {
  const kept = result !== undefined && isJson(result) ? result : undefined
  return frameOf('ACK', { id, result: kept, token })
}

function countWithin(messages: readonly Buffer[], bytesMax: number): number {
  let bytes = 0
  let count = 0
  for (const message of messages) {
    bytes += message.length
    if (bytes > bytesMax && count > 0) break
    count++
  }
  return count
}

interface ItemError {
  readonly index: number
  readonly code: string
}

function itemErrors(line: Buffer): readonly ItemError[] {
  return (JSON.parse(line.toString()) as { errors?: ItemError[] }).errors ?? []
}
