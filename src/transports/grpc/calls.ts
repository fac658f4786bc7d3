// What happens in a call of `QueueService`, one function per kind of call.
//
//   metadata ─▶ who asks (`identify.ts`) ─▶ frame (`request-frame.ts`) ─▶ may they ─▶ caller ─▶ message (`reply-message.ts`)
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
import type { Admission } from '../auth/admission.ts'
import type { Authenticator } from '../auth/authenticator.ts'
import { authorize } from '../auth/principal.ts'
import type { Answer, Caller } from '../caller.ts'
import type { Log } from '../log.ts'
import { wireCodec } from '../wire/codec.ts'
import { Deliveries } from './deliveries.ts'
import { EventStream } from './event-stream.ts'
import { identify } from './identify.ts'
import { type Delay, JobStream, prefetchOf, restOf, type StreamTerms } from './job-stream.ts'
import { JobResult } from './messages.ts'
import { type Method, streamJobs, subscribe } from './methods.ts'
import { isRefusalLine, listed, refusalOf, replyMessage } from './reply-message.ts'
import { askedFor, readRequest, requestFrame } from './request-frame.ts'
import { type CallStatus, statusOf } from './status.ts'

export interface CallServices {
  readonly gate: Gate
  readonly caller: Caller
  readonly admission: Admission
  readonly log: Log
  readonly delay: Delay
  readonly frameBytesMax: number
  readonly auth: Authenticator
}

type UnaryCall = ServerUnaryCall<Buffer, Buffer>
type OutCall = ServerWritableStream<Buffer, Buffer>
type BothCall = ServerDuplexStream<Buffer, Buffer>
type Callback = (status: CallStatus | null, message?: Buffer) => void
type AnyCall = UnaryCall | OutCall | BothCall

const DEFAULT_QUEUE = 'default'
const command = new Command()

export class Calls {
  private readonly services: CallServices
  private readonly deliveries = new Deliveries()
  /** How to end what is open: streams, and pulls that wait. */
  private readonly open = new Set<(refusal: Refusal) => void>()
  private isDraining = false

  constructor(services: CallServices) {
    this.services = services
  }

  /** Ends streams and waiting pulls. Other calls go on to their answer. */
  drain(): void {
    this.isDraining = true
    for (const end of [...this.open]) end(refusals.draining)
  }

  async unary(method: Method, call: UnaryCall, callback: Callback): Promise<void> {
    const answer = await this.ask(method, call)
    if ('code' in answer) return callback(statusOf(answer))
    this.noteEnded(method, call.request, answer.line)
    // Nothing else may be cut: who lists queues must see all of them.
    const bytesMax = method.op === 'DLQ' ? limits.grpcMessageBytesMax : undefined
    callback(null, replyMessage(method.response, answer.line, bytesMax))
  }

  async pull(method: Method, call: OutCall): Promise<void> {
    if (this.isDraining) return fail(call, refusals.draining)
    const { caller } = this.services
    const session = caller.begin()
    let handed: Unwritten | null = null
    let isAnswered = false
    let isSent = false
    const end = (refusal: Refusal): void => {
      this.open.delete(end)
      caller.end(session)
      fail(call, refusal)
    }
    this.open.add(end)
    call.on('cancelled', () => {
      this.open.delete(end)
      if (!isAnswered) caller.end(session)
      else if (!isSent && handed !== null) caller.giveBack(handed)
    })
    const answer = await this.ask(method, call, session)
    this.open.delete(end)
    isAnswered = true
    if ('code' in answer) return fail(call, answer)
    const message = replyMessage(method.response, answer.line, limits.grpcMessageBytesMax)
    handed = this.shortened(method, answer.handed)
    call.write(message, () => {
      isSent = true
    })
    call.end()
  }

  async streamJobs(call: OutCall): Promise<void> {
    const asked = readRequest(streamJobs.request, call.request)
    const queue = String(asked?.['queue'] ?? '')
    const refusal =
      asked === null
        ? refusals.invalid('the message is not a StreamJobsRequest')
        : await this.mayStream(call, queue)
    if (call.cancelled) return
    if (refusal !== null) return fail(call, refusal)
    const batch = Math.max(1, Math.min(Number(asked?.['batch_size']), limits.grpcBatchMax))
    const prefetch = prefetchOf(Number(asked?.['prefetch']))
    this.jobStream(call, { queue, batch, prefetch }).start()
  }

