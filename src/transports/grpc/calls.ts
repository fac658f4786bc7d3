// What happens in a call of `QueueService`, one function per kind of call.
//
//   metadata ─▶ who asks (`identify.ts`) ─▶ frame (`request-frame.ts`) ─▶ guard.ts ─▶ message (`reply-message.ts`)
//
// 1. Nothing is read of a request before it is known who asks.
// 2. A pull has a session of its own. When its call ends before its answer is sent (cancelled, deadline, connection lost),
//    the session ends too: it waits no longer, and jobs that were on their way return to their queue, uncounted.
// 3. Every stream and every pull is known until it is over, so that a drain can end it (`drain`).
//
// Next: job-stream.ts, event-stream.ts; grpc-door.ts registers these

import {
  Metadata,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
} from '@grpc/grpc-js'
import { Command } from '../../engine/command.ts'
import { limits } from '../../engine/limits.ts'
import type { Gate, Session, Unwritten } from '../../engine/ports.ts'
import { checkQueueName } from '../../engine/queue-name.ts'
import { type Refusal, refusals } from '../../engine/refusal.ts'
import { Door, type Traffic } from '../../engine/traffic.ts'
import { Admission } from '../auth/admission.ts'
import type { Authenticator } from '../auth/authenticator.ts'
import type { Guard } from '../auth/guard.ts'
import { ownerOf } from '../auth/owner.ts'
import { authorize, type Principal } from '../auth/principal.ts'
import type { StreamKind, Usage } from '../auth/usage.ts'
import type { Answer, Caller } from '../caller.ts'
import type { Consumers } from '../consumers/consumers.ts'
import type { Log } from '../log.ts'
import { wireCodec } from '../wire/codec.ts'
import { readTraceContext, withTraceTags } from '../wire/trace-tags.ts'
import { Attendance } from './attendance.ts'
import { Deliveries } from './deliveries.ts'
import { EventStream } from './event-stream.ts'
import { addressOf, identify } from './identify.ts'
import { type Introduction, introductionOf } from './introduction.ts'
import { type Delay, JobStream, prefetchOf, restOf, type StreamTerms } from './job-stream.ts'
import { JobResult } from './messages.ts'
import { type Method, streamJobs, subscribe } from './methods.ts'
import { isRefusalLine, listed, refusalOf, replyMessage } from './reply-message.ts'
import { askedFor, readRequest, requestFrame } from './request-frame.ts'
import { type CallStatus, statusOf } from './status.ts'

export interface CallServices {
  readonly gate: Gate
  readonly caller: Caller
  readonly guard: Guard
  readonly log: Log
  readonly delay: Delay
  readonly frameBytesMax: number
  readonly auth: Authenticator
  readonly traffic: Traffic
  readonly usage: Usage
  readonly consumers: Consumers
}

type UnaryCall = ServerUnaryCall<Buffer, Buffer>
type OutCall = ServerWritableStream<Buffer, Buffer>
type BothCall = ServerDuplexStream<Buffer, Buffer>
type Callback = (status: CallStatus | null, message?: Buffer) => void
type AnyCall = UnaryCall | OutCall | BothCall

const DEFAULT_QUEUE = 'default'
const command = new Command()

export class Calls {
  /** By peer. */
  readonly admission: Admission<string>
  private readonly services: CallServices
  private readonly deliveries = new Deliveries()
  /** How to end what is open (streams, and pulls that wait), and who opened it. */
  private readonly open = new Map<(refusal: Refusal) => void, Principal>()
  private isDraining = false

  private readonly unfollow: () => void

  constructor(services: CallServices) {
    this.services = services
    this.admission = new Admission(services.usage)
    this.unfollow = services.auth.onChange(() => this.endInvalid())
  }

  /** Ends streams and waiting pulls. Other calls go on to their answer. */
  drain(): void {
    this.isDraining = true
    this.unfollow()
    for (const end of [...this.open.keys()]) end(refusals.draining)
  }

  async unary(method: Method, call: UnaryCall, callback: Callback): Promise<void> {
    const principal = this.identify(call)
    if ('code' in principal) return callback(statusOf(principal))
    const answer = await this.ask(principal, method, call.request, undefined, call.metadata)
    if ('code' in answer) return callback(statusOf(answer))
    this.noteEnded(method, call.request, answer.line)
    // Nothing else may be cut: who lists queues must see all of them.
    const bytesMax = method.op === 'DLQ' ? limits.grpcMessageBytesMax : undefined
    callback(null, replyMessage(method.response, answer.line, bytesMax))
  }

