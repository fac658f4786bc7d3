// What one connection's frames and replies come to: for metrics, and for the list of consumers.
//
//   frame ── came ──▶ sampled: when, which op      reply ── answered ──▶ errors by code, latency of what was sampled
//            └ a pull: this connection is a consumer         └ jobs handed over, runs ended
//
// 1. It costs a frame a few comparisons: no clock, no scan, no object. One frame in 64 is looked at closely.
// 2. The queues of a consumer are noted from its first pulls, and from one in 64 later.

import { Command } from '../../engine/command.ts'
import { limits } from '../../engine/limits.ts'
import type { Reply, Session, Unwritten, WireCodec } from '../../engine/ports.ts'
import { refusals } from '../../engine/refusal.ts'
import { Door, doorNames, type Traffic } from '../../engine/traffic.ts'
import { mayUse, type Principal } from '../auth/principal.ts'
import { checkConsumerName, readClaims } from '../consumers/consumer.ts'
import type { ConnectedConsumer, Consumers } from '../consumers/consumers.ts'
import { Asked, Ends, endedBy, endsWhat } from './first-look.ts'
import type { Slot } from './reply-queue.ts'

/** Pulls that are looked at before most are not. */
const FIRST_PULLS = 16
const LETTER_T = 0x74
const OK_AT = 6
const OPEN_ARRAY = 0x5b
const ZERO = 0x30

/** Scratch. */
const command = new Command()

export interface AccountServices {
  readonly traffic: Traffic
  readonly consumers: Consumers
  readonly codec: WireCodec
}

export class Account {
  private readonly traffic: Traffic
  private readonly consumers: Consumers
  private readonly session: Session
  private readonly codec: WireCodec
  private readonly address: string | null
  private consumer: ConnectedConsumer | null = null
  private pulls = 0

  /** `known`: what another worker had of this connection's consumer. */
  constructor(
    { traffic, consumers, codec }: AccountServices,
    session: Session,
    address: string | null,
    known: ConnectedConsumer | null,
  ) {
    this.traffic = traffic
    this.consumers = consumers
    this.session = session
    this.codec = codec
    this.address = address
    traffic.connected(session.door, 1)
    if (known !== null) this.join(known)
  }

  /** A frame for the gate is about to be submitted. `op` 0: `lookAt` was sure of it. */
  came(slot: Slot, asked: Asked, op: number, bytes: Buffer, from: number, to: number): void {
    const isSample = this.traffic.isSample()
    if (isSample) {
      slot.sinceMs = performance.now()
      slot.op = this.codec.peek(bytes, from, to, command) ? command.op : 0
    }
    if (asked !== Asked.other) this.pulled(isSample, bytes, from, to)
    if (this.consumer !== null) {
      slot.ends = op === 0 ? endsWhat(bytes, from) : endedBy(op)
      this.consumer.lastSeenMs = this.consumers.nowMs
    }
  }

  /** A command that the connection answers itself; 0: no command. */
  own(op: number): void {
    this.traffic.command(this.session.door, op)
  }

  /** An event that the peer was too slow for. */
  eventDropped(): void {
    this.traffic.events.dropped(this.session.door === Door.unix ? 'unix' : 'tcp')
  }

  /** The line `bytes[from..to)` answers it. */
  answered(slot: Slot, bytes: Buffer, from: number, to: number, handed: Unwritten | null): void {
    const { traffic, session, consumer } = this
    traffic.replied(session.door, bytes, from, to)
    if (slot.sinceMs > 0) {
      if (slot.op !== 0) traffic.took(session.door, slot.op, performance.now() - slot.sinceMs)
      slot.sinceMs = 0
    }
    if (consumer === null) return
    if (handed !== null) consumer.given += handed.seqs.length
    if (slot.ends === Ends.nothing) return
    if (bytes[from + OK_AT] === LETTER_T) noteEnds(consumer, slot.ends, bytes, from, to)
    slot.ends = Ends.nothing
  }

  /** HELLO: the client says who it is. */
  hello({ name, bytes, dataFrom, dataTo }: Command, principal: Principal, reply: Reply): void {
    const refusal = checkConsumerName(name)
    if (refusal !== null) return reply.refused(refusal)
    const claims = readClaims(
      dataFrom < 0 ? {} : JSON.parse(bytes.toString('utf8', dataFrom, dataTo)),
    )
    if ('code' in claims) return reply.refused(claims)
    const isOwn = (claims.queues ?? []).every((queue) => mayUse(principal, queue))
    if (!isOwn) return reply.refused(refusals.forbidden)
    const consumer = this.consumer ?? this.join(this.newConsumer())
    consumer.id = name
    consumer.concurrency = claims.concurrency ?? 0
    consumer.host = claims.host
    consumer.version = claims.version
    for (const queue of claims.queues ?? []) addQueue(consumer, queue)
    reply.ok()
  }

  /** For another worker, where the connection goes. */
  pack(): ConnectedConsumer | null {
    return this.consumer
  }

  /** The connection is no longer here. */
  close(): void {
    this.traffic.connected(this.session.door, -1)
    if (this.consumer !== null) this.consumers.leave(this.consumer)
  }

  private pulled(isSample: boolean, bytes: Buffer, from: number, to: number): void {
    this.pulls++
    if (this.pulls > FIRST_PULLS && !isSample) return
    if (!this.codec.peek(bytes, from, to, command)) return
    addQueue(this.consumer ?? this.join(this.newConsumer()), command.queue)
  }

  private join(consumer: ConnectedConsumer): ConnectedConsumer {
    this.consumer = consumer
    this.consumers.join(consumer)
    consumer.lastSeenMs = this.consumers.nowMs
    return consumer
  }

  private newConsumer(): ConnectedConsumer {
    const { holder, door } = this.session
    const name = doorNames[door]
    return {
      id: `${name}-${holder}`,
      queues: new Set(),
      concurrency: 0,
      lastSeenMs: 0,
      processed: 0,
      given: 0,
      ended: 0,
      host: null,
      version: null,
      address: this.address,
      door: name,
    }
  }
}

function addQueue(consumer: ConnectedConsumer, queue: string): void {
  if (consumer.queues.size < limits.consumerQueuesMax) consumer.queues.add(queue)
}

function noteEnds(
  consumer: ConnectedConsumer,
  ends: Ends,
  bytes: Buffer,
  from: number,
  to: number,
): void {
  const isBatch = ends === Ends.several || ends === Ends.returned
  const count = isBatch ? countIn(bytes, from, to) : 1
  consumer.ended += count
  if (ends === Ends.one || ends === Ends.several) consumer.processed += count
}

/** The number in `…,"ids":[17]…`; before it there is no other bracket, except in a reqId, and then it is 0. */
function countIn(bytes: Buffer, from: number, to: number): number {
  let count = 0
  let at = bytes.indexOf(OPEN_ARRAY, from) + 1
  for (; at > 0 && at < to; at++) {
    const digit = (bytes[at] as number) - ZERO
    if (!(digit >= 0 && digit <= 9)) break
    count = count * 10 + digit
  }
  return count
}
