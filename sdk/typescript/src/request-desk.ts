// What both transports do with a request, whatever carries it: its time limit, its answer, its refusal, its end.
//
//   take ──▶ (the transport sends it) ──▶ answered ──▶ accepted, or rejected
//    │                                       └ refused for now: held, then handed to `dispatch` again
//    │                                       └ refused for one of its calls: split, and its parts dispatched
//    └ its time is over ──▶ rejected, and `expired` tells the transport
//
// 1. A request that was taken is settled once, here. What comes for it later goes to its `late`.
// 2. After `stop` no timer is left.
//
// Neighbours: `connection.ts` and `http/http-transport.ts` own one each; `request-fate.ts` has the rules.

import { backoffMs } from './backoff.ts'
import { DeadlineList } from './deadline-list.ts'
import { FlashQError } from './errors.ts'
import type { Settings } from './options.ts'
import { type Reply, refusalOf } from './reply.ts'
import type { Request } from './request.ts'
import { changesState, mayAskAgain, partsAfter } from './request-fate.ts'
import { PutOffRequests } from './request-queue.ts'

export interface DeskOwner {
  readonly isClosing: boolean
  dispatch(request: Request): void
  /** It has just been rejected; `wasWritten` says that the server may have it. */
  expired(request: Request, wasWritten: boolean): void
  failed(fault: Error): void
}

export class RequestDesk {
  readonly #settings: Settings
  readonly #owner: DeskOwner
  readonly #deadlines = new DeadlineList((request) => this.#expire(request))
  readonly #putOff: PutOffRequests

  constructor(settings: Settings, owner: DeskOwner) {
    this.#settings = settings
    this.#owner = owner
    this.#putOff = new PutOffRequests((request) => owner.dispatch(request))
  }

  /** Timed requests that are not settled. */
  get open(): number {
    return this.#deadlines.size
  }

  /** Starts its time limit, if it has one. */
  take(request: Request): void {
    if (!request.timed) return
    if (request.deadlineMs === 0) {
      request.deadlineMs = performance.now() + this.#settings.timeoutMs
    }
    this.#deadlines.add(request)
  }

  answered(request: Request, reply: Reply): void {
    if (request.state === 'settled') {
      if (reply.ok === true) this.#late(request, reply)
    } else if (reply.ok === true) {
      this.#accept(request, reply)
    } else {
      this.#refused(request, refusalOf(reply))
    }
  }

  reject(request: Request, reason: unknown): void {
    this.#settle(request)
    request.reject(reason)
  }

  /** Holds it back for a while. */
  putOff(request: Request): void {
    this.#putOff.add(request, this.delayMs(request.delays))
    request.delays += 1
  }

  rejectPutOff(reason: unknown): void {
    for (const request of this.#putOff.takeAll()) this.reject(request, reason)
  }

  /** Of the n-th attempt, from 0 on. */
  delayMs(attempt: number): number {
    return backoffMs(attempt, this.#settings.reconnectDelayMs, this.#settings.reconnectDelayMsMax)
  }

  stop(): void {
    this.#deadlines.stop()
  }

  #accept(request: Request, reply: Reply): void {
    this.#settle(request)
    try {
      request.accept(reply)
    } catch (error) {
      request.reject(error)
    }
  }

  #late(request: Request, reply: Reply): void {
    try {
      request.late(reply)
    } catch (error) {
      this.#owner.failed(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #refused(request: Request, refusal: FlashQError): void {
    if (mayAskAgain(request, refusal) && !this.#owner.isClosing) {
      request.refusal = refusal
      this.putOff(request)
      return
    }
    const parts = partsAfter(request, refusal)
    if (parts.length === 0) {
      this.reject(request, refusal)
      return
    }
    this.#settle(request)
    for (const part of parts) {
      part.deadlineMs = request.deadlineMs
      this.#deadlines.add(part)
      this.#owner.dispatch(part)
    }
  }

  #expire(request: Request): void {
    const wasWritten = request.state === 'written'
    const maybeExecuted = wasWritten && changesState(request)
    const timeout = new FlashQError('timeout', 'Request timeout', { maybeExecuted })
    this.reject(request, wasWritten ? timeout : (request.refusal ?? timeout))
    this.#owner.expired(request, wasWritten)
  }

  #settle(request: Request): void {
    request.state = 'settled'
    if (request.timed) this.#deadlines.remove(request)
  }
}