  async pull(method: Method, call: OutCall): Promise<void> {
    const principal = this.identify(call)
    if ('code' in principal) return fail(call, principal)
    if (this.isDraining) return fail(call, refusals.draining)
    const who = this.introductionOf(call)
    if ('code' in who) return fail(call, who)
    const { caller } = this.services
    const session = caller.begin()
    const attendance = this.attend(method, call, principal, who)
    let handed: Unwritten | null = null
    let isAnswered = false
    let isSent = false
    const end = (refusal: Refusal): void => {
      over()
      caller.end(session)
      fail(call, refusal)
    }
    const over = (): void => {
      if (this.open.delete(end)) attendance?.leaveSlowly()
    }
    this.open.set(end, principal)
    call.on('cancelled', () => {
      over()
      if (!isAnswered) caller.end(session)
      else if (!isSent && handed !== null) caller.giveBack(handed)
    })
    const answer = await this.ask(principal, method, call.request, session)
    over()
    isAnswered = true
    if ('code' in answer) return fail(call, answer)
    const message = replyMessage(method.response, answer.line, limits.grpcMessageBytesMax)
    handed = this.shortened(method, answer.handed)
    call.write(message, () => {
      isSent = true
    })
    call.end()
  }

  streamJobs(call: OutCall): void {
    const principal = this.identify(call)
    if ('code' in principal) return fail(call, principal)
    const asked = readRequest(streamJobs.request, call.request)
    if (asked === null) {
      return fail(call, refusals.invalid('the message is not a StreamJobsRequest'))
    }
    const queue = String(asked['queue'])
    const batch = Math.max(1, Math.min(Number(asked['batch_size']), limits.grpcBatchMax))
    const prefetch = prefetchOf(Number(asked['prefetch']))
    const who = this.introductionOf(call)
    if ('code' in who) return fail(call, who)
    this.jobStream(call, principal, { queue, batch, prefetch, who })?.start()
  }

  processJobs(call: BothCall): void {
    const principal = this.identify(call)
    if ('code' in principal) return fail(call, principal)
    const queue = String(call.metadata.get('queue')[0] ?? DEFAULT_QUEUE)
    const prefetch = String(call.metadata.get('prefetch')[0] ?? '0')
    if (!/^\d{1,9}$/.test(prefetch)) {
      return fail(call, refusals.invalid('metadata "prefetch" must be an unsigned integer'))
    }
    const who = this.introductionOf(call)
    if ('code' in who) return fail(call, who)
    const terms = { queue, batch: 1, prefetch: prefetchOf(Number(prefetch)), who }
    const stream = this.jobStream(call, principal, terms)
    if (stream === null) return
    call.on('data', (message: Buffer) => {
      // The connection of a stream is not told to wait: what it says counts against the next call.
      this.admission.charge(principal, 1, message.length)
      const result = readRequest(JobResult, message)
      if (result === null) return stream.end(refusals.invalid('the message is not a JobResult'))
      stream.settle({
        id: result['id'] as number,
        success: result['success'] === true,
        result: result['result'] as Buffer | undefined,
        error: result['error'] as string | undefined,
      })
    })
    call.on('end', () => stream.finish())
    stream.start()
  }

  subscribe(call: OutCall): void {
    const principal = this.identify(call)
    if ('code' in principal) return fail(call, principal)
    const refusal = this.readSubscription(principal, call.request)
    if (refusal !== null) return fail(call, refusal)
    const { queue, events } = command
    const tooMany = this.streamRefused('event', call, principal)
    if (tooMany !== null) return fail(call, tooMany)
    const { gate, traffic } = this.services
    const stream = new EventStream(gate, traffic.events, queue, (message, done) => {
      call.write(message, done)
    })
    this.untilOver('event', call, principal, (why) => {
      stream.close()
      if (why === null) return
      traffic.events.cut('grpc', why.code === 'draining' ? 'draining' : 'revoked')
      fail(call, why)
    })
    stream.start(events, () => call.sendMetadata(new Metadata()))
  }

  /** Null: it is refused. */
  private jobStream(
    call: OutCall | BothCall,
    principal: Principal,
    terms: StreamTerms,
  ): JobStream | null {
    const { caller, delay, log, consumers } = this.services
    const { deliveries } = this
    const refusal =
      authorize(principal, streamJobs.op, terms.queue) ??
      checkQueueName(terms.queue) ??
      this.streamRefused('job', call, principal)
    if (refusal !== null) {
      fail(call, refusal)
      return null
    }
    const stream = new JobStream({ caller, deliveries, delay, log, consumers }, terms, {
      write: (message, done) => call.write(message, done),
      end: (why) => (why === null ? call.end() : fail(call, why)),
    })
    call.sendMetadata(new Metadata())
    this.untilOver('job', call, principal, (why) =>
      why === null ? stream.close() : stream.end(why),
    )
    return stream
  }

  /** `over`: once; with null when the peer has ended the call, or it has come to its own end. */
  private untilOver(
    kind: StreamKind,
    call: OutCall | BothCall,
    principal: Principal,
    over: (why: Refusal | null) => void,
  ): void {
    const { usage } = this.services
    const owner = ownerOf(principal, addressOf(call.getPeer()))
    usage.streamed(kind, owner, 1)
    const end = (refusal: Refusal | null): void => {
      if (!this.open.delete(end)) return
      usage.streamed(kind, owner, -1)
      over(refusal)
    }
    this.open.set(end, principal)
    call.on('cancelled', () => end(null))
  }