  async processJobs(call: BothCall): Promise<void> {
    // Metadata is text of the peer's; a queue's name is checked as any other.
    const queue = String(call.metadata.get('queue')[0] ?? DEFAULT_QUEUE)
    const prefetch = Number(call.metadata.get('prefetch')[0] ?? 0)
    const refusal = /^\d{1,9}$/.test(String(prefetch))
      ? await this.mayStream(call, queue)
      : refusals.invalid('metadata "prefetch" must be an unsigned integer')
    if (call.cancelled) return
    if (refusal !== null) return fail(call, refusal)
    const stream = this.jobStream(call, { queue, batch: 1, prefetch: prefetchOf(prefetch) })
    call.on('data', (message: Buffer) => {
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
    const refusal = this.readSubscription(call)
    if (refusal !== null) return fail(call, refusal)
    const { queue, events } = command
    if (this.isDraining) return fail(call, refusals.draining)
    const stream = new EventStream(this.services.gate, queue, (message, done) => {
      call.write(message, done)
    })
    this.untilOver(call, (why) => {
      stream.close()
      if (why !== null) fail(call, why)
    })
    stream.start(events, () => call.sendMetadata(new Metadata()))
  }

  private jobStream(call: OutCall | BothCall, terms: StreamTerms): JobStream {
    const { caller, delay, log } = this.services
    const { deliveries } = this
    const stream = new JobStream({ caller, deliveries, delay, log }, terms, {
      write: (message, done) => call.write(message, done),
      end: (refusal) => (refusal === null ? call.end() : fail(call, refusal)),
    })
    call.sendMetadata(new Metadata())
    this.untilOver(call, (why) => (why === null ? stream.close() : stream.end(why)))
    return stream
  }

  /** `over`: once; with null when the peer has ended the call, or it has come to its own end. */
  private untilOver(call: OutCall | BothCall, over: (why: Refusal | null) => void): void {
    const end = (refusal: Refusal | null): void => {
      if (this.open.delete(end)) over(refusal)
    }
    this.open.add(end)
    call.on('cancelled', () => end(null))
  }

  private async mayStream(call: AnyCall, queue: string): Promise<Refusal | null> {
    const principal = identify(this.services.auth, call.metadata, call.getPeer())
    if ('code' in principal) return principal
    const refusal = await this.services.admission.admit(principal, streamJobs.op, { queue })
    if (refusal !== null) return refusal
    return this.isDraining ? refusals.draining : checkQueueName(queue)
  }

  /** Into `command`: the frame of no other command needs to be read here. */
  private readSubscription(call: OutCall): Refusal | null {
    const principal = identify(this.services.auth, call.metadata, call.getPeer())
    if ('code' in principal) return principal
    const frame = requestFrame(subscribe.op, subscribe.request, call.request)
    if (!Buffer.isBuffer(frame)) return frame
    const wrong = wireCodec.scan(frame, 0, frame.length - 1, command)
    if (wrong !== null) return wrong
    const { queue } = command
    return authorize(principal, subscribe.op, queue) ?? checkQueueName(queue)
  }

  /** Gives the command of a request, if whoever sent it may. */
  private ask(
    { op, request }: Method,
    call: UnaryCall | OutCall,
    session?: Session,
  ): Promise<Answer | Refusal> {
    const { caller, admission, frameBytesMax } = this.services
    const principal = identify(this.services.auth, call.metadata, call.getPeer())
    if ('code' in principal) return Promise.resolve(principal)
    const frame = requestFrame(op, request, call.request)
    if (!Buffer.isBuffer(frame)) return Promise.resolve(frame)
    if (frame.length > frameBytesMax) return Promise.resolve(refusals.frameTooLarge(frameBytesMax))
    const subject = principal.queues === null ? {} : askedFor(request, call.request)
    const verdict = admission.admit(principal, op, subject)
    if (verdict === null) return told(caller.call(frame, session))
    if ('code' in verdict) return Promise.resolve(verdict)
    // Other requests are read meanwhile.
    const kept = Buffer.from(frame)
    return verdict.then((refusal) => {
      if (refusal !== null) return refusal
      // A pull whose session has ended would wait for nobody.
      return call.cancelled ? refusals.draining : told(caller.call(kept, session))
    })
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
      for (const id of askedFor(request, asked).ids ?? []) deliveries.ended(id)
    } else if (op === 'ACKB' || op === 'RELEASE') {
      const { errors = [] } = JSON.parse(line.toString()) as { errors?: { index: number }[] }
      const refused = new Set(errors.map(({ index }) => index))
      for (const [i, id] of (askedFor(request, asked).ids ?? []).entries()) {
        if (!refused.has(i)) deliveries.ended(id)
      }
    }
  }
}

async function told(answer: Promise<Answer>): Promise<Answer | Refusal> {
  const { line, handed } = await answer
  return isRefusalLine(line) ? refusalOf(line) : { line, handed }
}

function fail(call: OutCall | BothCall, refusal: Refusal): void {
  call.emit('error', statusOf(refusal))
}