  private streamRefused(kind: StreamKind, call: AnyCall, principal: Principal): Refusal | null {
    if (this.isDraining) return refusals.draining
    return this.services.usage.streamRefused(kind, ownerOf(principal, addressOf(call.getPeer())))
  }

  private identify(call: AnyCall): Principal | Refusal {
    const { auth, traffic } = this.services
    const principal = identify(auth, call.metadata, call.getPeer())
    const bytes = 'request' in call ? call.request.length : 0
    const refusal =
      'code' in principal ? principal : this.admission.admit(call.getPeer(), principal, bytes)
    if (refusal !== null) traffic.refused(Door.grpc, refusal.code)
    return refusal ?? principal
  }

  private introductionOf(call: AnyCall): Introduction | Refusal {
    return introductionOf(call.metadata, addressOf(call.getPeer()))
  }

  /** A pull is listed as a consumer when it has a name, and may be given jobs of its queue. */
  private attend(
    { op, request }: Method,
    call: OutCall,
    principal: Principal,
    who: Introduction,
  ): Attendance | null {
    if (who.name === null) return null
    const queue = String(readRequest(request, call.request)?.['queue'] ?? '')
    const refusal = authorize(principal, op, queue) ?? checkQueueName(queue)
    return refusal === null ? new Attendance(this.services.consumers, who, who.name, queue) : null
  }

  /** A token was revoked, or is over: so is what it had opened. */
  private endInvalid(): void {
    for (const [end, principal] of [...this.open]) {
      if (!this.services.auth.isValid(principal)) end(refusals.authInvalid)
    }
  }

  /** Into `command`: the frame of no other command needs to be read here. */
  private readSubscription(principal: Principal, message: Buffer): Refusal | null {
    const frame = requestFrame(subscribe.op, subscribe.request, message)
    if (!Buffer.isBuffer(frame)) return frame
    const wrong = wireCodec.scan(frame, 0, frame.length - 1, command)
    if (wrong !== null) return wrong
    const { queue } = command
    return authorize(principal, subscribe.op, queue) ?? checkQueueName(queue)
  }

  /** Gives the command of a request, in the name of whoever sent it. */
  private async ask(
    principal: Principal,
    { op, request }: Method,
    message: Buffer,
    session?: Session,
    metadata?: Metadata,
  ): Promise<Answer | Refusal> {
    const { guard, frameBytesMax } = this.services
    const plain = requestFrame(op, request, message)
    if (!Buffer.isBuffer(plain)) return plain
    const frame = op === 'PUSH' && metadata !== undefined ? tracedFrame(plain, metadata) : plain
    if (frame.length > frameBytesMax) return refusals.frameTooLarge(frameBytesMax)
    // The frame is scratch: it is read before this waits for anything.
    const { line, handed } = await guard.call(principal, frame, session)
    return isRefusalLine(line) ? refusalOf(line) : { line, handed }
  }

  /** What did not fit into the message goes back to its queue; returns what did. */
  private shortened(method: Method, handed: Unwritten | null): Unwritten | null {
    const count = listed()
    if (handed === null || method.op !== 'PULLB' || count === handed.seqs.length) return handed
    this.services.caller.giveBack(restOf(handed, count))
    return { ...handed, seqs: handed.seqs.slice(0, count) }
  }

  /** Streams of this door get their credit back at once. */
  private noteEnded({ op, request }: Method, asked: Buffer, line: Buffer): void {
    const { deliveries } = this
    if (deliveries.size === 0) return
    if (op === 'ACK' || op === 'FAIL' || op === 'CANCEL') {
      for (const id of askedFor(request, asked).ids ?? []) deliveries.ended(id, op === 'ACK')
    } else if (op === 'ACKB' || op === 'RELEASE') {
      const { errors = [] } = JSON.parse(line.toString()) as { errors?: { index: number }[] }
      const refused = new Set(errors.map(({ index }) => index))
      for (const [i, id] of (askedFor(request, asked).ids ?? []).entries()) {
        if (!refused.has(i)) deliveries.ended(id, op === 'ACKB')
      }
    }
  }
}

/** A job that is pushed as a part of a trace keeps the trace's context. */
function tracedFrame(frame: Buffer, metadata: Metadata): Buffer {
  const [traceparent] = metadata.get('traceparent')
  const [tracestate] = metadata.get('tracestate')
  const context = readTraceContext(traceparent, tracestate)
  return context === null ? frame : withTraceTags(frame, context)
}

function fail(call: OutCall | BothCall, refusal: Refusal): void {
  call.emit('error', statusOf(refusal))
}
